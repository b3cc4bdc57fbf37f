"""One card in a reader with its PIV application selected: what it is, and what it is asked.

A `Card` lives as long as the line to it.  Nothing here waits for anybody: the store takes care
that one thread at a time speaks to a card.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from smartcard.Exceptions import SmartcardException
from yubikit.core import (
    CommandError,
    InvalidPinError,
    NotSupportedError,
    Tlv,
)
from yubikit.core.smartcard import SW, ApduError, SmartCardConnection
from yubikit.management import ManagementSession
from yubikit.piv import (
    DEFAULT_MANAGEMENT_KEY,
    KEY_TYPE,
    MANAGEMENT_KEY_TYPE,
    OBJECT_ID,
    SLOT,
    PivSession,
    SlotMetadata,
    decompress_certificate,
)

from hsm_agent.stores.piv.connector import CardGone
from hsm_agent.stores.piv.firmware import Version
from hsm_agent.stores.store import PinNeeded, StoreError, TokenAbsent, TokenFault, Unsupported

METADATA_SINCE: Version = (5, 3, 0)
ATTESTATION_SINCE: Version = (4, 3, 0)
FACTORY_PIN = "123456"
FACTORY_PUK = "12345678"
_GENERAL_AUTHENTICATE = 0x87
_VERIFY, _PIN = 0x20, 0x80
_CERTIFICATE, _CERTIFICATE_FORM, _TEMPLATE, _RESPONSE, _CHALLENGE = 0x70, 0x71, 0x7C, 0x82, 0x81
_NOTHING_THERE = {SW.FILE_NOT_FOUND, SW.REFERENCE_DATA_NOT_FOUND, SW.INCORRECT_PARAMETERS}

_NONSENSE = (CommandError, ValueError, TypeError, LookupError, OverflowError)
"""What yubikit raises over answers that it cannot read."""

_log = logging.getLogger(__name__)


class Refusal(TokenFault):
    """The card answered with a status that says no."""

    def __init__(self, deed: str, status: int) -> None:
        super().__init__(f"the card refuses to {deed}: status {status:04x}")
        self.status = status


class WrongValue(StoreError):
    """A PIN or PUK was wrong; ``left`` tries remain."""

    code = "pin-needed"

    def __init__(self, what: str, left: int) -> None:
        super().__init__(f"the {what} is wrong, {left} tries left")
        self.left = left


class Card:
    """A YubiKey, powered and selected.

    ``alive`` turns false when the line broke; ``verified`` tells that the PIN was proven since
    the application was selected.
    """

    def __init__(self, connection: SmartCardConnection, reader: str) -> None:
        self.reader = reader
        self.alive = True
        self.verified = False
        self._connection = connection
        self._session: PivSession
        with self._translated("say what it is"):
            self._introduce()

    def _introduce(self) -> None:
        device = None
        try:
            device = ManagementSession(self._connection).read_device_info()
        except _NONSENSE as error:
            _log.info("the card in %s tells little about itself: %s", self.reader, error)
        self._session = PivSession(self._connection)
        major, minor, patch = self._session.version
        self.firmware: Version = (major, minor, patch)
        self.fips = device.is_fips if device is not None else False
        self.form_factor = str(device.form_factor) if device is not None else "unknown"
        serial = device.serial if device is not None else None
        self.serial = self._session.get_serial() if serial is None else serial
        self.has_metadata = self.firmware >= METADATA_SINCE

    @property
    def management_key_type(self) -> MANAGEMENT_KEY_TYPE:
        """What kind of management key the card has."""
        return self._session.management_key_type

    @contextmanager
    def asked(self, deed: str) -> Iterator[PivSession]:
        """Let the caller speak to the card; what goes wrong becomes an error of stores.

        Raises:
            StoreError: `Refusal`, `WrongValue`, `CardGone` and others; ``deed`` completes the
                sentence "the card refuses to ...".
        """
        with self._translated(deed):
            yield self._session

    def close(self) -> None:
        """Let it go, however it is."""
        self.alive = False
        try:
            self._connection.close()
        except SmartcardException as error:
            _log.debug("the card in %s was gone already: %s", self.reader, error)

    def select(self) -> None:
        """Select the application again, as after another program did; the PIN is to be proven."""
        self.verified = False
        with self._translated("be selected"):
            self._session = PivSession(self._connection)

    def is_there(self) -> bool:
        """Ask for nothing in particular; any answer will do."""
        try:
            with self._translated("tell its version"):
                self._connection.send_and_receive(bytes.fromhex("00fd000000"))
        except TokenAbsent:
            return False
        return True

    def pin_tries(self) -> int:
        """Return how many wrong PINs it still takes."""
        with self.asked("tell how many PINs it takes") as session:
            return session.get_pin_attempts()

    def pin_counts(self) -> bool:
        """Tell whether the card itself holds the PIN for proven, whoever selected it last."""
        try:
            with self.asked("tell whether the PIN was proven") as session:
                session.protocol.send_apdu(0, _VERIFY, 0, _PIN)
        except Refusal:
            return False
        return True

    def verify(self, pin: str) -> None:
        """Prove the PIN.

        Raises:
            WrongValue: it is wrong.
        """
        self.verified = False
        with self.asked("take a PIN") as session:
            session.verify_pin(pin)
        self.verified = True

    def authenticate(self, key: bytes) -> None:
        """Prove the management key; no number of tries is counted.

        Raises:
            PinNeeded: it is not this card's.
        """
        wanted = self.management_key_type
        if len(key) != wanted.key_len:
            raise PinNeeded(
                f"the management key has {len(key)} octets,"
                f" this YubiKey's is {wanted.name} with {wanted.key_len}"
            )
        try:
            with self.asked("take a management key") as session:
                session.authenticate(key)
        except Refusal as error:
            if error.status == SW.SECURITY_CONDITION_NOT_SATISFIED:
                raise PinNeeded("the management key is not this YubiKey's") from error
            raise

    def factory_values(self) -> tuple[str, ...]:
        """Name what is still as it left the factory; an old card tells of its key alone."""
        if not self.has_metadata:
            return ("management key",) if self._has_factory_key() else ()
        with self.asked("tell about PIN, PUK and management key") as session:
            found = {
                "PIN": session.get_pin_metadata().default_value,
                "PUK": session.get_puk_metadata().default_value,
                "management key": session.get_management_key_metadata().default_value,
            }
        return tuple(name for name, factory in found.items() if factory)

    def use_key(self, slot: SLOT, key_type: KEY_TYPE, block: bytes) -> bytes:
        """Return what the private operation makes of a block."""
        question = Tlv(_TEMPLATE, Tlv(_RESPONSE) + Tlv(_CHALLENGE, block))
        with self.asked(f"use the key in slot {slot:02x}") as session:
            answer = session.protocol.send_apdu(0, _GENERAL_AUTHENTICATE, key_type, slot, question)
            return Tlv.unpack(_RESPONSE, Tlv.unpack(_TEMPLATE, answer))

    def metadata(self, slot: SLOT) -> SlotMetadata | None:
        """Return what the card tells of a slot, from firmware 5.3 on; nothing of an empty one."""
        try:
            with self.asked(f"tell about slot {slot:02x}") as session:
                return session.get_slot_metadata(slot)
        except Refusal as refusal:
            _pass_only_nothing(refusal)
            return None

    def attestation(self, slot: SLOT) -> bytes | None:
        """Let the card vouch for a key; it does for one that it made itself."""
        if self.firmware < ATTESTATION_SINCE:
            return None
        try:
            with self.asked(f"attest slot {slot:02x}") as session:
                # The octets as they are: yubikit would read them into a certificate.
                return session.protocol.send_apdu(0, 0xF9, slot, 0)
        except Refusal as refusal:
            _pass_only_nothing(refusal)
            return None

    def certificate(self, slot: SLOT) -> bytes | None:
        """Return the octets that stand beside a key as its certificate."""
        return self.certificate_object(OBJECT_ID.from_slot(slot))

    def certificate_object(self, number: int) -> bytes | None:
        """Return the certificate of an object; nothing where there is none."""
        try:
            with self.asked(f"show object {number:06x}") as session:
                told = Tlv.parse_dict(session.get_object(number))
                octets = told.get(_CERTIFICATE)
                if octets and told.get(_CERTIFICATE_FORM, b"\0") != b"\0":
                    return decompress_certificate(octets)
                return octets or None
        except Refusal as refusal:
            _pass_only_nothing(refusal)
        except TokenFault as error:
            # What another program wrote there must not hide the key beside it.
            _log.warning("object %06x of YubiKey %s: %s", number, self.serial, error)
        return None

    def _has_factory_key(self) -> bool:
        try:
            self.authenticate(DEFAULT_MANAGEMENT_KEY)
        except PinNeeded:
            return False
        # Nobody asked for this right: give it back.
        self.select()
        return True

    @contextmanager
    def _translated(self, deed: str) -> Iterator[None]:
        try:
            yield
        except InvalidPinError as error:
            what = "PUK" if "PUK" in deed else "PIN"
            raise WrongValue(what, error.attempts_remaining) from error
        except ApduError as error:
            raise Refusal(deed, error.sw) from error
        except SmartcardException as error:
            self.alive = False
            raise CardGone(f"the YubiKey in reader {self.reader} is gone: {error}") from error
        except NotSupportedError as error:
            raise Unsupported(f"this YubiKey does not {deed}: {error}") from error
        except _NONSENSE as error:
            raise TokenFault(
                f"the card was asked to {deed} and answers nonsense: {error}"
            ) from error


def _pass_only_nothing(refusal: Refusal) -> None:
    """Return where the refusal means an empty place, else raise it again."""
    if refusal.status not in _NOTHING_THERE:
        raise refusal
