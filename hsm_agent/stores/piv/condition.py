"""How a card is, and what may be said of its keys to people and to the server."""

from collections.abc import Mapping
from dataclasses import dataclass

from hsm_agent.stores.key_types import algorithms_of
from hsm_agent.stores.piv.card import Card
from hsm_agent.stores.piv.firmware import refuse_public_key, refuse_use, version_text
from hsm_agent.stores.piv.names import KEY_TYPES
from hsm_agent.stores.piv.pins import PinGuard
from hsm_agent.stores.piv.slot_key import SlotKey
from hsm_agent.stores.store import StoredKey


@dataclass(frozen=True, slots=True)
class Condition:
    """What stands in the way of using keys: a state of keys and a sentence, both empty if nothing.

    ``factory`` names values that are still the factory's: no key signs before they are changed.
    ``pin`` and ``why_pin`` concern only keys that want the PIN.
    """

    tries: int
    factory: tuple[str, ...]
    pin: str = ""
    why_pin: str = ""

    def complaint(self, key: SlotKey) -> tuple[str, str]:
        """Say what stands in the way of one key."""
        if self.factory:
            return "pin-needed", factory_sentence(self.factory)
        if key.pin_policy == "never":
            return "", ""
        return self.pin, self.why_pin

    @property
    def state(self) -> str:
        """The state of the whole card."""
        return "pin-needed" if self.factory else self.pin or "ready"

    @property
    def why(self) -> str:
        """The sentence that goes with it."""
        return factory_sentence(self.factory) if self.factory else self.why_pin


def condition_of(card: Card, pins: PinGuard, factory: tuple[str, ...]) -> Condition:
    """Look at a card; nothing is tried.

    Raises:
        StoreError: the card is gone.
    """
    tries = card.pin_tries()
    state, why = pins.complaint(card, tries)
    return Condition(tries, factory, state, why)


def factory_sentence(factory: tuple[str, ...]) -> str:
    """Say what has to be changed, and how."""
    return (
        f"the YubiKey still has the factory's {' and '.join(factory)}, which everybody knows:"
        " hsm-agent pin initialise changes it (docs/how-to/use-a-yubikey.md)"
    )


def refusal_of(card: Card, key: SlotKey, accepted: str) -> str:
    """Say why a key must not sign whatever the PIN; empty where it may."""
    return refuse_use(card.firmware, key.key_type, accepted) or refuse_public_key(key.public_key)


def stored_key(
    card: Card,
    key: SlotKey,
    condition: Condition,
    verdict: str,
    card_certificate: bytes,
    refused: str,
) -> StoredKey:
    """Return what the agent tells of a key."""
    state, why = condition.complaint(key)
    details = {
        **card_details(card),
        "origin": key.origin,
        "pin-policy": key.pin_policy,
        "touch-policy": key.touch_policy,
        "attestation": verdict,
    }
    told: Mapping[str, str] = {"refused": refused, "why": why}
    signs = key.key_type in KEY_TYPES and not refused
    return StoredKey(
        label=key.slot,
        key_type=key.key_type,
        public_key=key.public_key,
        algorithms=algorithms_of(key.key_type) if signs else (),
        state=state or "ready",
        attestation=tuple(one for one in (key.attestation, card_certificate) if one)
        if key.attestation
        else (),
        details=details | {name: text for name, text in told.items() if text},
    )


def card_details(card: Card) -> dict[str, str]:
    """Return what people want to know of a card."""
    return {
        "serial": str(card.serial),
        "firmware": version_text(card.firmware),
        "form-factor": card.form_factor,
        "fips": "yes" if card.fips else "no",
    }
