"""Octets that come piece by piece as a file, which the server sends without a thread waiting."""

import io
import os
from collections.abc import Iterator


class ForwardFile(io.RawIOBase):
    """A file of known size that is read forwards.

    The server's loop sends a file as the client takes it, from where it is; what an iterator
    yields it would copy to the disk first, once for each client.  The loop looks at some
    octets, sends a part of them, and goes back to the rest: so far back, and no farther, the
    octets are kept.
    """

    def __init__(self, pieces: Iterator[bytes], size: int) -> None:
        super().__init__()
        self._pieces = pieces
        self._size = size
        self._buffer = b""
        self._start = 0
        """Where in the file the buffer begins."""
        self._at = 0

    def readable(self) -> bool:
        """See ``io.IOBase``."""
        return True

    def seekable(self) -> bool:
        """See ``io.IOBase``; only what was read last can be read again."""
        return True

    def tell(self) -> int:
        """See ``io.IOBase``."""
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """See ``io.IOBase``."""
        self._at = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        return self._at

    def read(self, size: int = -1, /) -> bytes:
        """See ``io.RawIOBase``.

        Raises:
            OSError: these octets are gone, or there are fewer than was promised.
        """
        left = max(0, self._size - self._at)
        wanted = left if size < 0 else min(size, left)
        if wanted:
            self._fill(wanted)
        at = self._at - self._start
        found = self._buffer[at : at + wanted]
        self._at += len(found)
        return found

    def close(self) -> None:
        """Let the octets go."""
        self._pieces, self._buffer = iter(()), b""
        super().close()

    def _fill(self, wanted: int) -> None:
        """Read on until the wanted octets are in the buffer."""
        at = self._at - self._start
        if not 0 <= at <= len(self._buffer):
            raise OSError("only what was read last can be read again")
        there = len(self._buffer) - at
        if there >= wanted:
            return
        parts = [self._buffer[at:]]
        while there < wanted:
            piece = next(self._pieces, None)
            if piece is None:
                raise OSError(f"the file ends after {self._at + there} of {self._size} octets")
            parts.append(piece)
            there += len(piece)
        self._buffer, self._start = b"".join(parts), self._at
