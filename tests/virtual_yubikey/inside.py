"""The first process of the reader's namespaces: makes them fit, then becomes pcscd.

``python -m tests.virtual_yubikey.inside DESCRIPTOR COMMAND ...`` writes an octet to the
descriptor when the namespaces can be entered.  The USB drivers are covered up, so that this
pcscd never takes a real token away from the machine's own.
"""

import fcntl
import os
import socket
import struct
import subprocess
import sys
from pathlib import Path

GET_FLAGS, SET_FLAGS, UP = 0x8913, 0x8914, 1
DRIVERS = (Path("/usr/lib/pcsc/drivers"), Path("/usr/lib64/pcsc/drivers"))


def main() -> None:
    """Bring loopback up, give /run and the drivers' folder away, and go on as the command."""
    _loopback_up()
    _mount_empty(Path("/run"))
    Path("/run/pcscd").mkdir()
    for folder in DRIVERS:
        if folder.is_dir():
            _mount_empty(folder)
    os.write(int(sys.argv[1]), b"!")
    os.close(int(sys.argv[1]))
    os.execvp(sys.argv[2], sys.argv[2:])  # noqa: S606  # the command is the fixture's


def _loopback_up() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        told = fcntl.ioctl(asking, GET_FLAGS, struct.pack("16sh22x", b"lo", 0))
        flags = struct.unpack("16sh22x", told)[1]
        fcntl.ioctl(asking, SET_FLAGS, struct.pack("16sh22x", b"lo", flags | UP))


def _mount_empty(folder: Path) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(folder)], check=True)


if __name__ == "__main__":
    main()
