"""Where the PIN comes from, and the rules under which it is shown to a card."""

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from hsm_agent.faults import AgentFault
from hsm_agent.private_files import read_private
from hsm_agent.stores.piv.card import FACTORY_PIN, Card, WrongValue
from hsm_agent.stores.piv.pin_memory import PinMemory
from hsm_agent.stores.store import PinLocked, PinNeeded

SHORTEST, LONGEST = 6, 8
LEAST_TRIES = 2
"""The last try is left for a person."""
CHECK = "correct it, or let a person try it: hsm-agent pin check"


class PinSource(Protocol):
    """Knows the PIN, now or not."""

    def pin(self) -> str:
        """Return it, even if a person has to be asked.

        Raises:
            PinNeeded: it is not to be had.
        """
        ...

    def known(self) -> str:
        """Return it without asking anybody.

        Raises:
            PinNeeded: it is not at hand.
        """
        ...


class PinFile:
    """A file with mode 0600, or a credential of the service manager; read each time."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @property
    def path(self) -> Path:
        """Where it is."""
        return self._path

    def pin(self) -> str:
        """See `PinSource`."""
        try:
            text = read_private(self._path).decode("ascii").rstrip("\r\n")
        except (AgentFault, OSError, UnicodeDecodeError) as error:
            raise PinNeeded(f"no PIN: {error}") from error
        return checked_pin(text, str(self._path))

    def known(self) -> str:
        """See `PinSource`."""
        return self.pin()


class AskedPin:
    """A PIN that somebody types in, once; it is kept in memory until the agent ends."""

    def __init__(self, ask: Callable[[], str] | None = None) -> None:
        self._ask = ask
        self._pin = ""

    def pin(self) -> str:
        """See `PinSource`."""
        if not self._pin and self._ask is not None:
            self._pin = checked_pin(self._ask(), "what was typed in")
        return self.known()

    def known(self) -> str:
        """See `PinSource`."""
        if not self._pin:
            raise PinNeeded("no PIN: set pin-file or pin-credential, or type it in when asked")
        return self._pin

    def take(self, pin: str) -> None:
        """Keep a PIN that somebody typed in elsewhere.

        Raises:
            PinNeeded: it cannot be one.
        """
        self._pin = checked_pin(pin, "what was typed in")


class PinGuard:
    """Shows the PIN to a card; each value that is wrong costs one try, ever."""

    def __init__(self, source: PinSource, memory: PinMemory) -> None:
        self._source = source
        self._memory = memory
        self._proven: tuple[int, str] | None = None

    @property
    def source(self) -> PinSource:
        """Where the PIN comes from."""
        return self._source

    def complaint(self, card: Card, left: int) -> tuple[str, str]:
        """Say what stands in the way of proving the PIN: a state of keys, and a sentence.

        Both are empty where nothing does.  Nothing is tried.
        """
        if left < LEAST_TRIES:
            return "pin-locked", _locked(card, left)
        try:
            pin = self._source.known()
        except PinNeeded as error:
            return "pin-needed", str(error)
        if pin == FACTORY_PIN:
            return "pin-needed", _factory(card)
        if self._proven != (card.serial, pin) and self._memory.was_wrong(card.serial, pin, left):
            return "pin-needed", _was_wrong(card)
        return "", ""

    def prove(self, card: Card) -> None:
        """Prove the PIN to a card, unless it must not be tried.

        Raises:
            PinNeeded: there is none, it is the factory's, or it was wrong, now or before.
            PinLocked: the card counts too many wrong ones.
            StoreError: the card is gone, or the memory of wrong PINs cannot be kept.
        """
        pin = self._source.pin()
        if self._proven == (card.serial, pin) and card.verified:
            # The same line to the same card: nobody can have changed it, nothing is written.
            self._try(card, pin)
            return
        left = card.pin_tries()
        state, why = self.complaint(card, left)
        if state:
            raise PinLocked(why) if state == "pin-locked" else PinNeeded(why)
        self._memory.begin(card.serial, pin, left)
        self._try(card, pin)
        self._memory.right(card.serial, pin)

    def check(self, card: Card, pin: str | None = None) -> int:
        """Try a PIN because a person asks for it; return how many tries the card now has.

        Raises:
            PinNeeded: it is wrong, or there is none.
            PinLocked: only the last try is left.
            StoreError: as `prove`.
        """
        value = self._source.pin() if pin is None else checked_pin(pin, "what was typed in")
        left = card.pin_tries()
        if left < LEAST_TRIES:
            raise PinLocked(_locked(card, left))
        self._memory.begin(card.serial, value, left)
        self._try(card, value)
        self._memory.right(card.serial, value)
        return card.pin_tries()

    def _try(self, card: Card, pin: str) -> None:
        try:
            card.verify(pin)
        except WrongValue as error:
            self._proven = None
            self._memory.wrong(card.serial, pin)
            if error.left < LEAST_TRIES:
                raise PinLocked(_locked(card, error.left)) from error
            raise PinNeeded(
                f"the PIN is not that of YubiKey {card.serial}, {error.left} tries are left;"
                f" this value is not tried again: {CHECK}"
            ) from error
        self._proven = (card.serial, pin)


def checked_pin(text: str, place: str) -> str:
    """Return a PIN or PUK that can be one.

    Raises:
        PinNeeded: it cannot; showing it to the card would only cost a try.
    """
    if not SHORTEST <= len(text) <= LONGEST or not text.isascii() or not text.isprintable():
        raise PinNeeded(f"{place} is no PIN: {SHORTEST} to {LONGEST} letters, digits or signs")
    return text


def _locked(card: Card, left: int) -> str:
    if left:
        return (
            f"YubiKey {card.serial} takes one more PIN, and the last try is left for a person:"
            " hsm-agent pin unblock sets a new PIN by the PUK"
        )
    return (
        f"the PIN of YubiKey {card.serial} is blocked:"
        " hsm-agent pin unblock sets a new one by the PUK"
    )


def _factory(card: Card) -> str:
    return (
        f"YubiKey {card.serial} is not used with the factory's PIN:"
        " hsm-agent pin initialise changes it"
    )


def _was_wrong(card: Card) -> str:
    return f"this PIN was wrong on YubiKey {card.serial} and is not tried again: {CHECK}"
