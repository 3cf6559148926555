"""Keeps what a person reads in a terminal free of what no person can use."""

import contextlib
import os


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
