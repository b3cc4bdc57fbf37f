"""PIN, PUK and management key on their way into a card: what is worth setting, and how."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from yubikit.core.smartcard import SW
from yubikit.piv import MANAGEMENT_KEY_TYPE, PivSession

from hsm_agent.faults import AgentFault
from hsm_agent.private_files import make_private_folder, read_private, write_private
from hsm_agent.stores.piv.card import FACTORY_PIN, FACTORY_PUK, Card, Refusal, WrongValue
from hsm_agent.stores.piv.making import next_file
from hsm_agent.stores.piv.management_key import (
    best_type,
    put_on_card,
    take_off_card,
    write_key_file,
)
from hsm_agent.stores.piv.pins import LEAST_TRIES, PinFile, checked_pin
from hsm_agent.stores.piv.store import PivStore
from hsm_agent.stores.store import PinLocked, TokenFault, Unsupported

MOST_TRIES = 15


def put_tries(card: Card, tries: tuple[int, int]) -> None:
    """Set how many wrong PINs and PUKs a card takes; it puts both back to the factory's."""
    with card.asked("set the numbers of tries") as session:
        session.set_pin_attempts(*tries)


def change_factory_values(card: Card, pin: str, puk: str) -> list[str]:
    """Change PIN and PUK where they are the factory's; an old card only shows that by a try."""
    told = []
    factory = card.factory_values()
    if "PIN" in factory or not card.has_metadata:
        spare_last_try(card.pin_tries(), card, "PIN")
        told.append(_change(card, "PIN", lambda on: on.change_pin(FACTORY_PIN, pin)))
    if "PUK" in factory or not card.has_metadata:
        told.append(_change(card, "PUK", lambda on: on.change_puk(FACTORY_PUK, puk)))
    return told


def _change(card: Card, what: str, deed: Callable[[PivSession], None]) -> str:
    try:
        with setting(card, f"change the factory's {what}") as session:
            deed(session)
    except WrongValue:
        if card.has_metadata:
            raise
        return f"the {what} was not the factory's, and stays"
    return f"the {what} is new"


@contextmanager
def setting(card: Card, deed: str) -> Iterator[PivSession]:
    """Explain the status by which a card refuses a value that is too simple for it."""
    try:
        with card.asked(deed) as session:
            yield session
    except Refusal as refusal:
        if refusal.status != SW.CONDITIONS_NOT_SATISFIED:
            raise
        raise Unsupported(f"{refusal}: it takes no value that is so short or simple") from refusal


def renew_management_key(store: PivStore, card: Card, *, on_card: bool, pin: str = "") -> str:
    """Set a random management key; it is kept before the card takes it, or there is no way back.

    ``pin`` is needed for ``on_card`` where the settings do not have it.
    """
    kind = best_type(card)
    key = store.parts.entropy(kind.key_len)
    if on_card:
        if pin:
            card.verify(pin)
        else:
            store.parts.pins.prove(card)
        put_on_card(card, key)
        _set_management_key(card, kind, key)
        return f"the management key is new ({kind.name}) and lies on the card, behind the PIN"
    file = store.parts.management.file
    if file is None:
        raise Unsupported("set management-key-file, or keep the management key on the card")
    write_key_file(next_file(file), key)
    _set_management_key(card, kind, key)
    next_file(file).replace(file)
    take_off_card(card)
    return f"the management key is new ({kind.name}) and lies in {file}"


def _set_management_key(card: Card, kind: MANAGEMENT_KEY_TYPE, key: bytes) -> None:
    with card.asked("take a new management key") as session:
        session.set_management_key(kind, key)


def write_pin_file(store: PivStore, old: str | None, new: str) -> None:
    """Keep ``pin-file`` in step: ``old`` is what it must hold, empty for no file, None for any."""
    source = store.parts.pins.source
    if not isinstance(source, PinFile):
        return
    try:
        held = read_private(source.path).decode().rstrip("\r\n") if source.path.exists() else ""
        if old is None or held == old:
            make_private_folder(source.path.parent)
            write_private(source.path, new.encode() + b"\n")
    except (AgentFault, OSError, UnicodeDecodeError) as error:
        raise TokenFault(f"the card has the new PIN, but pin-file does not: {error}") from error


def new_values(pin: str, puk: str) -> None:
    """Return where both are worth setting.

    Raises:
        StoreError: they are not, or are the same.
    """
    if new_value(pin, FACTORY_PIN, "PIN") == new_value(puk, FACTORY_PUK, "PUK"):
        raise Unsupported("PIN and PUK must differ: who has the one would have the other")


def new_value(value: str, factory: str, what: str) -> str:
    """Return a PIN or PUK that is worth setting.

    Raises:
        StoreError: it is none, or one that everybody tries first.
    """
    checked_pin(value, f"the new {what}")
    if value == factory or len(set(value)) == 1:
        raise Unsupported(f"the new {what} is one that everybody tries first")
    return value


def check_tries(tries: tuple[int, int]) -> None:
    """Return where a card with so many tries can be used.

    Raises:
        Unsupported: it would soon be blocked, or guessed.
    """
    if not all(LEAST_TRIES < number <= MOST_TRIES for number in tries):
        raise Unsupported(f"a card is to take {LEAST_TRIES + 1} to {MOST_TRIES} wrong values")


def spare_last_puk(card: Card) -> None:
    """Return where a wrong PUK would not be the last one; an old card does not tell.

    Raises:
        PinLocked: it would.
    """
    if card.has_metadata:
        with card.asked("tell how many PUKs it takes") as session:
            left = session.get_puk_metadata().attempts_remaining
        spare_last_try(left, card, "PUK")


def spare_last_try(left: int, card: Card, what: str) -> None:
    """Return where a wrong value would not be the last one.

    Raises:
        PinLocked: it would.
    """
    if left < LEAST_TRIES:
        raise PinLocked(
            f"YubiKey {card.serial} takes {left} more {what}s: not even a person's typing error is"
            " affordable; ykman does it without asking"
        )
