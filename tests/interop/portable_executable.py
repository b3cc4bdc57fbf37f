"""The smallest program for Windows that tools take for one: it returns at once."""

from struct import pack

_ALIGNMENT = 512
_DIRECTORIES = 16


def portable_executable() -> bytes:
    """Return a PE32 file of one section, as Microsoft's "PE Format" describes it."""
    dos = b"MZ".ljust(60, b"\0") + pack("<I", 64)
    coff = pack("<HHIIIHH", 0x14C, 1, 0, 0, 0, 96 + 8 * _DIRECTORIES, 0x0102)
    standard = pack("<HBBIIIIII", 0x10B, 1, 0, _ALIGNMENT, 0, 0, 0x1000, 0x1000, 0x2000)
    places = pack("<III", 0x400000, 0x1000, _ALIGNMENT)
    versions = pack("<HHHHHHI", 4, 0, 0, 0, 4, 0, 0)
    sizes = pack("<IIIHH", 0x2000, _ALIGNMENT, 0, 3, 0)
    stacks = pack("<IIIIII", 0x100000, 0x1000, 0x100000, 0x1000, 0, _DIRECTORIES)
    directories = bytes(8 * _DIRECTORIES)
    section = pack(
        "<8sIIIIIIHHI", b".text", 1, 0x1000, _ALIGNMENT, _ALIGNMENT, 0, 0, 0, 0, 0x60000020
    )
    optional = standard + places + versions + sizes + stacks + directories
    head = dos + b"PE\0\0" + coff + optional + section
    return head.ljust(_ALIGNMENT, b"\0") + b"\xc3".ljust(_ALIGNMENT, b"\0")
