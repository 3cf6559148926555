"""Translates on a device: NumPy and ai-edge-litert, no TensorFlow, Keras or zoo.

    python docs/on_device_translate.py saved_models/dates_to_iso "3 March 2024"

A reference to port: text to pieces, one call, pieces to text. Reads what `zoo export`
wrote, for vocabularies of subwords or characters without byte fallback.
"""

import json
import sys
import unicodedata
from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter

UNKNOWN, END = 1, 3
SPACE = "\u2581"  # how a piece shows a space
DIGITS = {zero + digit: 48 + digit for zero in (0x660, 0x6F0) for digit in range(10)}


def encode(sentence, vocabulary, length):
    """Returns ids of shape (1, length): always the longest piece that fits, the end."""
    text = unicodedata.normalize("NFKC", sentence).translate(DIGITS)
    text = " ".join(text.split()).replace(" ", SPACE)
    if vocabulary["level"] != "character":
        text = SPACE + text
    numbers = {piece: number for number, piece in enumerate(vocabulary["pieces"])}
    ids, at = [], 0
    while at < len(text):
        ends = range(len(text), at, -1)
        end = next((end for end in ends if text[at:end] in numbers), at + 1)
        ids.append(numbers.get(text[at:end], UNKNOWN))
        at = end
    row = (ids[: length - 1] + [END] + length * [0])[:length]
    return np.array([row], "int32")


def decode(ids, vocabulary):
    """Returns the text before the end."""
    ids = list(ids) + [END]
    pieces = ["", "\N{REPLACEMENT CHARACTER}", "", "", *vocabulary["pieces"][4:]]
    text = "".join(pieces[number] for number in ids[: ids.index(END)])
    return text.replace(SPACE, " ").strip(" ")


def main(folder, sentence, file="model_float16.tflite"):
    """Translates the sentence of the command line."""
    source, target = (
        json.loads(Path(folder, f"{side}_vocabulary.json").read_text("utf-8"))
        for side in ("source", "target")
    )
    model = Interpreter(str(Path(folder, file)))
    search = model.get_signature_runner("beam")  # or "greedy"
    ids = encode(sentence, source, search.get_input_details()["source"]["shape"][1])
    print(decode(search(source=ids)["tokens"][0], target))


if __name__ == "__main__":
    main(*sys.argv[1:])
