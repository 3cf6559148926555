"""What a program without the zoo gets of a translator, for `zoo.deploy.export`.

A server takes and returns strings; a device, where sizes are fixed and strings are not
to be had, takes token ids. Both also get the parts, for a search of their own.
"""

import numpy as np
import tensorflow as tf

from zoo.text.vocabulary import END, PADDING

#: Tokens of a sentence on a device, where sizes are fixed: in the source and after.
DEVICE_LENGTH = 64
#: Rows of a step on a device, and the width of its beam.
DEVICE_BEAM = 5


def served(translator, longest):
    """Returns the endpoint of a server: `translate`, from strings to strings.

    By a beam of 5 and a length penalty of 0.6, whatever a recipe measures with. An
    empty sentence stays empty, with score 0; one of more tokens than `longest` is left
    out, with an empty translation and score -inf, and the others do not wait for it.

    Args:
        translator: A `zoo.text.translation.Translator`.
        longest: Tokens, the end included, up to which a sentence is translated.
    """

    def translate(sentences):
        source = translator.source_vocabulary.encode_tf(sentences)  # (batch, time)
        lengths = tf.reduce_sum(tf.cast(source != PADDING, tf.int32), axis=1)
        empty = lengths <= 1  # nothing but the end
        kept = ~empty & (lengths <= longest)  # (batch,)
        rows = tf.boolean_mask(source, kept)  # (kept, time)
        # No time for what is left out; one place where there is nothing at all.
        most = tf.maximum(1, tf.reduce_max(tf.where(kept, lengths, 1)))
        found = translator.search(rows[:, :most], beam=5)
        texts = translator.target_vocabulary.decode_tf(found.tokens[:, 0])  # (kept,)
        # Back to their places; the others look behind the last.
        count = tf.size(texts)
        place = tf.where(kept, tf.cumsum(tf.cast(kept, tf.int32)) - 1, count)
        texts = tf.gather(tf.concat([texts, [""]], 0), place)  # (batch,)
        scores = tf.gather(tf.concat([found.scores[:, 0], [-np.inf]], 0), place)
        return {"translations": texts, "scores": tf.where(empty, 0.0, scores)}

    sentences = tf.TensorSpec((None,), tf.string, name="sentences")
    return {"translate": (translate, [sentences])}


def on_device(translator):
    """Returns the endpoints of a device, `greedy` and `beam`: one sentence at a time.

    Of an empty sentence they make an empty one.

    Args:
        translator: A `zoo.text.translation.Translator`.
    """
    source = tf.TensorSpec((1, DEVICE_LENGTH), tf.int32, name="source")

    def search(source, beam):
        found = translator.search(source, beam=beam, max_length=DEVICE_LENGTH)
        first = source[:, :1]  # (1, 1)
        empty = (first == END) | (first == PADDING)
        nothing = tf.constant([[END] + [PADDING] * (DEVICE_LENGTH - 1)])
        # (1, DEVICE_LENGTH)
        return {"tokens": tf.where(empty, nothing, found.tokens[:, 0])}

    return {
        "greedy": (lambda source: search(source, 1), [source]),
        "beam": (lambda source: search(source, DEVICE_BEAM), [source]),
    }


def steps(model, batch, time, rows):
    """Returns `encode` and `decode_step`, for tensors of these sizes or any.

    All that changes from step to step is one tensor, `state`: so a program need not
    know how many layers there are, nor of which kind.

    Args:
        model: Has `encode(source)`, `next_token()` and a
            `zoo.networks.recurrent.Decoder` named `decoder`.
        batch: Sentences that are encoded at once; `None` for any.
        time: Tokens of a source; `None` for any.
        rows: Of a step; `None` for any.
    """
    decoder = model.decoder
    widths = decoder.state_widths()

    def encode(source):
        outputs, last, lengths = model.encode(source)
        state = tf.concat(decoder.start(last), axis=-1)  # (batch, sum of widths)
        memory = decoder.memory(outputs, lengths)  # empty without attention
        parts = dict(zip(("keys", "values", "padding"), memory, strict=False))
        parts = {"state": state} | parts
        return {name: tf.cast(part, tf.float32) for name, part in parts.items()}

    def decode_step(tokens, state, *memory):
        states = tf.split(decoder.value(state), widths, axis=-1)  # (rows, width) each
        logits, after = model.next_token()(tokens, {"recurrent": states}, memory)
        return {
            "log_probabilities": tf.nn.log_softmax(logits),  # (rows, vocabulary)
            "state": tf.cast(tf.concat(after["recurrent"], axis=-1), tf.float32),
        }

    def with_attention(tokens, state, keys, values, padding):
        keys, values = decoder.value(keys), decoder.value(values)
        return decode_step(tokens, state, keys, values, padding)

    def without_attention(tokens, state):
        return decode_step(tokens, state)

    def spec(shape, name, dtype=tf.float32):
        return tf.TensorSpec(shape, dtype, name=name)

    inputs = [spec((rows,), "tokens", tf.int32), spec((rows, sum(widths)), "state")]
    if decoder.attention:
        keys, values = decoder.memory_widths()
        inputs += [
            spec((batch, time, keys), "keys"),
            spec((batch, time, values), "values"),
            spec((batch, time), "padding"),
        ]
    step = with_attention if decoder.attention else without_attention
    return {
        "encode": (encode, [spec((batch, time), "source", tf.int32)]),
        "decode_step": (step, inputs),
    }
