"""Files that only their owner may read, written whole or not at all."""

import os
import stat
from pathlib import Path

from hsm_agent.faults import SettingsFault

_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def make_private_folder(folder: Path) -> Path:
    """Make a folder for this user alone, unless it is there; return it."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def write_private(path: Path, octets: bytes) -> None:
    """Replace a file by one with mode 0600; after a crash there is the old one or the new one."""
    fresh = path.with_name(f".{path.name}.new")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(octets)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Have new names in a folder on disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_private(path: Path) -> bytes:
    """Read a file that holds a secret.

    Raises:
        SettingsFault: it cannot be read, or others may read it too.
    """
    try:
        mode = path.stat().st_mode
        octets = path.read_bytes()
    except OSError as error:
        raise SettingsFault(f"{path} cannot be read: {error.strerror}") from error
    if mode & _OTHERS:
        raise SettingsFault(f"{path} holds a secret that others can read: chmod 600 {path}")
    return octets
