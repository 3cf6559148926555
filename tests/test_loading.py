import shutil
import subprocess
import sys
import zipfile

import pytest

from zoo.deploy import presets
from zoo.training.loading import load_model

MODEL = presets.SHELF / "classifier_mnist" / "model.keras"


def test_a_model_is_found_by_the_class_its_file_names():
    """In a new program, which has imported no model yet."""
    script = (
        "from zoo.training.loading import load_model\n"
        f"print(type(load_model({str(MODEL)!r})).__name__)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], check=True, capture_output=True, text=True
    )
    assert done.stdout == "Classifier\n"


def test_one_flipped_byte_is_noticed_and_its_file_named(tmp_path):
    path = tmp_path / "model.keras"
    data = bytearray(MODEL.read_bytes())
    with zipfile.ZipFile(MODEL) as archive:
        entry = archive.getinfo("model.weights.h5")
    data[entry.header_offset + entry.compress_size // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(ValueError, match="model.keras is damaged: .*weights.h5"):
        load_model(path)


def test_what_is_no_archive_is_named(tmp_path):
    path = tmp_path / "model.keras"
    shutil.copy(MODEL, path)
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2)
    with pytest.raises(ValueError, match="model.keras is no model that Keras saved"):
        load_model(path)
    with pytest.raises(FileNotFoundError, match="There is no file .*nothing.keras"):
        load_model(tmp_path / "nothing.keras")
