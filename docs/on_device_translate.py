"""Translates on a device: NumPy and ai-edge-litert, no TensorFlow, Keras or zoo.

    python docs/on_device_translate.py saved_models/dates_to_iso "3 March 2024"

A reference to port: text to pieces, one call, pieces to text; what `zoo export` wrote.
"""

import json
import sys
import unicodedata
from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter

UNKNOWN, END, SPECIALS = 1, 3, 4
SPACE, JOINERS = "\u2581", "\u200c\u200d"  # SPACE: how a piece shows a space
SPELT = {z + d: 48 + d for z in (0x660, 0x6F0) for d in range(10)} | {0x2581: "_"}


def encode(sentence, vocabulary, length):
    """Returns ids of shape (1, length): always the longest piece that fits, the end."""
    spaced = "".join(" " if c.isspace() else c for c in sentence)
    hidden = {c for c in spaced if unicodedata.category(c) in ("Cc", "Cf")}
    text = "".join(c for c in spaced if c not in hidden or c in JOINERS)
    text = unicodedata.normalize("NFKC", text).translate(SPELT)
    text = " ".join(text.split()).replace(" ", SPACE)
    if text and vocabulary["level"] != "character":
        text = SPACE + text
    numbers = {p: n for n, p in enumerate(vocabulary["pieces"]) if n >= SPECIALS}
    ids, at, longest = [], 0, max(map(len, numbers))
    while at < len(text):
        ends = range(min(at + longest, len(text)), at, -1)
        end = next((end for end in ends if text[at:end] in numbers), at + 1)
        ids.append(numbers.get(text[at:end], UNKNOWN))
        at = end
    return np.array([(ids[: length - 1] + [END] + length * [0])[:length]], "int32")


def decode(ids, vocabulary):
    """Returns the text before the end."""
    ids = [*ids, END]
    pieces = ["", "\ufffd", "", "", *vocabulary["pieces"][SPECIALS:]]
    text = "".join(pieces[number] for number in ids[: ids.index(END)])
    return text.replace(SPACE, " ").strip(" ")


def main(folder, sentence, file="model_float32.tflite"):
    """Translates the sentence of the command line."""
    sides = [Path(folder, f"{side}_vocabulary.json") for side in ("source", "target")]
    source, target = (json.loads(path.read_text("utf-8")) for path in sides)
    if source["level"] == "word" or True in source.values():
        raise SystemExit("Not for words, lowercase, persian or byte_fallback sources.")
    search = Interpreter(str(Path(folder, file))).get_signature_runner("beam")
    ids = encode(sentence, source, search.get_input_details()["source"]["shape"][1])
    print(decode(search(source=ids)["tokens"][0], target))


if __name__ == "__main__":
    main(*sys.argv[1:])
