"""The keys of a card, as far as its firmware tells of them."""

import logging

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from yubikit.piv import KEY_TYPE, SLOT, SlotMetadata

from hsm_agent.stores.piv.attestation import UNREADABLE, Unverified, read_attestation
from hsm_agent.stores.piv.attestations import Attestations
from hsm_agent.stores.piv.card import Card
from hsm_agent.stores.piv.names import (
    SLOTS,
    key_type_name,
    pin_policy_name,
    touch_policy_name,
)
from hsm_agent.stores.piv.slot_key import SlotKey
from hsm_agent.stores.store import TokenAbsent, TokenFault

_SPKI = Encoding.DER, PublicFormat.SubjectPublicKeyInfo
_PIN_WITHOUT_METADATA = {SLOT.SIGNATURE: "always", SLOT.CARD_AUTH: "never"}

_log = logging.getLogger(__name__)


def read_keys(card: Card, attestations: Attestations) -> dict[str, SlotKey]:
    """Return every key that the card shows, by slot.

    Raises:
        TokenAbsent: the card is gone.
    """
    found = {}
    for name in SLOTS:
        try:
            key = read_key(card, name, attestations)
        except TokenAbsent:
            raise
        except TokenFault as error:
            # A type that this program does not know must not hide the keys beside it.
            _log.warning("slot %s of YubiKey %s: %s", name, card.serial, error)
            continue
        if key is not None:
            found[name] = key
    return found


def read_key(card: Card, name: str, attestations: Attestations) -> SlotKey | None:
    """Return the key of a slot; nothing where none can be seen.

    Before firmware 5.3 an imported key shows only by a certificate beside it.

    Raises:
        StoreError: the card is gone, or tells what cannot be understood.
    """
    slot = SLOTS[name]
    if not card.has_metadata:
        return _read_old(card, name, slot)
    metadata = card.metadata(slot)
    if metadata is None:
        return None
    return _from_metadata(card, name, metadata, attestations)


def _from_metadata(
    card: Card, name: str, metadata: SlotMetadata, attestations: Attestations
) -> SlotKey:
    with card.asked(f"show the public key of slot {name}"):
        public_key = metadata.public_key.public_bytes(*_SPKI)
    return SlotKey(
        slot=name,
        key_type=key_type_name(metadata.key_type),
        public_key=public_key,
        origin="generated" if metadata.generated else "imported",
        pin_policy=pin_policy_name(metadata.pin_policy),
        touch_policy=touch_policy_name(metadata.touch_policy),
        attestation=attestations.of(card, name, public_key) if metadata.generated else b"",
        certificate=card.certificate(SLOTS[name]) or b"",
    )


def _read_old(card: Card, name: str, slot: SLOT) -> SlotKey | None:
    """Read what a card without metadata shows: its attestation, else a certificate."""
    certificate = card.certificate(slot) or b""
    attestation = card.attestation(slot) or b""
    pin_policy = _PIN_WITHOUT_METADATA.get(slot, "once")
    touch_policy = "unknown"
    source = attestation or certificate
    if not source:
        return None
    try:
        public = x509.load_der_x509_certificate(source).public_key()
        if attestation:
            told = read_attestation(attestation)
            pin_policy, touch_policy = told.pin_policy, told.touch_policy
        key_type = key_type_name(KEY_TYPE.from_public_key(public))
    except (KeyError, Unverified, *UNREADABLE) as error:
        raise TokenFault(f"what stands in slot {name} cannot be read: {error}") from error
    return SlotKey(
        slot=name,
        key_type=key_type,
        public_key=public.public_bytes(*_SPKI),
        origin="generated" if attestation else "unknown",
        pin_policy=pin_policy,
        touch_policy=touch_policy,
        attestation=attestation,
        certificate=certificate,
    )
