"""GET DATA and PUT DATA: the objects of the card."""

from tests.virtual_yubikey.apdu import Command, Refused, Status
from tests.virtual_yubikey.memory import Memory
from tests.virtual_yubikey.session import Session
from tests.virtual_yubikey.tlv import MalformedTlv, read_tlv_map, tlv, unwrap

LONGEST_OBJECT = 3052
DISCOVERY = 0x7E
BEHIND_THE_PIN = {0x5FC103, 0x5FC108, 0x5FC109, 0x5FC121}
"""Fingerprints, facial image, printed information, iris."""
WRITABLE = range(0x5F0000, 0x600000)


class Objects:
    """The data objects (SP 800-73-4 part 1 section 3)."""

    def __init__(self, memory: Memory, session: Session, aid: bytes) -> None:
        self._memory = memory
        self._session = session
        # 5F2F 4000: only the PIN of this application counts, no global one.
        self._discovery = tlv(DISCOVERY, tlv(0x4F, aid), tlv(0x5F2F, b"\x40\x00"))

    def get(self, command: Command) -> bytes:
        """Return 53 with the content; the discovery object comes as itself."""
        _check_place(command)
        try:
            number = int.from_bytes(unwrap(0x5C, command.data), "big")
        except MalformedTlv as wrong:
            raise Refused(Status.WRONG_DATA) from wrong
        if number == DISCOVERY:
            return self._discovery
        if number in BEHIND_THE_PIN:
            self._session.want_pin()
        if number not in self._memory.objects:
            raise Refused(Status.NOT_FOUND)
        return tlv(0x53, self._memory.objects[number])

    def put(self, command: Command) -> bytes:
        """Keep an object; an empty one is deleted."""
        _check_place(command)
        self._session.want_management()
        try:
            fields = read_tlv_map(command.data)
            number, content = int.from_bytes(fields[0x5C], "big"), fields[0x53]
        except (KeyError, MalformedTlv) as wrong:
            raise Refused(Status.WRONG_DATA) from wrong
        if number not in WRITABLE:
            raise Refused(Status.WRONG_DATA)
        if len(content) > LONGEST_OBJECT:
            raise Refused(Status.NO_SPACE)
        if content:
            self._memory.objects[number] = content
        else:
            self._memory.objects.pop(number, None)
        return b""


def _check_place(command: Command) -> None:
    if command.reference != 0x3FFF:
        raise Refused(Status.WRONG_P1P2)
