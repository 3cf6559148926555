"""Training and decoding speed, and BLEU, beside joeynmt's, in one alternating run.

    pip install torch && pip install --no-deps joeynmt      joeynmt runs on PyTorch
    pip install pyyaml sacrebleu subword-nmt importlib_metadata    what it imports
    python -m benchmarks.seq2seq_vs_joeynmt --count 5 --rounds 3     a look
    python -m benchmarks.seq2seq_vs_joeynmt                          10 epochs, and BLEU

Same architecture (one bidirectional LSTM of 256, an LSTM decoder of 512 with additive
attention and input feeding, embeddings of 256, 8,000 subwords a side), the same batches
of the embedded English-German text in the same order, Adam at 1e-3, gradients clipped
at norm 1, the same weights to start from: joeynmt's. Differences: our first decoder
state has an own matrix for the LSTM's memory and no bias, where joeynmt copies the
hidden one and its bias stays 0 here; our output layer has a bias; an LSTM's two biases
are one.

Every contestant lives in a process of its own; they take turns, so that a busy moment
of the machine hits all. The first round (tracing, caches) is not counted; the median of
the others is. Training: real tokens of both sides per second. BLEU: of the model it has
trained. Decoding: test sentences per second, batches of 64 of like length, greedy and
by a beam of 5 with length penalty 0.6. A search takes as long as its sentences are, so
all search with the same weights, those that the last contestant of joeynmt has trained;
in what share of the sentences they find the same is shown below. Beams do not find the
same, as their rules differ: joeynmt's goes on until all five hypotheses have ended,
ours until none that goes on could win.

    zoo        the zoo's train_step and search, compiled as `fit` and `translate` do
    plain      joeynmt's model in a lean loop, Adam; joeynmt's own search
    tuned      the same with fused Adam; it also searches with the keys of the attention
               projected once for a sentence, as ours does, instead of at each step
"""

import argparse
import functools
import itertools
import multiprocessing
import os
import statistics
import time

SIZE = 8000
PADDING, END = 0, 3  # for both programs
MAX_LENGTH = 80
SEARCHES = {"greedy": 1, "beam": 5}
ONCE = {word: f"{word} once" for word in SEARCHES}  # with keys projected once


