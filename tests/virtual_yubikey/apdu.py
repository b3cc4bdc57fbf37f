"""Command APDUs, status words, and the framing that carries what is longer than one APDU."""

from dataclasses import dataclass, replace
from enum import IntEnum

LONGEST_COMMAND = 3072
"""Octets of a command's data, chained or not; a YubiKey's buffer holds about this much."""
CHAINED = 0x10
GET_RESPONSE = 0xC0


class Status(IntEnum):
    """The status words that the card answers, besides 61xx and 63Cx."""

    OK = 0x9000
    WRONG_LENGTH = 0x6700
    SECURITY_STATUS = 0x6982
    BLOCKED = 0x6983
    CONDITIONS = 0x6985
    WRONG_DATA = 0x6A80
    NOT_FOUND = 0x6A82
    NO_SPACE = 0x6A84
    NO_REFERENCE = 0x6A88
    WRONG_P1P2 = 0x6B00
    UNKNOWN_INSTRUCTION = 0x6D00
    UNKNOWN_CLASS = 0x6E00


class Refused(Exception):
    """The card does not do it; ``status`` is its answer."""

    def __init__(self, status: int) -> None:
        super().__init__(f"status {status:04X}")
        self.status = status


@dataclass(frozen=True, slots=True)
class Command:
    """One command (ISO 7816-4 section 5.1); ``most`` is how many octets the answer may have."""

    cla: int
    ins: int
    p1: int
    p2: int
    data: bytes = b""
    most: int = 256

    @property
    def reference(self) -> int:
        """P1 and P2 as one number."""
        return self.p1 << 8 | self.p2


def read_command(octets: bytes) -> Command:
    """Read a short or extended APDU of any of the four cases.

    Raises:
        Refused: 6700, the lengths in it do not add up.
    """
    if len(octets) < 4:
        raise Refused(Status.WRONG_LENGTH)
    data, most = _read_body(octets[4:])
    return Command(*octets[:4], data, most)


def _read_body(body: bytes) -> tuple[bytes, int]:
    if not body:
        return b"", 256
    if len(body) == 1:
        return b"", body[0] or 256
    if body[0]:
        return _read_data(body[1:], body[0], 1)
    if len(body) < 3:
        raise Refused(Status.WRONG_LENGTH)
    number = int.from_bytes(body[1:3], "big")
    if len(body) == 3:
        return b"", number or 65536
    return _read_data(body[3:], number, 2)


def _read_data(rest: bytes, length: int, width: int) -> tuple[bytes, int]:
    """Split data and Le, which has one octet in a short APDU and two in an extended one."""
    data, expected = rest[:length], rest[length:]
    if len(data) != length or len(expected) not in (0, width):
        raise Refused(Status.WRONG_LENGTH)
    return data, int.from_bytes(expected, "big") or 256**width


class Framing:
    """Puts chained commands together and hands long answers out in pieces."""

    def __init__(self) -> None:
        self._begun: Command | None = None
        self._waiting = b""

    def clear(self) -> None:
        """Forget what is incomplete."""
        self._begun = None
        self._waiting = b""

    def complete(self, command: Command) -> Command | None:
        """Return the whole command, or nothing while more of it is to come.

        Raises:
            Refused: of an unknown class, or longer than the card's buffer.
        """
        begun, self._begun = self._begun, None
        if command.cla & ~CHAINED:
            raise Refused(Status.UNKNOWN_CLASS)
        if begun is not None and (begun.ins, begun.reference) == (command.ins, command.reference):
            command = replace(command, data=begun.data + command.data)
        if len(command.data) > LONGEST_COMMAND:
            raise Refused(Status.WRONG_LENGTH)
        if command.cla & CHAINED:
            self._begun = command
            return None
        return command

    def first(self, answer: bytes, most: int) -> bytes:
        """Return what fits of a good answer with its status; the rest waits for GET RESPONSE."""
        now, self._waiting = answer[:most], answer[most:]
        left = len(self._waiting)
        status = 0x6100 | (left if left < 0x100 else 0) if left else Status.OK
        return now + status.to_bytes(2, "big")

    def next(self, most: int) -> bytes:
        """Return the next piece.

        Raises:
            Refused: nothing waits.
        """
        if not self._waiting:
            raise Refused(Status.CONDITIONS)
        return self.first(self._waiting, most)

    def drop_answer(self) -> None:
        """Forget what waits: another command came before it was fetched."""
        self._waiting = b""
