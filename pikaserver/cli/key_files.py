"""Private keys in files: read with their passphrase, which is asked for when it is needed."""

from contextlib import suppress
from pathlib import Path

from pikaserver.cli.files import known_passphrase, read_file
from pikaserver.signing import private_keys
from pikaserver.signing.private_keys import KeyFile, KeyFileClosed


def read_key_file(path: Path, passphrase_file: Path | None) -> KeyFile:
    """Return the private key of a file, and the certificates beside it.

    Raises:
        MalformedRequest: there is none, or the passphrase does not open it.
    """
    octets = read_file(path)
    if passphrase_file is None:
        with suppress(KeyFileClosed):
            return private_keys.read_key_file(octets)
    return private_keys.read_key_file(octets, known_passphrase(passphrase_file, str(path)))
