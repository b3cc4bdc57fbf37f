"""Where the key-encryption key's secret is read from: a key file, or systemd's credentials."""

import os
import stat
from pathlib import Path

from pikaserver.api.errors import ConfigurationError
from pikaserver.api.operations import Entropy
from pikaserver.signing.sealing import KEY_OCTETS

_LIMIT_OCTETS = 1024
"""The longest passphrase; a key file is shorter."""


def create_key_file(path: Path, entropy: Entropy) -> bytes:
    """Write a new key for its owner's eyes only, durably, and return it.

    Raises:
        ConfigurationError: the file exists already, or cannot be written.
    """
    key = entropy(KEY_OCTETS)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(key.hex().encode("ascii") + b"\n")
            file.flush()
            os.fsync(file.fileno())
    except OSError as failure:
        raise ConfigurationError(
            f"the key file {path} cannot be made: {failure.strerror}"
        ) from None
    return key


def read_key_file(path: Path) -> bytes:
    """Return the key in a file of 64 hexadecimal digits or 32 octets.

    Raises:
        ConfigurationError: it cannot be read, others may read it, or it is not a key.
    """
    return read_key(_read(path, "key file", private=True), f"the key file {path}")


def read_key_credential(directory: Path, name: str) -> bytes:
    """Return the key in a systemd credential; systemd alone sets who may read it there.

    Raises:
        ConfigurationError: there is none of this name, or it is not a key.
    """
    return read_key(_read(directory / name, "credential"), f"the credential {name}")


def read_passphrase_credential(directory: Path, name: str) -> bytes:
    """Return the passphrase in a systemd credential, without the newline at its end.

    Raises:
        ConfigurationError: there is none of this name, or it is empty.
    """
    passphrase = _read(directory / name, "credential").rstrip(b"\r\n")
    if not passphrase:
        raise ConfigurationError(f"the credential {name} is empty")
    return passphrase


def read_key(octets: bytes, source: str) -> bytes:
    """Return the key that these octets are or spell out.

    Raises:
        ConfigurationError: they are neither.
    """
    if len(octets) == KEY_OCTETS:
        return octets
    try:
        key = bytes.fromhex(octets.decode("ascii"))
    except ValueError:
        key = b""
    if len(key) != KEY_OCTETS:
        raise ConfigurationError(f"{source} holds neither 32 octets nor 64 hexadecimal digits")
    return key


def _read(path: Path, what: str, *, private: bool = False) -> bytes:
    try:
        with path.open("rb") as file:
            if private and stat.S_IMODE(os.fstat(file.fileno()).st_mode) & 0o077:
                raise ConfigurationError(f"others may use the {what} {path}: chmod 600 it")
            octets = file.read(_LIMIT_OCTETS + 1)
    except OSError as failure:
        raise ConfigurationError(f"the {what} {path} cannot be read: {failure.strerror}") from None
    if len(octets) > _LIMIT_OCTETS:
        raise ConfigurationError(f"the {what} {path} has more than {_LIMIT_OCTETS} octets")
    return octets
