import os

import pytest

from zoo.system import sha256, size, whole, write_json


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "deep" / "facts.json"
    write_json(path, {"a": 1})
    with pytest.raises(RuntimeError), whole(path) as beside:
        beside.write_text("half")
        raise RuntimeError
    assert path.read_text() == '{\n  "a": 1\n}\n'
    assert os.listdir(path.parent) == ["facts.json"]


def test_a_folder_is_replaced_whole(tmp_path):
    for content in ("old", "new"):
        with whole(tmp_path / "folder") as beside:
            beside.mkdir()
            (beside / content).write_text(content)
    assert os.listdir(tmp_path) == ["folder"]
    assert os.listdir(tmp_path / "folder") == ["new"]


def test_a_failed_folder_leaves_the_old_one(tmp_path):
    (tmp_path / "folder").mkdir()
    with pytest.raises(RuntimeError), whole(tmp_path / "folder") as beside:
        beside.mkdir()
        (beside / "half").write_text("")
        raise RuntimeError
    assert os.listdir(tmp_path) == ["folder"]
    assert os.listdir(tmp_path / "folder") == []


def test_size_and_digest(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "abc").write_bytes(b"abc")
    assert size(tmp_path) == 3
    # FIPS 180-2, appendix B.1
    assert sha256(tmp_path / "sub" / "abc").startswith("ba7816bf8f01cfea414140de5dae22")
