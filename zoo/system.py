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
import re
import shutil
from pathlib import Path


def folder_of(name):
    """Returns the folder of recipes or presets: in the package as installed, or beside.

    In the repository, `recipes` and `saved_models` stand next to `zoo`; an installation
    has them inside it, so that `zoo` is the only name it takes.
    """
    package = Path(__file__).resolve().parent
    inside = package / name
    return inside if inside.is_dir() else package.parent / name


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


def read_json(path):
    """Returns the object that a JSON file holds, a dictionary.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it holds anything else, naming it.
    """
    try:
        facts = json.loads(Path(path).read_text("utf-8"))
    except FileNotFoundError:
        raise FileNotFoundError(f"There is no file {path}.") from None
    except ValueError as error:  # also of bytes that are no UTF-8
        raise ValueError(f"{path} is damaged: {error}. Restore it.") from error
    if not isinstance(facts, dict):
        raise ValueError(f"{path} is damaged: it holds no JSON object. Restore it.")
    return facts


def sweep(folder):
    """Removes what killed programs left of files they were writing into a folder.

    What a living program writes there stays, and so does an old folder whose successor
    never came: it goes back to its place.

    Args:
        folder: Where to look; its sub-folders are not searched.
    """
    for path in Path(folder).glob(".*"):
        left = re.fullmatch(r"\.(\d+)\.(old\.)?(.+)", path.name)
        if not left or _alive(int(left[1])):
            continue
        if left[2] and not path.with_name(left[3]).exists():
            path.rename(path.with_name(left[3]))
        elif path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()


def _alive(process):
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True  # somebody else's
    return True


#: Locks that this program holds: `{path: open file}`.
_HELD = {}


def lock(folder):
    """Keeps other programs out of a folder for as long as this one runs.

    The system releases the lock when the program ends, however it ends. Where a system
    has no such locks, nothing is locked.

    Args:
        folder: To lock; it gets a file `.lock` with the number of this process.

    Raises:
        ValueError: If another program has locked it.
    """
    try:
        import fcntl
    except ImportError:  # Windows
        return
    path = Path(folder).resolve() / ".lock"
    held = _HELD.pop(path, None)
    if (
        held
        and path.exists()
        and os.path.samestat(os.fstat(held.fileno()), path.stat())
    ):
        _HELD[path] = held
        return
    file = path.open("a+")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.seek(0)
        holder = file.read().strip() or "unknown"
        file.close()
        raise ValueError(
            f"Another program is at work in {folder}: process {holder}. Wait for it, "
            "or choose another folder."
        ) from None
    file.truncate(0)
    file.write(str(os.getpid()))
    file.flush()
    _HELD[path] = file


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
