"""Which request the worker has begun: a number that both processes see, also when one has died."""

import mmap
import os
import struct

_NUMBER = struct.Struct("=Q")


class Begun:
    """Eight octets of shared memory; the worker writes, the store reads."""

    def __init__(self, descriptor: int) -> None:
        """Look at a descriptor that `new` made, in this process or in the one that started it."""
        self._octets = mmap.mmap(descriptor, _NUMBER.size)

    @staticmethod
    def new() -> int:
        """Return the descriptor of a number that is 0, and that nobody else sees yet."""
        descriptor = os.memfd_create("begun")
        os.truncate(descriptor, _NUMBER.size)
        return descriptor

    def note(self, number: int) -> None:
        """Write down that this request is done from now on."""
        _NUMBER.pack_into(self._octets, 0, number)

    def number(self) -> int:
        """Return the request that was begun last, 0 before the first."""
        found: int = _NUMBER.unpack_from(self._octets, 0)[0]
        return found

    def close(self) -> None:
        """Look no more."""
        self._octets.close()
