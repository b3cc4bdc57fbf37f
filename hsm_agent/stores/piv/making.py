"""Deeds that the management key allows: making keys, taking them in, writing certificates."""

import gzip
from dataclasses import replace
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import load_der_private_key
from yubikit.piv import PIN_POLICY, SLOT, TOUCH_POLICY

from hsm_agent.stores.key_types import key_type_of, spki_of
from hsm_agent.stores.piv.attestation import UNREADABLE
from hsm_agent.stores.piv.attestations import Attestations, check_new
from hsm_agent.stores.piv.card import Card
from hsm_agent.stores.piv.firmware import (
    refuse_new_key,
    refuse_policy,
    refuse_public_key,
    refuse_use,
)
from hsm_agent.stores.piv.management_key import is_on_card, read_from_card, read_key_file
from hsm_agent.stores.piv.names import (
    KEY_TYPES,
    SLOTS,
    USUAL_PIN_POLICY,
    USUAL_TOUCH_POLICY,
    key_type_named,
    pin_policy_named,
    slot_named,
    touch_policy_named,
)
from hsm_agent.stores.piv.pins import PinGuard
from hsm_agent.stores.piv.slot_key import SlotKey
from hsm_agent.stores.piv.slot_keys import read_key
from hsm_agent.stores.store import (
    KeyExists,
    NewKey,
    PinNeeded,
    TokenFault,
    Unsupported,
)

_BIG_OBJECTS_SINCE = (4, 3, 0)
_FRAME = 24
_LONGEST_APDU, _LONGEST_OLD_APDU = 3062, 2038

CardPrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey


class ManagementKeys:
    """Proves the management key, from wherever it is kept."""

    def __init__(self, file: Path | None, pins: PinGuard) -> None:
        self._file = file
        self._pins = pins

    @property
    def file(self) -> Path | None:
        """Where the settings want it to lie."""
        return self._file

    def prove(self, card: Card) -> None:
        """Show it to a card.

        Raises:
            PinNeeded: it is not at hand, or not this card's.
            StoreError: the card is gone, or the PIN cannot be proven.
        """
        if self._file is not None and self._file.exists():
            self._prove_file(card, self._file)
        elif is_on_card(card):
            card.authenticate(read_from_card(card, self._pins.prove))
        else:
            where = "set management-key-file" if self._file is None else f"{self._file} is missing"
            raise PinNeeded(f"no management key, without which nothing is made or written: {where}")

    def _prove_file(self, card: Card, file: Path) -> None:
        try:
            card.authenticate(read_key_file(file))
        except PinNeeded:
            # A change that was interrupted after the card had the new key and before the file.
            fresh = next_file(file)
            if not fresh.exists():
                raise
            card.authenticate(read_key_file(fresh))
            fresh.replace(file)


