"""Training and decoding speed, and BLEU, beside joeynmt's, in one alternating run.

    pip install torch && pip install --no-deps joeynmt      joeynmt runs on PyTorch
    pip install pyyaml sacrebleu subword-nmt importlib_metadata    what it imports
    python -m benchmarks.seq2seq_vs_joeynmt --count 5 --rounds 3     a look
    python -m benchmarks.seq2seq_vs_joeynmt                          10 epochs, and BLEU

Same architecture (one bidirectional LSTM of 256, an LSTM decoder of 512 with additive
attention and input feeding, embeddings of 256, 8,000 subwords a side), the same batches
of the embedded English-German text in the same order, Adam at 1e-3, gradients clipped
at norm 1. One difference: our first decoder state has an own matrix for the LSTM's
memory, joeynmt copies the hidden one.

Every contestant lives in a process of its own; they take turns, so that a busy moment
of the machine hits all. The first round (tracing, caches) is not counted; the median of
the others is. Training: real tokens of both sides per second. Decoding: test sentences
per second, batches of 64 of like length, greedy and by a beam of 5, in the last three
rounds, each by the model it has trained. The longer its translations are, the longer
that takes, so their mean lengths in tokens are shown beside.

    zoo        the zoo's train_step and search, compiled as `fit` and `translate` do
    plain      joeynmt's model in a lean loop, Adam; joeynmt's own search
    tuned      the same with fused Adam; it also searches with the keys of the attention
               projected once for a sentence, as ours does, instead of at each step
"""

import argparse
import functools
import multiprocessing
import os
import statistics
import time

SIZE = 8000
PADDING, END = 0, 3  # for both programs
MAX_LENGTH = 80
SEARCHES = {"greedy": 1, "beam": 5}


def data(count):
    """Returns `(vocabularies, batches, test batches, references)`; 0 means all."""
    from zoo.data import text
    from zoo.seq2seq import padded
    from zoo.vocabulary import Vocabulary

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
    """Returns `{word: function}`: an epoch of training, and two searches.

    Training returns the epoch's mean loss in nats per token, a search its tokens.
    """
    import keras
    import tensorflow as tf

    from zoo.recurrent import Recurrent
    from zoo.seq2seq import IDS, Seq2Seq
    from zoo.training import FusedAdam

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

    return {"train": train} | {word: search(beam) for word, beam in SEARCHES.items()}


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

    If tuned, its searches are there a second time, with keys projected once.
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
        options = {"beam_size": beam, "alpha": 0.6} if beam > 1 else {}
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

    does = {"train": train} | {word: search(beam) for word, beam in SEARCHES.items()}
    if tuned:
        does |= {f"{w} once": search(b, once=True) for w, b in SEARCHES.items()}
    return does


CONTESTANTS = {
    "zoo": zoo_contestant,
    "plain": joeynmt_contestant,
    "tuned": functools.partial(joeynmt_contestant, tuned=True),
}


def serve(name, vocabularies, batches, sources, pipe):
    """Runs one contestant: times each word it is sent; "ids" asks what it found.

    It first sends the words that it knows.
    """
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    does = CONTESTANTS[name](vocabularies, batches, sources)
    found = {}
    pipe.send(list(does))
    while (word := pipe.recv()) != "stop":
        if word == "ids":
            pipe.send(found)
        else:
            start = time.perf_counter()
            found[word] = does[word]()
            pipe.send(time.perf_counter() - start)


def length(row):
    """Returns the number of tokens before the end."""
    ends = (place for place, token in enumerate(row) if token in (PADDING, END))
    return next(ends, len(row))


def main(rounds, count, only):
    """Runs the contest and prints the table."""
    from zoo.metrics.text import bleu

    vocabularies, batches, sources, references = data(count)
    tokens = sum(int((side != 0).sum()) for batch in batches for side in batch)
    context = multiprocessing.get_context("spawn")
    pipes, seconds = {}, {}
    for name in only:
        ours, theirs = context.Pipe()
        # A vocabulary would bring TensorFlow along, before PyTorch, which then crashes.
        known = vocabularies if name == "zoo" else [len(v) for v in vocabularies]
        args = (name, known, batches, sources, theirs)
        context.Process(target=serve, args=args, daemon=True).start()
        theirs.close()  # if the process dies, `recv` says so instead of waiting
        pipes[name] = ours
        seconds[name] = {word: [] for word in ours.recv()}
    words = ["train", *SEARCHES, *(f"{word} once" for word in SEARCHES)]
    for done in range(rounds):
        for word in words if done >= rounds - 3 else words[:1]:
            for name, pipe in pipes.items():
                if word in seconds[name]:
                    pipe.send(word)
                    seconds[name][word].append(pipe.recv())
        line = ", ".join(f"{n} {s['train'][-1]:.1f} s" for n, s in seconds.items())
        print(f"round {done + 1}/{rounds}: training {line}", flush=True)
    scores = {}  # training loss of the last epoch, BLEU and lengths of the searches
    for name, pipe in pipes.items():
        pipe.send("ids")
        found = pipe.recv()
        pipe.send("stop")
        ids = [[row for part in found[word] for row in part] for word in SEARCHES]
        scores[name] = [found["train"]]
        scores[name] += [bleu(vocabularies[1].decode(i), references).value for i in ids]
        scores[name] += [statistics.mean(map(length, rows)) for rows in ids]

    amount = dict.fromkeys(words, len(references)) | {"train": tokens}
    rate = {
        name: {word: amount[word] / statistics.median(s[word][1:]) for word in s}
        for name, s in seconds.items()
    }
    if "tuned" in rate:
        rate["once"] = {word: rate["tuned"].pop(f"{word} once") for word in SEARCHES}
    print(f"\n{'':8}{'tokens/s':>10}{'greedy':>10}{'beam 5':>10}", end="")
    print("   training's nats per token; BLEU greedy, beam; lengths")
    for name, found in rate.items():
        speeds = [found.get(word, float("nan")) for word in ("train", *SEARCHES)]
        print(f"{name:8}{speeds[0]:10,.0f}{speeds[1]:10.1f}{speeds[2]:10.1f}", end="")
        facts = scores.get(name, [float("nan")] * 5)
        print("   {:.3f}; {:.2f}, {:.2f}; {:.1f}, {:.1f}".format(*facts))
    for peers in ({"plain", "tuned"} & {*rate}, {"once"} & {*rate}):
        if not peers or "zoo" not in rate:
            continue
        shared = [w for w in ("train", *SEARCHES) if all(w in rate[p] for p in peers)]
        best = {word: max(rate[peer][word] for peer in peers) for word in shared}
        ratios = ", ".join(f"{rate['zoo'][w] / best[w]:.2f} ({w})" for w in shared)
        print(f"zoo is faster than {' and '.join(sorted(peers))}: {ratios}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=10, help="epochs, first unused")
    parser.add_argument("--count", type=int, default=0, help="batches; 0 for all")
    parser.add_argument("--only", nargs="+", choices=CONTESTANTS, default=CONTESTANTS)
    settings = parser.parse_args()
    main(max(settings.rounds, 3), settings.count, list(settings.only))
