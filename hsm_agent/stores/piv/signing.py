"""One signature: what the key may do, what it is given, the PIN before, the finger meanwhile."""

from collections.abc import Callable

from yubikit.core.smartcard import SW

from hsm_agent.stores.piv.blocks import Entropy, block_to_sign
from hsm_agent.stores.piv.card import Card, Refusal
from hsm_agent.stores.piv.condition import refusal_of
from hsm_agent.stores.piv.connector import CardGone
from hsm_agent.stores.piv.names import KEY_TYPES, SLOTS
from hsm_agent.stores.piv.pins import PinGuard
from hsm_agent.stores.piv.slot_key import SlotKey
from hsm_agent.stores.store import TouchTimeout, Unsupported

TOUCH_SECONDS = 5.0
"""A line that breaks after so long a wait for a finger broke for want of it."""
LONGEST_MESSAGE = 3045
"""What fits into one APDU beside its frame: 3062 octets from firmware 4.3 on."""


class CardSigner:
    """Signs with keys of a card; ``accepted`` is a firmware whose leaking ECDSA is accepted."""

    def __init__(
        self, pins: PinGuard, entropy: Entropy, accepted: str, monotonic: Callable[[], float]
    ) -> None:
        self._monotonic = monotonic
        self._pins = pins
        self._entropy = entropy
        self._accepted = accepted

    def sign(self, card: Card, key: SlotKey, algorithm: str, data: bytes) -> bytes:
        """Return the signature over these octets.

        Raises:
            StoreError: nothing was signed.
        """
        if refused := refusal_of(card, key, self._accepted):
            raise Unsupported(refused)
        block = block_to_sign(key.key_type, algorithm, data, self._entropy)
        if len(block) > LONGEST_MESSAGE:
            raise Unsupported(
                f"an Ed25519 key signs at most {LONGEST_MESSAGE} octets on a YubiKey, these are"
                f" {len(block)}: it sees the whole message; an EC or RSA key sees a hash"
            )
        try:
            return self._use_key(card, key, block)
        except Refusal as refusal:
            _explain(card, key, refusal)
        # Another program selected something else meanwhile, and the PIN is forgotten.
        card.select()
        try:
            return self._use_key(card, key, block)
        except Refusal as refusal:
            _explain(card, key, refusal)
            raise

    def _use_key(self, card: Card, key: SlotKey, block: bytes) -> bytes:
        if key.pin_policy != "never" and not (key.pin_policy == "once" and card.verified):
            self._pins.prove(card)
        started = self._monotonic()
        try:
            return card.use_key(SLOTS[key.slot], KEY_TYPES[key.key_type], block)
        except CardGone as gone:
            waited = self._monotonic() - started
            if key.touch_policy != "never" and waited > TOUCH_SECONDS:
                raise _untouched(card, key) from gone
            raise


def _explain(card: Card, key: SlotKey, refusal: Refusal) -> None:
    """Raise what a refusal means, if it is a missing finger; the card says the same of a PIN."""
    if refusal.status != SW.SECURITY_CONDITION_NOT_SATISFIED or key.touch_policy == "never":
        return
    if key.pin_policy == "never" or card.pin_counts():
        raise _untouched(card, key) from refusal


def _untouched(card: Card, key: SlotKey) -> TouchTimeout:
    return TouchTimeout(
        f"nobody touched YubiKey {card.serial} in time, which the key in slot {key.slot} wants"
    )
