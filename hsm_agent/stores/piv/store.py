"""The store itself: one YubiKey, kept open, one deed at a time."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import TypeVar

from hsm_agent.stores.piv.attestations import Attestations
from hsm_agent.stores.piv.blocks import Entropy
from hsm_agent.stores.piv.card import Card
from hsm_agent.stores.piv.condition import (
    Condition,
    card_details,
    condition_of,
    factory_sentence,
    refusal_of,
    stored_key,
)
from hsm_agent.stores.piv.connector import CardGone
from hsm_agent.stores.piv.finding import Finder
from hsm_agent.stores.piv.firmware import key_types
from hsm_agent.stores.piv.making import KeyMaker, ManagementKeys
from hsm_agent.stores.piv.names import SLOTS, slot_named
from hsm_agent.stores.piv.pins import PinGuard
from hsm_agent.stores.piv.signing import CardSigner
from hsm_agent.stores.piv.slot_key import SlotKey
from hsm_agent.stores.piv.slot_keys import read_keys
from hsm_agent.stores.store import (
    NewKey,
    PinNeeded,
    StoredKey,
    StoreError,
    StoreState,
    UnknownKey,
)

T = TypeVar("T")
LOOK_SECONDS = 0.2
"""How long `PivStore.state` waits for a card that is at work before it tells what it knew."""


class CardBusy(StoreError):
    """Others use the card, and did not end in time."""

    code = "busy"


@dataclass(frozen=True, slots=True)
class Parts:
    """What a store is put together from.

    ``accepted`` is a firmware whose leaking ECDSA the settings accept; ``exclusive`` says that
    no other program can change the card meanwhile; ``wait`` is how many seconds a deed waits
    for those before it.
    """

    finder: Finder
    pins: PinGuard
    management: ManagementKeys
    attestations: Attestations
    entropy: Entropy
    accepted: str = ""
    exclusive: bool = True
    wait: float = 20.0
    monotonic: Callable[[], float] = time.monotonic


class PivStore:
    """A YubiKey as a store; see ``hsm_agent.stores.store.Store``."""

    kind = "piv"
    trial = False

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._signer = CardSigner(parts.pins, parts.entropy, parts.accepted, parts.monotonic)
        self._maker = KeyMaker(parts.management, parts.attestations, parts.accepted)
        self._lock = threading.Lock()
        self._card: Card | None = None
        self._keys: dict[str, SlotKey] = {}
        self._factory: tuple[str, ...] = ()
        self._seen = StoreState("absent", (), ())

    @property
    def parts(self) -> Parts:
        """What the store was put together from."""
        return self._parts

    def state(self) -> StoreState:
        """See ``hsm_agent.stores.store.Store``."""
        if self._lock.acquire(timeout=LOOK_SECONDS):
            try:
                self._seen = self._look()
            except StoreError as error:
                self._seen = self._absent(str(error))
            finally:
                self._lock.release()
        return self._seen

    def keys(self) -> Sequence[StoredKey]:
        """See ``hsm_agent.stores.store.Store``."""
        return self.use(self._list)

    def sign(self, label: str, algorithm: str, data: bytes) -> bytes:
        """See ``hsm_agent.stores.store.Store``."""
        slot_named(label)
        return self.use(lambda card: self._sign(card, label, algorithm, data))

    def generate(self, wanted: NewKey) -> StoredKey:
        """See ``hsm_agent.stores.store.Store``."""
        slot_named(wanted.label)
        return self.use(lambda card: self._add(card, wanted, None), again=False)

    def import_key(self, wanted: NewKey, pkcs8: bytes) -> StoredKey:
        """See ``hsm_agent.stores.store.Store``."""
        slot_named(wanted.label)
        return self.use(lambda card: self._add(card, wanted, pkcs8), again=False)

    def put_certificate(self, label: str, certificate: bytes) -> None:
        """See ``hsm_agent.stores.store.Store``."""
        slot_named(label)
        self.use(lambda card: self._certify(card, label, certificate), again=False)

    def certificates(self) -> dict[str, bytes]:
        """Return the certificates (DER) that stand beside keys on the card, by slot.

        Raises:
            StoreError: the card is not there.
        """
        return self.use(lambda _card: {name: key.certificate for name, key in self._keys.items()})

    def close(self) -> None:
        """See ``hsm_agent.stores.store.Store``."""
        # Whoever still uses the card after so long a wait will not be waited for.
        with suppress(CardBusy), self._turn():
            if self._card is not None:
                self._card.close()
            self._card = None

    def use(self, deed: Callable[[Card], T], *, again: bool = True) -> T:
        """Do something with the card while nobody else does; once ``again`` if the line broke.

        Raises:
            CardBusy: others did not end in time.
            StoreError: the card is not there, or the deed failed.
        """
        with self._turn():
            if again:
                with suppress(CardGone):
                    return deed(self._connected())
            return deed(self._connected())

    def refresh(self) -> None:
        """Look at keys and factory values anew, after a deed that changed them."""
        with self._turn():
            self._keys = {}
            self._factory = ()
            if self._card is not None:
                self._card.close()
            self._card = None

    @contextmanager
    def _turn(self) -> Iterator[None]:
        if not self._lock.acquire(timeout=self._parts.wait):
            raise CardBusy(f"the YubiKey was at work for {self._parts.wait:g} seconds")
        try:
            yield
        finally:
            self._lock.release()

    def _connected(self) -> Card:
        """Return the card, found again if it was away."""
        if self._card is not None and self._card.alive:
            return self._card
        if self._card is not None:
            self._card.close()
            self._card = None
        card = self._parts.finder.find()
        try:
            self._factory = card.factory_values()
            self._keys = read_keys(card, self._parts.attestations)
        except StoreError:
            card.close()
            raise
        self._card = card
        return card

    def _look(self) -> StoreState:
        card = self._connected()
        if not card.is_there():
            card = self._connected()
        condition = self._condition(card)
        details = card_details(card) | {"reader": card.reader, "pin-tries": str(condition.tries)}
        if condition.why:
            details["why"] = condition.why
        free = tuple(slot for slot in SLOTS if slot not in self._keys)
        kinds = key_types(card.firmware, self._parts.accepted)
        return StoreState(condition.state, kinds, free, details)

    def _absent(self, why: str) -> StoreState:
        """Tell what was known of the card, and why it is not there."""
        serial = self._parts.finder.serial
        known = {} if serial is None else {"serial": str(serial)}
        return StoreState("absent", (), (), {**self._seen.details, **known, "why": why})

    def _condition(self, card: Card) -> Condition:
        return condition_of(card, self._parts.pins, self._factory)

    def _list(self, card: Card) -> Sequence[StoredKey]:
        if not self._parts.exclusive:
            self._keys = read_keys(card, self._parts.attestations)
        condition = self._condition(card)
        return [self._stored(card, key, condition) for key in self._keys.values()]

    def _stored(self, card: Card, key: SlotKey, condition: Condition) -> StoredKey:
        attestations = self._parts.attestations
        verdict = "none: only a card's own keys have one"
        card_certificate = b""
        if key.attestation:
            verdict = attestations.verdict(card, key)
            card_certificate = attestations.of_card(card)
        refused = refusal_of(card, key, self._parts.accepted)
        return stored_key(card, key, condition, verdict, card_certificate, refused)

    def _add(self, card: Card, wanted: NewKey, pkcs8: bytes | None) -> StoredKey:
        self._refuse_factory()
        if pkcs8 is None:
            key = self._maker.generate(card, wanted)
        else:
            key = self._maker.import_key(card, wanted, pkcs8)
        self._keys[key.slot] = key
        return self._stored(card, key, self._condition(card))

    def _certify(self, card: Card, label: str, certificate: bytes) -> None:
        key = self._key(card, label)
        self._maker.put_certificate(card, key, certificate)
        self._keys[label] = replace(key, certificate=certificate)

    def _refuse_factory(self) -> None:
        if self._factory:
            raise PinNeeded(factory_sentence(self._factory))

    def _key(self, card: Card, label: str) -> SlotKey:
        key = self._keys.get(label)
        if key is None:
            raise UnknownKey(f"there is no key in slot {label} of YubiKey {card.serial}")
        return key

    def _sign(self, card: Card, label: str, algorithm: str, data: bytes) -> bytes:
        key = self._key(card, label)
        self._refuse_factory()
        return self._signer.sign(card, key, algorithm, data)
