"""Addresses of Unix sockets in folders whose paths are longer than a socket's may be."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LONGEST = 100
"""The kernel takes 107 octets."""


@contextmanager
def socket_address(path: Path) -> Iterator[str]:
    """Return what to bind or connect to, while the block runs."""
    if len(os.fsencode(path)) <= LONGEST:
        yield str(path)
        return
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)
