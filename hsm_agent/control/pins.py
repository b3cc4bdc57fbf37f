"""Deeds of a person about a store's PIN; those that change something are for cards alone."""

from collections.abc import Callable

from hsm_agent.control.arguments import Arguments
from hsm_agent.stores.store import Store, Unsupported

Deed = Callable[[Store, Arguments], list[str]]


def check(store: Store, _: Arguments) -> list[str]:
    """Have the configured PIN tried; a card's is tried although it was wrong before.

    Raises:
        StoreError: it is wrong, or the token is not there.
    """
    if store.kind == "piv":
        from hsm_agent.stores.piv.preparing import check_pin
        from hsm_agent.stores.piv.store import PivStore

        if isinstance(store, PivStore):
            return [check_pin(store)]
    if store.kind == "software":
        raise Unsupported("a trial store has no PIN: its keys are files")
    return [f"the token takes the PIN; it has {len(store.keys())} keys"]


def initialise(store: Store, arguments: Arguments) -> list[str]:
    """Take a card off the factory's values; see ``hsm_agent.stores.piv.preparing``."""
    from hsm_agent.stores.piv.preparing import Fresh
    from hsm_agent.stores.piv.preparing import initialise as take_off
    from hsm_agent.stores.piv.store import PivStore

    if not isinstance(store, PivStore):
        raise _no_card(store)
    on_card = arguments.flag("on_card")
    fresh = Fresh(arguments.text("pin"), arguments.text("puk"), on_card=on_card)
    return list(take_off(store, fresh)) or ["nothing on the card was the factory's any more"]


def change(store: Store, arguments: Arguments) -> list[str]:
    """Change the PIN of a card, and its ``pin-file`` with it."""
    from hsm_agent.stores.piv.preparing import change_pin
    from hsm_agent.stores.piv.store import PivStore

    if not isinstance(store, PivStore):
        raise _no_card(store)
    change_pin(store, arguments.text("pin"), arguments.text("new"))
    return ["the PIN is changed"]


def unblock(store: Store, arguments: Arguments) -> list[str]:
    """Set a new PIN of a card by its PUK."""
    from hsm_agent.stores.piv.preparing import unblock_pin
    from hsm_agent.stores.piv.store import PivStore

    if not isinstance(store, PivStore):
        raise _no_card(store)
    unblock_pin(store, arguments.text("puk"), arguments.text("new"))
    return ["the card has a new PIN"]


PIN_DEEDS: dict[str, Deed] = {
    "pin-check": check,
    "pin-initialise": initialise,
    "pin-change": change,
    "pin-unblock": unblock,
}
"""By the name that the socket knows."""


def _no_card(store: Store) -> Unsupported:
    return Unsupported(f"a {store.kind} store has its PIN managed by the token's own program")