class KeyMaker:
    """Makes keys on a card and brings keys and certificates onto it."""

    def __init__(
        self, management: ManagementKeys, attestations: Attestations, accepted: str
    ) -> None:
        self._management = management
        self._attestations = attestations
        self._accepted = accepted

    def generate(self, card: Card, wanted: NewKey) -> SlotKey:
        """Make a key in an empty slot, and hold its attestation against what was asked for.

        Raises:
            StoreError: it was not made, or is not what was wanted.
        """
        slot = self._empty_slot(card, wanted)
        key_type = key_type_named(wanted.key_type)
        policies = _policies(card, wanted)
        _stop(refuse_new_key(card.firmware, wanted.key_type, self._accepted))
        self._management.prove(card)
        with card.asked(f"make a key in slot {wanted.label}") as session:
            public_key = spki_of(session.generate_key(slot, key_type, *policies))
        made = self._made(card, wanted, public_key, "generated")
        if (made.pin_policy, made.touch_policy) != _policy_names(wanted):
            raise TokenFault(
                f"the key in slot {wanted.label} was made with PIN policy {made.pin_policy}"
                f" and touch policy {made.touch_policy}, which was not asked for"
            )
        if made.attestation:
            check_new(card, made)
        return made

    def import_key(self, card: Card, wanted: NewKey, pkcs8: bytes) -> SlotKey:
        """Put a private key into an empty slot.

        Raises:
            StoreError: it was not taken.
        """
        key = _private_key(pkcs8, wanted.key_type)
        slot = self._empty_slot(card, wanted)
        policies = _policies(card, wanted)
        public_key = spki_of(key.public_key())
        _stop(refuse_use(card.firmware, key_type_of(key.public_key()), self._accepted))
        _stop(refuse_public_key(public_key))
        self._management.prove(card)
        with card.asked(f"take a key into slot {wanted.label}") as session:
            session.put_key(slot, key, *policies)
        kept = replace(wanted, key_type=key_type_of(key.public_key()))
        return self._made(card, kept, public_key, "imported")

    def put_certificate(self, card: Card, key: SlotKey, certificate: bytes) -> None:
        """Write a certificate beside its key, compressed where it would be too long.

        Raises:
            StoreError: it was not written.
        """
        loaded = _certificate(certificate)
        if spki_of(loaded.public_key()) != key.public_key:
            raise Unsupported(f"the certificate is not over the key in slot {key.slot}")
        most = _LONGEST_APDU if card.firmware >= _BIG_OBJECTS_SINCE else _LONGEST_OLD_APDU
        most -= _FRAME
        compress = len(certificate) > most
        if compress and len(gzip.compress(certificate)) > most:
            raise Unsupported(
                f"the certificate has {len(certificate)} octets; the card keeps {most},"
                " and compressed it is no shorter"
            )
        self._management.prove(card)
        with card.asked(f"keep a certificate in slot {key.slot}") as session:
            session.put_certificate(SLOTS[key.slot], loaded, compress)

    def _empty_slot(self, card: Card, wanted: NewKey) -> SLOT:
        slot = slot_named(wanted.label)
        if read_key(card, wanted.label, self._attestations) is not None:
            raise KeyExists(f"there is a key in slot {wanted.label} of YubiKey {card.serial}")
        return slot

    def _made(self, card: Card, wanted: NewKey, public_key: bytes, origin: str) -> SlotKey:
        made = read_key(card, wanted.label, self._attestations)
        if made is None:
            # A card before firmware 5.3 shows an imported key only by a certificate beside it.
            pin_policy, touch_policy = _policy_names(wanted)
            return SlotKey(
                wanted.label, wanted.key_type, public_key, origin, pin_policy, touch_policy
            )
        if made.public_key != public_key:
            raise TokenFault(f"slot {wanted.label} shows another key than the one that was made")
        return made


def next_file(file: Path) -> Path:
    """Return where a new management key lies until the card has taken it."""
    return file.with_name(f"{file.name}.next")


def _policy_names(wanted: NewKey) -> tuple[str, str]:
    return wanted.pin_policy or USUAL_PIN_POLICY, wanted.touch_policy or USUAL_TOUCH_POLICY


def _policies(card: Card, wanted: NewKey) -> tuple[PIN_POLICY, TOUCH_POLICY]:
    pin_policy, touch_policy = _policy_names(wanted)
    _stop(refuse_policy(fips=card.fips, pin_policy=pin_policy))
    return pin_policy_named(pin_policy), touch_policy_named(touch_policy)


def _stop(why: str) -> None:
    if why:
        raise Unsupported(why)


def _private_key(pkcs8: bytes, key_type: str) -> CardPrivateKey:
    try:
        key = load_der_private_key(pkcs8, None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise Unsupported(f"the key cannot be read as PKCS#8: {error}") from error
    if not isinstance(key, CardPrivateKey):
        raise Unsupported(f"a YubiKey has no such keys: there are {', '.join(KEY_TYPES)}")
    found = key_type_of(key.public_key())
    key_type_named(found)
    if key_type not in {"", found}:
        raise Unsupported(f"the key is of type {found}, not {key_type}")
    return key


def _certificate(octets: bytes) -> x509.Certificate:
    try:
        return x509.load_der_x509_certificate(octets)
    except UNREADABLE as error:
        raise Unsupported(f"the certificate cannot be read: {error}") from error
