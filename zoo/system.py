"""Files and folders that appear whole or not at all, and a terminal free of noise.

Everything the zoo writes is written beside its place and renamed into it, so a kill
or a full disk never leaves a half-written file under a name somebody will read. A kill
may leave what was being written under a hidden name, `.PID.name`, and, in the moment
when a folder takes the place of another, the old one as `.PID.old.name`.
"""

import contextlib
import hashlib
import json
import os
import shutil
from pathlib import Path


@contextlib.contextmanager
def whole(path):
    """Yields a path to write a file or a folder at, renamed to `path` on success.

    What was there before is replaced; if the body raises, it stays as it was.

    Args:
        path: Where the file or folder shall be. Its parents are made.

    Example:
        >>> with whole("report.json") as beside:
        ...     beside.write_text("{}")
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # The suffix stays last: writers choose their format by it.
    beside = path.with_name(f".{os.getpid()}.{path.name}")
    try:
        yield beside
        if path.is_dir():  # a folder cannot be renamed over another that has files
            old = path.with_name(f".{os.getpid()}.old.{path.name}")
            path.rename(old)
            beside.rename(path)
            shutil.rmtree(old)
        else:
            beside.replace(path)
    finally:
        if beside.is_dir():
            shutil.rmtree(beside)
        else:
            beside.unlink(missing_ok=True)


def write_json(path, facts):
    """Writes a JSON file, indented, in the order given, whole or not at all."""
    with whole(path) as beside:
        beside.write_text(json.dumps(facts, indent=2) + "\n", "utf-8")


def sha256(path):
    """Returns the SHA-256 of a file, in hex."""
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def size(path):
    """Returns the bytes of a file, or of all files below a folder."""
    path = Path(path)
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())


@contextlib.contextmanager
def silence():
    """Discards what C++ libraries write to standard error while the body runs.

    Python exceptions pass through: only the file descriptor is redirected.
    """
    saved, null = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 2)
    try:
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        os.close(null)
