"""Which PINs were wrong: remembered on disk, so that none of them is tried again.

A YubiKey counts wrong PINs, and after the last one the key is out of reach.  An agent that is
restarted by its service manager would have used up every try within seconds.

The file holds JSON: for each wrong PIN the card's serial number, a salt and the scrypt hash.
A PIN that is right is never kept, except while its first try is under way: ``left`` then tells
how many tries there were before, by which a crash in between is understood afterwards.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from hsm_agent.faults import AgentFault
from hsm_agent.private_files import make_private_folder, read_private, write_private
from hsm_agent.stores.store import TokenFault

_SALT_OCTETS = 16
_LONGEST = 64


@dataclass(frozen=True, slots=True)
class _Entry:
    """A PIN of one card that was wrong, or, where ``left`` is a number, is just being tried."""

    serial: int
    salt: str
    digest: str
    left: int | None = None

    def is_of(self, serial: int, pin: str) -> bool:
        return self.serial == serial and self.digest == _digest(bytes.fromhex(self.salt), pin)


class PinMemory:
    """The wrong PINs of all cards of one agent."""

    def __init__(self, file: Path, entropy: Callable[[int], bytes]) -> None:
        self._file = file
        self._entropy = entropy
        # What was looked up last, and in which version of the file: the hash is slow on purpose.
        self._last: tuple[tuple[int, int, str, int], bool] | None = None

    def was_wrong(self, serial: int, pin: str, left: int) -> bool:
        """Tell whether this PIN was wrong before; ``left`` is how many tries there are now.

        Raises:
            TokenFault: the file cannot be read, so that nobody knows.
        """
        if not self._file.exists():
            return False
        question = (self._file.stat().st_mtime_ns, serial, pin, left)
        if self._last is None or self._last[0] != question:
            self._last = question, self._look(serial, pin, left)
        return self._last[1]

    def _look(self, serial: int, pin: str, left: int) -> bool:
        entry = next((one for one in self._entries() if one.is_of(serial, pin)), None)
        if entry is None:
            return False
        # A try that nobody saw the end of was wrong if it cost one.
        return entry.left is None or left < entry.left

    def begin(self, serial: int, pin: str, left: int) -> None:
        """Write down that this PIN is about to be tried.

        Raises:
            TokenFault: it cannot be written; then nothing must be tried.
        """
        salt = self._entropy(_SALT_OCTETS)
        entry = _Entry(serial, salt.hex(), _digest(salt, pin), left)
        self._write([*self._without(serial, pin), entry])

    def wrong(self, serial: int, pin: str) -> None:
        """Remember that it was wrong.

        Raises:
            TokenFault: it cannot be written.
        """
        salt = self._entropy(_SALT_OCTETS)
        self._write([*self._without(serial, pin), _Entry(serial, salt.hex(), _digest(salt, pin))])

    def right(self, serial: int, pin: str) -> None:
        """Forget this PIN: it was right.

        Raises:
            TokenFault: it cannot be written.
        """
        known = self._entries()
        kept = [entry for entry in known if not entry.is_of(serial, pin)]
        if len(kept) < len(known):
            self._write(kept)

    def _without(self, serial: int, pin: str) -> list[_Entry]:
        return [entry for entry in self._entries() if not entry.is_of(serial, pin)]

    def _entries(self) -> list[_Entry]:
        if not self._file.exists():
            return []
        try:
            document = json.loads(read_private(self._file))
            if not isinstance(document, list):
                raise TypeError("it should be a list")  # noqa: TRY301 - said like other nonsense
            return [_entry(told) for told in document]
        except (AgentFault, OSError, ValueError, TypeError, LookupError, RecursionError) as error:
            raise TokenFault(
                f"{self._file} cannot be read, no PIN is tried without it: {error}"
            ) from error

    def _write(self, entries: list[_Entry]) -> None:
        try:
            make_private_folder(self._file.parent)
            told = [asdict(entry) for entry in entries[-_LONGEST:]]
            write_private(self._file, json.dumps(told, indent=1).encode())
        except OSError as error:
            raise TokenFault(f"{self._file} cannot be written: {error.strerror}") from error


def _entry(told: Mapping[str, object]) -> _Entry:
    """Read an entry; one that tells something else raises what wrong JSON raises."""
    serial, salt, digest, left = (told[name] for name in ("serial", "salt", "digest", "left"))
    if not isinstance(serial, int) or not isinstance(left, int | None):
        raise TypeError("serial and left should be numbers")
    return _Entry(serial, bytes.fromhex(str(salt)).hex(), str(digest), left)


def _digest(salt: bytes, pin: str) -> str:
    """Return a hash that costs a guesser time: a PIN is short, a wrong one near the right one."""
    return hashlib.scrypt(pin.encode(), salt=salt, n=1 << 14, r=8, p=1).hex()
