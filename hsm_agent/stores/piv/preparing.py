"""Deeds of a person at the card: off the factory's values, new PINs, unblocking, checking.

They are functions for the command line.  Secrets come as arguments of functions, never of
programs.  After each deed the store looks at its card as if for the first time.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from yubikit.piv import DEFAULT_MANAGEMENT_KEY

from hsm_agent.stores.piv.card import FACTORY_PIN, FACTORY_PUK, Card
from hsm_agent.stores.piv.card_secrets import (
    change_factory_values,
    check_tries,
    new_value,
    new_values,
    put_tries,
    renew_management_key,
    setting,
    spare_last_puk,
    spare_last_try,
    write_pin_file,
)
from hsm_agent.stores.piv.pins import checked_pin
from hsm_agent.stores.piv.store import PivStore

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Fresh:
    """What a card shall have instead of the factory's values.

    ``tries`` are how many wrong PINs and PUKs it takes, three each where nothing is said.
    ``on_card`` keeps the new management key on the card, behind the PIN, instead of in a file.
    """

    pin: str = field(repr=False)
    puk: str = field(repr=False)
    tries: tuple[int, int] | None = None
    on_card: bool = False


def initialise(store: PivStore, fresh: Fresh) -> tuple[str, ...]:
    """Change whatever is still the factory's; return sentences about what was done.

    What was changed before stays as it is, so that an interrupted run is simply repeated.  The
    PIN is written into ``pin-file`` where that is set and nothing is there; the management key
    into ``management-key-file``, unless it is to be kept on the card.

    Raises:
        StoreError: the card is not there, or refuses; what was done before stays done.
    """
    new_values(fresh.pin, fresh.puk)
    if fresh.tries is not None:
        check_tries(fresh.tries)

    def deed(card: Card) -> tuple[str, ...]:
        told = [
            _set_first_tries(store, card, fresh),
            *change_factory_values(card, fresh.pin, fresh.puk),
        ]
        write_pin_file(store, "", fresh.pin)
        if "management key" in card.factory_values():
            card.authenticate(DEFAULT_MANAGEMENT_KEY)
            told.append(renew_management_key(store, card, on_card=fresh.on_card, pin=fresh.pin))
        return tuple(sentence for sentence in told if sentence)

    return _done(store, deed)


def change_pin(store: PivStore, old: str, new: str) -> None:
    """Change the PIN, and ``pin-file`` with it if it holds the old one.

    Raises:
        StoreError: the old one is wrong, or the card is not there.
    """
    new = new_value(new, FACTORY_PIN, "PIN")

    def deed(card: Card) -> None:
        spare_last_try(card.pin_tries(), card, "PIN")
        with setting(card, "change the PIN") as session:
            session.change_pin(checked_pin(old, "the old PIN"), new)
        write_pin_file(store, old, new)

    _done(store, deed)


def change_puk(store: PivStore, old: str, new: str) -> None:
    """Change the PUK.

    Raises:
        StoreError: the old one is wrong, or the card is not there.
    """
    new = new_value(new, FACTORY_PUK, "PUK")

    def deed(card: Card) -> None:
        spare_last_puk(card)
        with setting(card, "change the PUK") as session:
            session.change_puk(checked_pin(old, "the old PUK"), new)

    _done(store, deed)


def unblock_pin(store: PivStore, puk: str, new: str) -> None:
    """Set a new PIN by the PUK, as after too many wrong PINs; ``pin-file`` is written anew.

    Raises:
        StoreError: the PUK is wrong, or the card is not there.
    """
    new = new_value(new, FACTORY_PIN, "PIN")

    def deed(card: Card) -> None:
        spare_last_puk(card)
        with setting(card, "unblock the PIN by the PUK") as session:
            session.unblock_pin(checked_pin(puk, "the PUK"), new)
        write_pin_file(store, None, new)

    _done(store, deed)


def set_tries(store: PivStore, pin: str, puk: str, tries: tuple[int, int]) -> None:
    """Set how many wrong PINs and PUKs the card takes; PIN and PUK are the same afterwards.

    The card puts both back to the factory's values meanwhile.  If this is interrupted there, no
    key signs, and `initialise` sets them again.

    Raises:
        StoreError: a value is wrong, or the card is not there.
    """
    new_values(pin, puk)
    check_tries(tries)

    def deed(card: Card) -> None:
        spare_last_try(card.pin_tries(), card, "PIN")
        store.parts.management.prove(card)
        card.verify(pin)
        put_tries(card, tries)
        change_factory_values(card, pin, puk)

    _done(store, deed)


def change_management_key(store: PivStore, *, on_card: bool = False) -> str:
    """Make a new random management key; return a sentence that says where it is.

    Raises:
        StoreError: the old one is not at hand, or the card is not there.
    """

    def deed(card: Card) -> str:
        store.parts.management.prove(card)
        return renew_management_key(store, card, on_card=on_card)

    return _done(store, deed)


def check_pin(store: PivStore, pin: str | None = None) -> str:
    """Try the PIN of the settings, or the given one, because a person asks; return a sentence.

    A PIN that is right here is used again, even if it was wrong before.

    Raises:
        PinNeeded: it is wrong; that was one try.
        PinLocked: only the last try is left.
        StoreError: the card is not there.
    """
    left = store.use(lambda card: store.parts.pins.check(card, pin), again=False)
    return f"the PIN is right; the card takes {left} wrong ones"


def _done(store: PivStore, deed: Callable[[Card], T]) -> T:
    try:
        return store.use(deed, again=False)
    finally:
        store.refresh()


def _set_first_tries(store: PivStore, card: Card, fresh: Fresh) -> str:
    """Set the numbers of tries while PIN and PUK are still the factory's."""
    factory = card.factory_values()
    if fresh.tries is None or not {"PIN", "PUK"} <= set(factory):
        return ""
    if "management key" in factory:
        card.authenticate(DEFAULT_MANAGEMENT_KEY)
    else:
        store.parts.management.prove(card)
    card.verify(FACTORY_PIN)
    put_tries(card, fresh.tries)
    return f"{fresh.tries[0]} wrong PINs and {fresh.tries[1]} wrong PUKs are taken"
