"""Attestations of one agent's cards: kept on disk as they were first seen, and verified.

The card makes another certificate each time it is asked, and a signature takes its while; one is
enough, and it still tells of a key after the card was lost.
"""

import logging
from pathlib import Path

from hsm_agent.private_files import make_private_folder, write_private
from hsm_agent.stores.piv.attestation import Attested, Authorities, Unverified, read_attestation
from hsm_agent.stores.piv.card import Card
from hsm_agent.stores.piv.names import SLOTS
from hsm_agent.stores.piv.slot_key import SlotKey
from hsm_agent.stores.store import TokenFault

_F9 = "f9"
_F9_OBJECT = 0x5FFF01

_log = logging.getLogger(__name__)


class Attestations:
    """A folder with ``SERIAL/SLOT.der``, and the authorities that are believed."""

    def __init__(self, folder: Path, authorities: Authorities) -> None:
        self._folder = folder
        self._authorities = authorities
        self._known: dict[tuple[int, str, bytes], bytes] = {}

    def of(self, card: Card, slot: str, public_key: bytes) -> bytes:
        """Return the attestation of the key that is in a slot now; empty where the card gives none.

        Raises:
            StoreError: the card is gone.
        """
        place = card.serial, slot, public_key
        if place not in self._known:
            kept = self._read(card.serial, slot)
            if not _is_about(kept, public_key):
                kept = card.attestation(SLOTS[slot]) or b""
                self._write(card.serial, slot, kept)
            self._known[place] = kept
        return self._known[place]

    def of_card(self, card: Card) -> bytes:
        """Return the certificate of the card's slot f9; empty where there is none.

        Raises:
            StoreError: the card is gone.
        """
        place = card.serial, _F9, b""
        if place not in self._known:
            self._known[place] = card.certificate_object(_F9_OBJECT) or b""
            self._write(card.serial, _F9, self._known[place])
        return self._known[place]

    def verdict(self, card: Card, key: SlotKey) -> str:
        """Return ``verified: ROOT`` or ``unverified: WHY``."""
        try:
            _compare(read_attestation(key.attestation), card, key)
            root = self._authorities.verify(key.attestation, self.of_card(card) or None)
        except Unverified as error:
            return f"unverified: {error}"
        return f"verified: {root}"

    def _read(self, serial: int, slot: str) -> bytes:
        try:
            return self._file(serial, slot).read_bytes()
        except OSError:
            return b""

    def _write(self, serial: int, slot: str, certificate: bytes) -> None:
        if not certificate:
            return
        try:
            make_private_folder(self._file(serial, slot).parent)
            write_private(self._file(serial, slot), certificate)
        except OSError as error:
            # The card can be asked again; no signature depends on this file.
            _log.warning("%s cannot be written: %s", self._file(serial, slot), error.strerror)

    def _file(self, serial: int, slot: str) -> Path:
        return self._folder / str(serial) / f"{slot}.der"


def check_new(card: Card, key: SlotKey) -> None:
    """Hold what the card says of a key that it has just made against what it was asked for.

    Raises:
        TokenFault: it says something else.
    """
    try:
        _compare(read_attestation(key.attestation), card, key)
    except Unverified as error:
        raise TokenFault(f"a key was made in slot {key.slot}, but: {error}") from error


def _is_about(attestation: bytes, public_key: bytes) -> bool:
    try:
        return read_attestation(attestation).public_key == public_key
    except Unverified:
        return False


def _compare(told: Attested, card: Card, key: SlotKey) -> None:
    """Hold an attestation against the card that it came from.

    Raises:
        Unverified: it tells of another key, slot, card, firmware or policy.
    """
    if told.public_key != key.public_key:
        raise Unverified("the attestation is about another key")
    compared = {
        "slot": (key.slot, told.slot),
        "serial number": (card.serial, told.serial),
        "firmware": (card.firmware, told.firmware),
        "PIN policy": (key.pin_policy, told.pin_policy),
        "touch policy": (key.touch_policy, told.touch_policy),
    }
    for what, (ours, theirs) in compared.items():
        if ours != theirs:
            raise Unverified(f"the attestation tells of {what} {theirs}, the card of {ours}")