def data(count):
    """Returns `(vocabularies, batches, test batches, references)`; 0 means all."""
    from zoo.data import text
    from zoo.text.vocabulary import Vocabulary, padded

    pairs = list(zip(*text.load("embedded/en-de", "train"), strict=True))
    vocabularies = [Vocabulary.learn(side, SIZE) for side in pairs]
    ids = [v.encode(side) for v, side in zip(vocabularies, pairs, strict=True)]
    batches = list(text.batches(*ids, tokens=2000, seed=0).as_numpy_iterator())
    test = list(zip(*text.load("embedded/en-de", "test"), strict=True))
    sources = vocabularies[0].encode(test[0])
    order = sorted(range(len(sources)), key=lambda row: -len(sources[row]))
    order = order[:: max(1, len(order) // count)] if count else order
    parts = [order[start : start + 64] for start in range(0, len(order), 64)]
    rows = [padded([sources[row] for row in part]).numpy() for part in parts]
    kept = batches[:count] if count else batches
    return vocabularies, kept, rows, [test[1][row] for row in order]


def zoo_contestant(vocabularies, batches, sources):
    """Returns `{word: function}` of what it can be told to do.

    Words:
        train: An epoch; returns its mean loss in nats per token.
        greedy: Searches for translations of the sources; returns their tokens.
        beam: The same by a beam.
        take: Replaces its weights by joeynmt's.
    """
    import keras
    import tensorflow as tf

    from zoo.networks.recurrent import Recurrent
    from zoo.seq2seq import Seq2Seq
    from zoo.text.translation import IDS
    from zoo.training.optimizers import FusedAdam

    keras.utils.set_random_seed(0)
    model = Seq2Seq(*vocabularies, 256, Recurrent(units=256), Recurrent(units=512))
    model.compile(FusedAdam(1e-3, global_clipnorm=1.0))
    model.optimizer.build(model.trainable_variables)
    ready = [tuple(map(tf.constant, batch)) for batch in batches]
    step = tf.function(lambda s, t: model.train_step((s, t)), input_signature=[IDS] * 2)

    def train():
        model.reset_metrics()
        for batch in ready:
            logs = step(*batch)
        return float(logs["nll"])

    def search(beam):
        function = functools.partial(model.search, beam=beam, max_length=MAX_LENGTH)
        compiled = tf.function(function, input_signature=[IDS])
        return lambda: [compiled(rows).tokens[:, 0].numpy() for rows in sources]

    def take(theirs):
        values = weights_of(theirs)
        for weight in model.trainable_variables:
            weight.assign(values.pop(weight.path.removeprefix(f"{model.name}/")))

    does = {word: search(beam) for word, beam in SEARCHES.items()}
    return does | {"train": train, "take": take}


def weights_of(theirs):
    """Returns `{path: array}` of the zoo's model, which does what joeynmt's does."""
    import numpy as np

    def matrix(name):
        return theirs[f"{name}weight"].T

    def lstm(side, way=""):
        kernel, recurrent = (
            theirs[f"{side}.rnn.weight_{part}_l0{way}"].T for part in ("ih", "hh")
        )
        bias = sum(theirs[f"{side}.rnn.bias_{part}_l0{way}"] for part in ("ih", "hh"))
        return kernel, recurrent, bias

    ours = {
        "source/embeddings": theirs["src_embed.lut.weight"],
        "target/embeddings": theirs["trg_embed.lut.weight"],
        "decoder/bridge": np.tile(matrix("decoder.bridge_layer."), 2),
        "decoder/keys": matrix("decoder.attention.key_layer."),
        "decoder/query": matrix("decoder.attention.query_layer."),
        "decoder/score": matrix("decoder.attention.energy_layer."),
        "decoder/readout": matrix("decoder.att_vector_layer."),
        "decoder/readout_bias": theirs["decoder.att_vector_layer.bias"],
        "output_kernel": matrix("decoder.output_layer."),
        "output_bias": np.zeros(SIZE, "float32"),
    }
    for name, way in (("forward", ""), ("backward", "_reverse")):
        kernel, recurrent, bias = lstm("encoder", way)
        ours[f"encoder/{name}_0_kernel"] = kernel
        ours[f"encoder/{name}_0_recurrent_0"] = recurrent
        ours[f"encoder/{name}_0_bias"] = bias
    kernel, recurrent, bias = lstm("decoder")
    width = ours["target/embeddings"].shape[1]
    ours["decoder/layer_0_kernel"] = kernel[:width]
    ours["decoder/layer_0_recurrent_0"] = np.concatenate([kernel[width:], recurrent])
    ours["decoder/layer_0_bias"] = bias
    return ours


class Specials:
    """What joeynmt's model asks of a vocabulary."""

    pad_index, unk_index, bos_index, eos_index, sep_index = 0, 1, 2, 3, None
    specials, lang_tags = [], []

    def __init__(self, size):
        self.size = size

    def __len__(self):
        return self.size


def joeynmt_contestant(vocabularies, batches, sources, tuned=False):
    """Returns the same for joeynmt's model, losses and searches; takes sizes alone.

    It also knows `give`, which returns its weights. If tuned, its searches are there a
    second time, with keys projected once.
    """
    import numpy as np
    import torch
    import torch._dynamo  # joeynmt loads TensorFlow, after which this crashes
    from joeynmt.model import build_model
    from joeynmt.search import beam_search, greedy

    torch.manual_seed(0)
    torch.set_num_threads(os.cpu_count())
    recurrent = {"type": "recurrent", "rnn_type": "lstm", "num_layers": 1}
    recurrent["embeddings"] = {"embedding_dim": 256}
    config = {
        "encoder": {**recurrent, "hidden_size": 256, "bidirectional": True},
        "decoder": {
            **recurrent,
            "hidden_size": 512,
            "input_feeding": True,
            "init_hidden": "bridge",
            "attention": "bahdanau",
        },
    }
    model = build_model(config, *map(Specials, vocabularies))
    model.loss_function = ("crossentropy", 0.0)
    model.decoder.bridge_layer.bias.requires_grad_(False)  # ours has none
    optimizer = torch.optim.Adam(model.parameters(), 1e-3, fused=tuned)
    attention = model.decoder.attention
    project = attention.compute_proj_keys

    def project_once(keys):
        # The hypotheses that a beam keeps are of the same sentences, so that only
        # another number of them means other keys.
        kept = attention.proj_keys
        if kept is None or kept.shape[:2] != keys.shape[:2]:
            project(keys)

    def source(rows):
        rows = torch.from_numpy(rows.astype("int64"))
        real = rows != 0
        return {"src": rows, "src_length": real.sum(1), "src_mask": real[:, None]}

    def batch(source_rows, target_rows):
        order = np.argsort(-(source_rows != 0).sum(1), kind="stable")  # as it packs
        target = torch.from_numpy(target_rows[order].astype("int64"))
        start = torch.full((len(target), 1), 2)
        return {
            **source(source_rows[order]),
            "trg": target,
            "trg_input": torch.cat([start, target[:, :-1]], 1),
            "trg_mask": (target != 0)[:, None],
        }

    ready = [batch(*pair) for pair in batches]

    def train():
        model.train()
        attention.compute_proj_keys = project
        total = tokens = 0
        for inputs in ready:
            sum_, *_ = model(return_type="loss", **inputs)
            loss = sum_ / inputs["trg_mask"].sum()
            total += sum_.detach()
            tokens += inputs["trg_mask"].sum()
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
        return float(total / tokens)

    def search(beam, once=False):
        options = {"min_output_length": 0}  # ours may write nothing
        options |= {"beam_size": beam, "alpha": 0.6} if beam > 1 else {}
        function = beam_search if beam > 1 else greedy

        def run():
            model.eval()
            attention.compute_proj_keys = project_once if once else project
            found = []
            with torch.no_grad():
                for rows in sources:
                    attention.proj_keys = None
                    inputs = source(rows)
                    output, hidden, *_ = model(return_type="encode", **inputs)
                    tokens, *_ = function(
                        model=model,
                        encoder_output=output,
                        encoder_hidden=hidden,
                        src_mask=inputs["src_mask"],
                        max_output_length=MAX_LENGTH,
                        **options,
                    )
                    found.append(np.asarray(tokens))
            return found

        return run

    def give():
        return {name: value.numpy() for name, value in model.state_dict().items()}

    def take(weights):
        model.load_state_dict(
            {name: torch.from_numpy(value) for name, value in weights.items()}
        )

    does = {word: search(beam) for word, beam in SEARCHES.items()}
    if tuned:
        does |= {ONCE[w]: search(b, once=True) for w, b in SEARCHES.items()}
    return does | {"train": train, "give": give, "take": take}


CONTESTANTS = {
    "zoo": zoo_contestant,
    "plain": joeynmt_contestant,
    "tuned": functools.partial(joeynmt_contestant, tuned=True),
}


class Contestant:
    """One contestant in a process of its own, told what to do by words.

    Args:
        name: Of `CONTESTANTS`.
        *args: Its arguments.
    """

    def __init__(self, name, *args):
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        args = (name, *args, theirs)
        context.Process(target=serve, args=args, daemon=True).start()
        theirs.close()  # if the process dies, `recv` says so instead of waiting
        self.words = self.pipe.recv()
        self.seconds = {}  # of each word, in the order in which it was said

    def do(self, word, *args):
        """Returns what the contestant returns."""
        self.pipe.send((word, args))
        seconds, result = self.pipe.recv()
        self.seconds.setdefault(word, []).append(seconds)
        return result

    def stop(self):
        """Ends the process."""
        self.pipe.send(None)

    def median(self, word):
        """Returns the median of a word's seconds, but for the first."""
        return statistics.median(self.seconds[word][1:])


def serve(name, vocabularies, batches, sources, pipe):
    """Runs one contestant, which first sends its words, until it is sent `None`."""
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    does = CONTESTANTS[name](vocabularies, batches, sources)
    pipe.send(list(does))
    while (order := pipe.recv()) is not None:
        word, args = order
        start = time.perf_counter()
        result = does[word](*args)
        pipe.send((time.perf_counter() - start, result))


def sentences(parts):
    """Returns the list of all rows, each without its end and what follows."""
    found = []
    for row in itertools.chain.from_iterable(parts):
        ends = (i for i, token in enumerate(row) if token in (PADDING, END))
        found.append([int(token) for token in row[: next(ends, len(row))]])
    return found


def share(contestants):
    """Gives all the weights of the last contestant of joeynmt, if there is one."""
    givers = [c for c in contestants.values() if "give" in c.words]
    weights = givers[-1].do("give") if givers else None
    for contestant in contestants.values():
        if weights:
            contestant.do("take", weights)


def learn(contestants, rounds):
    """Trains all in turn; returns the last epoch's mean loss of each."""
    losses = {}
    for done in range(rounds):
        for name, contestant in contestants.items():
            losses[name] = contestant.do("train")
        line = ", ".join(
            f"{name} {contestant.seconds['train'][-1]:.1f} s"
            for name, contestant in contestants.items()
        )
        print(f"round {done + 1}/{rounds}: training {line}", flush=True)
    return losses


def race(contestants):
    """Lets all search with the same weights in turn, the first time not counted.

    Returns:
        `{(name, word): sentences}`.
    """
    share(contestants)
    for contestant in contestants.values():
        for word in SEARCHES:  # those with its own weights do not count
            contestant.seconds.pop(word, None)
    found = {}
    for word in [*SEARCHES, *ONCE.values()] * 4:
        for name, contestant in contestants.items():
            if word in contestant.words:
                found[name, word] = sentences(contestant.do(word))
    return found


def show(rates, losses, scores, found):
    """Prints the table, the ratios, and whether all have found the same."""
    words = ["train", *SEARCHES]
    print(f"\n{'':8}{'tokens/s':>10}{'greedy':>10}{'beam 5':>10}", end="")
    print("   training's nats per token; BLEU greedy, beam")
    for name, rate in rates.items():
        speeds = [rate.get(word, float("nan")) for word in words]
        print(f"{name:8}{speeds[0]:10,.0f}{speeds[1]:10.1f}{speeds[2]:10.1f}", end="")
        facts = (losses[name], *scores[name]) if name in losses else ()
        print("   {:.3f}; {:.2f}, {:.2f}".format(*facts) if facts else "")
    for peers in ({"plain", "tuned"} & {*rates}, {"once"} & {*rates}):
        if not peers or "zoo" not in rates:
            continue
        ratios = ", ".join(
            f"{rates['zoo'][word] / max(rates[peer][word] for peer in peers):.2f} "
            f"({word})"
            for word in words
            if all(word in rates[peer] for peer in peers)
        )
        print(f"zoo is faster than {' and '.join(sorted(peers))}: {ratios}")
    for word in SEARCHES:
        rows = {name: rows for (name, w), rows in found.items() if w == word}
        *_, last = rows.values()
        for name, own in rows.items():
            same = statistics.mean(a == b for a, b in zip(own, last, strict=True))
            print(
                f"{word}, same weights, {name}: {statistics.mean(map(len, own)):.1f} "
                f"tokens a sentence, {same:.1%} as the last one's"
            )


def main(rounds, count, only):
    """Runs the contest and prints the table."""
    from zoo.metrics.text import bleu

    vocabularies, batches, sources, references = data(count)
    # A vocabulary would bring TensorFlow along, before PyTorch, which then crashes.
    sizes = [len(vocabulary) for vocabulary in vocabularies]
    contestants = {
        name: Contestant(
            name, vocabularies if name == "zoo" else sizes, batches, sources
        )
        for name in only
    }
    share(contestants)
    losses = learn(contestants, rounds)
    scores = {name: [] for name in contestants}
    for word in SEARCHES:
        for name, contestant in contestants.items():
            texts = vocabularies[1].decode(sentences(contestant.do(word)))
            scores[name].append(bleu(texts, references).value)
    found = race(contestants)
    for contestant in contestants.values():
        contestant.stop()

    tokens = sum(int((side != 0).sum()) for batch in batches for side in batch)
    rates = {}
    for name, contestant in contestants.items():
        rates[name] = {w: len(references) / contestant.median(w) for w in SEARCHES}
        rates[name]["train"] = tokens / contestant.median("train")
        if {*ONCE.values()} <= {*contestant.words}:
            rates["once"] = {
                word: len(references) / contestant.median(once)
                for word, once in ONCE.items()
            }
    show(rates, losses, scores, found)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=10, help="epochs, first unused")
    parser.add_argument("--count", type=int, default=0, help="batches; 0 for all")
    parser.add_argument("--only", nargs="+", choices=CONTESTANTS, default=CONTESTANTS)
    settings = parser.parse_args()
    main(max(settings.rounds, 2), settings.count, list(settings.only))
