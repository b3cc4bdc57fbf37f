"""The certificates of the authorities whose keys are here, in one folder, by key."""

import base64
import textwrap
import threading
from collections.abc import Sequence
from pathlib import Path

from hsm_agent.private_files import make_private_folder, write_private
from hsm_agent.stores.store import TokenFault

_BEGIN = "-----BEGIN CERTIFICATE-----"
_END = "-----END CERTIFICATE-----"


class AuthorityCertificates:
    """One file for each key, named by the SHA-256 of its SubjectPublicKeyInfo, PEM within."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._known: dict[bytes, tuple[bytes, ...]] = {}

    def of(self, spki_hash: bytes) -> tuple[bytes, ...]:
        """Return the certificates of a key in DER: its authority's, then those above it."""
        with self._lock:
            if spki_hash not in self._known:
                self._known[spki_hash] = _read(self._file(spki_hash))
            return self._known[spki_hash]

    def keep(self, spki_hash: bytes, certificates: Sequence[bytes]) -> None:
        """Remember these certificates for a key.

        Raises:
            TokenFault: they cannot be written.
        """
        pem = "".join(map(_pem, certificates))
        with self._lock:
            try:
                make_private_folder(self._folder)
                write_private(self._file(spki_hash), pem.encode())
            except OSError as error:
                raise TokenFault(f"{self._folder} cannot be written: {error.strerror}") from error
            self._known[spki_hash] = tuple(certificates)

    def _file(self, spki_hash: bytes) -> Path:
        return self._folder / f"{spki_hash.hex()}.pem"


def _pem(der: bytes) -> str:
    lines = textwrap.wrap(base64.b64encode(der).decode(), 64)
    return "\n".join([_BEGIN, *lines, _END, ""])


def _read(file: Path) -> tuple[bytes, ...]:
    try:
        blocks = file.read_text(encoding="ascii").split(_BEGIN)[1:]
        return tuple(base64.b64decode(block.partition(_END)[0]) for block in blocks)
    except FileNotFoundError:
        return ()
    except (OSError, ValueError) as error:
        raise TokenFault(f"{file} cannot be read") from error
