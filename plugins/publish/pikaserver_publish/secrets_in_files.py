"""Passwords, tokens and keys, read from files each time, so that a new one counts at once."""

import os
import stat
from pathlib import Path

from pikaserver.api.errors import ConfigurationError

_LIMIT_OCTETS = 16 * 1024


def read_secret(path: str) -> str:
    """Return the text in a file, without the line's end.

    Raises:
        ConfigurationError: it is not there, empty, or everybody may read it.
    """
    try:
        with Path(path).open("rb") as file:
            if stat.S_IMODE(os.fstat(file.fileno()).st_mode) & stat.S_IROTH:
                raise ConfigurationError(f"everybody may read the secret in {path}: chmod o= it")
            octets = file.read(_LIMIT_OCTETS + 1)
    except OSError as failure:
        raise ConfigurationError(f"{path} cannot be read: {failure.strerror}") from None
    try:
        text = octets.decode("utf-8").rstrip("\r\n")
    except UnicodeDecodeError:
        raise ConfigurationError(f"{path} is no text in UTF-8") from None
    if not text or len(octets) > _LIMIT_OCTETS or not text.isprintable():
        raise ConfigurationError(f"{path} should hold one line of text")
    return text
