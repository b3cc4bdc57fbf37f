"""Keys in slots: instructions that make, take in, move, use, show and attest them."""

from tests.virtual_yubikey.access import dynamic_template
from tests.virtual_yubikey.apdu import Command, Refused, Status
from tests.virtual_yubikey.attestation import Device, attest
from tests.virtual_yubikey.keys import (
    SINCE_5_7,
    KeyType,
    PinPolicy,
    PrivateKey,
    SlotKey,
    TouchPolicy,
    agree,
    public_octets,
    sign,
    take_in,
)
from tests.virtual_yubikey.memory import ATTESTATION_OBJECT, ATTESTATION_SLOT, Memory
from tests.virtual_yubikey.session import Session
from tests.virtual_yubikey.surroundings import Surroundings
from tests.virtual_yubikey.tlv import MalformedTlv, read_tlv_map, tlv, unwrap

SLOTS = (0x9A, 0x9C, 0x9D, 0x9E, *range(0x82, 0x96))
PIN_POLICY, TOUCH_POLICY = 0xAA, 0xAB
NOWHERE = 0xFF


class Slots:
    """The keys."""

    def __init__(
        self, device: Device, memory: Memory, session: Session, surroundings: Surroundings
    ) -> None:
        self._device = device
        self._memory = memory
        self._session = session
        self._surroundings = surroundings

    def generate(self, command: Command) -> bytes:
        """Make a key: AC with 80 algorithm, AA PIN policy, AB touch policy.

        RSA on the firmware that ROCA befell is made here as that firmware did; it is the client
        that refuses.
        """
        self._session.want_management()
        slot = _slot(command.p2)
        try:
            fields = read_tlv_map(unwrap(0xAC, command.data))
        except MalformedTlv as wrong:
            raise Refused(Status.WRONG_DATA) from wrong
        key_type = self._key_type(int.from_bytes(fields.get(0x80, b""), "big"))
        pin, touch = self._policies(slot, fields)
        self._surroundings.take_time(key_type)
        private = self._surroundings.new_key(key_type)
        self._memory.keys[slot] = SlotKey(key_type, private, pin, touch, generated=True)
        return tlv(0x7F49, public_octets(private))

    def take(self, command: Command) -> bytes:
        """IMPORT: take in a key that was made elsewhere."""
        self._session.want_management()
        slot, key_type = _slot(command.p2), self._key_type(command.p1)
        try:
            fields = read_tlv_map(command.data)
        except MalformedTlv as wrong:
            raise Refused(Status.WRONG_DATA) from wrong
        pin, touch = self._policies(slot, fields)
        private = take_in(key_type, fields)
        self._memory.keys[slot] = SlotKey(key_type, private, pin, touch, generated=False)
        return b""

    def move(self, command: Command) -> bytes:
        """Move a key from P2 to P1, or delete it; ykman reads 6A80 as "DEST is not empty"."""
        self._session.want_management()
        source = _slot(command.p2)
        if source not in self._memory.keys:
            raise Refused(Status.NO_REFERENCE)
        if command.p1 == NOWHERE:
            del self._memory.keys[source]
            return b""
        target = _slot(command.p1)
        if ATTESTATION_SLOT in (source, target) or target in self._memory.keys:
            raise Refused(Status.WRONG_DATA)
        self._memory.keys[target] = self._memory.keys.pop(source)
        return b""

    def attest(self, command: Command) -> bytes:
        """Vouch for a key that was made here, by the key in slot F9."""
        key = self._memory.keys.get(_slot(command.p1))
        f9 = self._memory.keys.get(ATTESTATION_SLOT)
        if key is None or not key.generated or f9 is None:
            raise Refused(Status.WRONG_DATA)
        stored = self._memory.objects.get(ATTESTATION_OBJECT, b"")
        return attest(command.p1, key, f9.private, stored, self._device)

    def use(self, command: Command) -> bytes:
        """Sign what 81 holds, or agree with the point in 85; 82 asks for the answer."""
        fields = dynamic_template(command)
        key = self._memory.keys.get(_slot(command.p2))
        if key is None or key.type != command.p1 or command.p2 == ATTESTATION_SLOT:
            raise Refused(Status.WRONG_DATA)
        just_now, self._session.pin_just_now = self._session.pin_just_now, False
        if key.pin_policy == PinPolicy.ALWAYS and not just_now:
            raise Refused(Status.SECURITY_STATUS)
        if key.pin_policy == PinPolicy.ONCE:
            self._session.want_pin()
        self._surroundings.want_touch(command.p2, key.touch_policy)
        self._surroundings.take_time(key.type)
        return tlv(0x7C, tlv(0x82, _result(key.private, fields)))

    def metadata(self, slot: int) -> bytes:
        """Tell of a key.

        Raises:
            Refused: 6A88, the slot is empty.
        """
        if slot not in self._memory.keys:
            raise Refused(Status.NO_REFERENCE)
        key = self._memory.keys[slot]
        return (
            tlv(0x01, bytes([key.type]))
            + tlv(0x02, bytes([key.pin_policy, key.touch_policy]))
            + tlv(0x03, b"\x01" if key.generated else b"\x02")
            + tlv(0x04, public_octets(key.private))
        )

    def _key_type(self, number: int) -> KeyType:
        """Check that this firmware knows a key type."""
        if number not in set(KeyType):
            raise Refused(Status.WRONG_DATA)
        key_type = KeyType(number)
        too_new = key_type in SINCE_5_7 and self._device.version < (5, 7, 0)
        weak = key_type in (KeyType.RSA1024, KeyType.X25519) and self._device.fips
        if too_new or weak:
            raise Refused(Status.WRONG_DATA)
        return key_type

    def _policies(self, slot: int, fields: dict[int, bytes]) -> tuple[PinPolicy, TouchPolicy]:
        """Return what is asked for, else the slot's usual policies."""
        try:
            pin = PinPolicy(fields.get(PIN_POLICY, bytes([_usual_pin_policy(slot)]))[0])
            touch = TouchPolicy(fields.get(TOUCH_POLICY, bytes([TouchPolicy.NEVER]))[0])
        except (IndexError, ValueError) as wrong:
            raise Refused(Status.WRONG_DATA) from wrong
        too_new = touch == TouchPolicy.CACHED and self._device.version < (4, 3, 0)
        unguarded = pin == PinPolicy.NEVER and self._device.fips
        if too_new or unguarded:
            raise Refused(Status.WRONG_DATA)
        return pin, touch


def _slot(number: int) -> int:
    if number not in SLOTS and number != ATTESTATION_SLOT:
        raise Refused(Status.WRONG_P1P2)
    return number


def _usual_pin_policy(slot: int) -> PinPolicy:
    return {0x9C: PinPolicy.ALWAYS, 0x9E: PinPolicy.NEVER}.get(slot, PinPolicy.ONCE)


def _result(private: PrivateKey, fields: dict[int, bytes]) -> bytes:
    if 0x85 in fields:
        return agree(private, fields[0x85])
    if 0x81 in fields:
        return sign(private, fields[0x81])
    raise Refused(Status.WRONG_DATA)
