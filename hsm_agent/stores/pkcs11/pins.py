"""Where the PIN comes from, and which PINs a token has refused: those are never tried again."""

import fcntl
import getpass
import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Protocol

from hsm_agent.faults import SettingsFault
from hsm_agent.private_files import make_private_folder, read_private, write_private
from hsm_agent.stores.store import PinNeeded

Entropy = Callable[[int], bytes]

_SALT_OCTETS = 16
_UNKNOWN_OUTCOMES = 2
"""How often a PIN is tried of which no try ended: the worker died, or the host, within it."""
_MOST_REMEMBERED = 64


class PinSource(Protocol):
    """Where a PIN is configured."""

    @property
    def at_hand(self) -> bool:
        """Whether reading it disturbs nobody."""
        ...

    def read(self) -> str:
        """Return the PIN as it is configured now.

        Raises:
            PinNeeded: there is none.
        """
        ...


@dataclass(frozen=True, slots=True)
class PinFile:
    """A file that must be its owner's alone: mode 0600 or 0400."""

    path: Path
    at_hand: ClassVar[bool] = True

    def read(self) -> str:
        """See `PinSource`."""
        return _from_file(lambda: read_private(self.path), self.path)


@dataclass(frozen=True, slots=True)
class PinCredential:
    """A credential of systemd; ``folder`` is ``$CREDENTIALS_DIRECTORY``.

    The folder is the service's alone; the mode of the file is not looked at, since systemd lets
    the service's user in by an access list, which shows as rights of a group.
    """

    folder: str
    name: str
    at_hand: ClassVar[bool] = True

    def read(self) -> str:
        """See `PinSource`."""
        if not self.folder:
            raise PinNeeded(f"no credentials are there: the unit needs LoadCredential={self.name}:")
        path = Path(self.folder) / self.name
        return _from_file(path.read_bytes, path)


@dataclass(slots=True)
class PromptedPin:
    """Asks for the PIN at the terminal, once; it is kept in memory for later sessions."""

    what: str
    ask: Callable[[str], str] = getpass.getpass
    terminal: Path = Path("/dev/tty")
    _answer: str = field(default="", repr=False)

    @property
    def at_hand(self) -> bool:
        """See `PinSource`."""
        return bool(self._answer)

    def read(self) -> str:
        """See `PinSource`."""
        if not self._answer:
            self._answer = self._asked()
        return self._answer

    def _asked(self) -> str:
        try:
            # Without a terminal, getpass would read, and show, what is piped into this program.
            with self.terminal.open("rb"):
                answer = self.ask(f"PIN of {self.what}: ")
        except (OSError, EOFError):
            raise PinNeeded("no terminal is there to ask for the PIN: name a pin-file") from None
        if not answer:
            raise PinNeeded("no PIN was given")
        return answer


@dataclass(frozen=True, slots=True)
class NoPin:
    """Of a token that nobody logs in to."""

    at_hand: ClassVar[bool] = True

    def read(self) -> str:
        """See `PinSource`."""
        raise PinNeeded("the token wants a login, and the settings say login = false")


def _from_file(read: Callable[[], bytes], path: Path) -> str:
    try:
        pin = read().decode().rstrip("\r\n")
    except SettingsFault as fault:
        raise PinNeeded(str(fault)) from None
    except OSError as error:
        raise PinNeeded(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise PinNeeded(f"{path} holds no text") from None
    if not pin:
        raise PinNeeded(f"{path} is empty")
    return pin


class RefusedPins:
    """The PINs that were tried in vain, as salted hashes in a file; the right one is not kept.

    Before the first try of a PIN its hash is written down, so that no end of this program can
    make it forget that there was a try.
    """

    def __init__(self, path: Path, entropy: Entropy) -> None:
        self._path = path
        self._entropy = entropy
        self._right = ""
        self._refused = ""

    def check(self, pin: str) -> None:
        """Return when this PIN may be tried.

        Raises:
            PinNeeded: the token refused it before, or nobody knows how its tries ended.
        """
        if pin == self._right:
            return
        if pin == self._refused and self._path.exists():
            raise self._no_more("the token has refused this PIN")
        salt, tries = self._read()
        count = tries.get(_hashed(pin, salt), 0) if tries else 0
        if count < 0:
            self._refused = pin
            raise self._no_more("the token has refused this PIN")
        if count >= _UNKNOWN_OUTCOMES:
            raise self._no_more(f"{count} tries of this PIN were cut short, their outcome unknown")

    @contextmanager
    def turn(self, pin: str) -> Iterator[None]:
        """Write down that this PIN is tried now; other processes wait for the outcome.

        Whoever leaves without saying `right`, `wrong` or `not_tried` does not know it.

        Raises:
            PinNeeded: as `check`; or nothing can be written down, so that nothing is tried.
        """
        if pin == self._right:
            yield
            return
        try:
            make_private_folder(self._path.parent)
            lock = self._path.with_suffix(".lock").open("wb")
        except OSError as error:
            raise self._unwritable(error) from None
        with lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            self.check(pin)
            self._count(pin, 1)
            yield

    def not_tried(self, pin: str) -> None:
        """Take back what `turn` wrote: the token was not asked."""
        if pin != self._right:
            self._count(pin, -1)

    def right(self, pin: str) -> None:
        """Forget the try: the PIN is right, and nothing about it stays on disk."""
        if pin != self._right:
            self._right = pin
            self._count(pin, 0)

    def wrong(self, pin: str) -> None:
        """Remember for ever that the token has refused this PIN."""
        self._right, self._refused = "", pin
        self._count(pin, None)

    def _count(self, pin: str, more: int | None) -> None:
        """Change the count of a PIN's open tries: by one, to none (0), or to refused (``None``)."""
        salt, tries = self._read()
        name = _hashed(pin, salt)
        before = tries.pop(name, 0)
        count = -1 if more is None else (before + more if more else 0)
        if count:
            tries[name] = count
        latest = dict(list(tries.items())[-_MOST_REMEMBERED:])
        try:
            if latest:
                record = {"salt": salt.hex(), "tries": latest}
                write_private(self._path, json.dumps(record).encode())
            else:
                self._path.unlink(missing_ok=True)
        except OSError as error:
            raise self._unwritable(error) from None

    def _read(self) -> tuple[bytes, dict[str, int]]:
        try:
            record = json.loads(self._path.read_bytes())
            tries = {str(name): int(count) for name, count in record["tries"].items()}
            return bytes.fromhex(record["salt"]), tries
        except FileNotFoundError:
            return self._entropy(_SALT_OCTETS), {}
        except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
            raise self._no_more("the record of refused PINs cannot be read") from None

    def _unwritable(self, error: OSError) -> PinNeeded:
        return PinNeeded(f"{self._path} cannot be written, so no PIN is tried: {error.strerror}")

    def _no_more(self, why: str) -> PinNeeded:
        return PinNeeded(
            f"{why}: it is not tried again; put the right one into its place, or"
            f" remove {self._path} to allow one more try"
        )


def _hashed(pin: str, salt: bytes) -> str:
    """Return a hash that takes a while: PINs are short."""
    return hashlib.scrypt(pin.encode(), salt=salt, n=1 << 14, r=8, p=1, dklen=32).hex()
