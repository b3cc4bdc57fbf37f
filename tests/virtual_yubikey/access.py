"""PIN, PUK and management key: instructions that prove and change them."""

from tests.virtual_yubikey.apdu import Command, Refused, Status
from tests.virtual_yubikey.keys import TouchPolicy
from tests.virtual_yubikey.memory import Memory
from tests.virtual_yubikey.secret_values import Reference, Version, management_key
from tests.virtual_yubikey.session import Session
from tests.virtual_yubikey.surroundings import Surroundings
from tests.virtual_yubikey.tlv import MalformedTlv, read_tlv_map, tlv, unwrap

PIN, PUK, MANAGEMENT = 0x80, 0x81, 0x9B
REFERENCE_OCTETS = 8


class Access:
    """The door: who may do what."""

    def __init__(
        self, version: Version, memory: Memory, session: Session, surroundings: Surroundings
    ) -> None:
        self._version = version
        self._memory = memory
        self._session = session
        self._surroundings = surroundings

    def verify(self, command: Command) -> bytes:
        """Prove the PIN; without data tell the tries, with P1 = FF forget that it was proven."""
        if command.p2 != PIN:
            raise Refused(Status.NO_REFERENCE)
        if command.p1 == 0xFF and not command.data:
            self._session.pin = self._session.pin_just_now = False
            return b""
        if command.p1:
            raise Refused(Status.WRONG_P1P2)
        if not command.data:
            if self._session.pin:
                return b""
            raise Refused(self._memory.pin.query())
        _check_length(command, REFERENCE_OCTETS)
        self._session.pin = self._session.pin_just_now = False
        self._memory.pin.prove(command.data)
        self._session.pin = self._session.pin_just_now = True
        return b""

    def change_reference(self, command: Command) -> bytes:
        """Change PIN or PUK by the old one."""
        reference = self._reference(command)
        self._replace(reference, reference, command)
        return b""

    def reset_retry(self, command: Command) -> bytes:
        """Give a new PIN by the PUK."""
        if command.p2 != PIN:
            raise Refused(Status.NO_REFERENCE)
        self._replace(self._memory.puk, self._memory.pin, command)
        return b""

    def set_retries(self, command: Command) -> bytes:
        """Set how many tries there are, which puts PIN and PUK back to the factory's."""
        self._session.want_management()
        self._session.want_pin()
        if not command.p1 or not command.p2:
            raise Refused(Status.WRONG_DATA)
        self._memory.pin.restore(command.p1)
        self._memory.puk.restore(command.p2)
        self._session.pin = False
        return b""

    def set_management_key(self, command: Command) -> bytes:
        """Take a new management key: algorithm, then 9B with the key; P2 = FE wants touches."""
        self._session.want_management()
        if command.reference not in (0xFFFF, 0xFFFE):
            raise Refused(Status.WRONG_P1P2)
        policy = TouchPolicy.ALWAYS if command.p2 == 0xFE else TouchPolicy.NEVER
        try:
            value = unwrap(MANAGEMENT, command.data[1:])
        except MalformedTlv as wrong:
            raise Refused(Status.WRONG_DATA) from wrong
        self._memory.management = management_key(self._version, command.data[0], value, policy)
        return b""

    def authenticate(self, command: Command, fields: dict[int, bytes]) -> bytes:
        """Prove the management key, on one side (81, 82) or on both (80, then 80 and 81)."""
        if command.p1 != self._memory.management.type:
            raise Refused(Status.WRONG_DATA)
        expected, witness = self._session.challenge, self._session.witness
        self._session.challenge = self._session.witness = b""
        if 0x82 in fields:
            self._accept(expected, fields[0x82])
            return b""
        if fields.get(0x80):
            return self._answer_mutual(witness, fields)
        if 0x80 in fields:
            self._session.witness = self._block()
            return self._told(0x80, self._memory.management.encrypt(self._session.witness))
        if 0x81 in fields:
            block = self._block()
            self._session.challenge = self._memory.management.encrypt(block)
            return self._told(0x81, block)
        raise Refused(Status.WRONG_DATA)

    def reset(self, command: Command) -> bytes:
        """Make the applet as new, which only a card with nothing to lose does."""
        if self._memory.pin.left or self._memory.puk.left:
            raise Refused(Status.CONDITIONS)
        self._memory.reset(self._version)
        self._session.clear()
        return b""

    def _answer_mutual(self, witness: bytes, fields: dict[int, bytes]) -> bytes:
        challenge = fields.get(0x81, b"")
        if len(challenge) != self._memory.management.block:
            raise Refused(Status.WRONG_DATA)
        self._accept(witness, fields[0x80])
        return self._told(0x82, self._memory.management.encrypt(challenge))

    def _accept(self, expected: bytes, given: bytes) -> None:
        self._session.management = False
        if not expected or given != expected:
            raise Refused(Status.SECURITY_STATUS)
        self._surroundings.want_touch(MANAGEMENT, self._memory.management.touch_policy)
        self._session.management = True

    def _block(self) -> bytes:
        return self._surroundings.entropy(self._memory.management.block)

    def _told(self, tag: int, octets: bytes) -> bytes:
        return tlv(0x7C, tlv(tag, octets))

    def _reference(self, command: Command) -> Reference:
        if command.p2 not in (PIN, PUK):
            raise Refused(Status.NO_REFERENCE)
        return self._memory.pin if command.p2 == PIN else self._memory.puk

    def _replace(self, proven: Reference, changed: Reference, command: Command) -> None:
        _check_length(command, 2 * REFERENCE_OCTETS)
        proven.prove(command.data[:REFERENCE_OCTETS])
        changed.set(command.data[REFERENCE_OCTETS:])


def dynamic_template(command: Command) -> dict[int, bytes]:
    """Return what stands in the 7C of GENERAL AUTHENTICATE.

    Raises:
        Refused: there is none.
    """
    try:
        return read_tlv_map(unwrap(0x7C, command.data))
    except MalformedTlv as wrong:
        raise Refused(Status.WRONG_DATA) from wrong


def _check_length(command: Command, octets: int) -> None:
    if len(command.data) != octets:
        raise Refused(Status.WRONG_DATA)
