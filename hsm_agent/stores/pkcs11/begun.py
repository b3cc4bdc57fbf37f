"""Which request the worker has begun: a number that both processes see, also when one has died."""

import fcntl
import mmap
import os
import struct

_NUMBER = struct.Struct("=Q")
_ONE_SIZE = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL


class Begun:
    """Eight octets of shared memory; the worker writes, the store reads."""

    def __init__(self, descriptor: int) -> None:
        """Look at a descriptor that `new` made, in this process or in the one that started it."""
        self._octets = mmap.mmap(descriptor, _NUMBER.size)

    @staticmethod
    def new() -> int:
        """Return the descriptor of a number that is 0, and that nobody else sees yet.

        Its size is sealed: a module that made it smaller would end whoever reads it next.
        """
        descriptor = os.memfd_create("begun", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        try:
            os.truncate(descriptor, _NUMBER.size)
            fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, _ONE_SIZE)
        except OSError:
            os.close(descriptor)
            raise
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
