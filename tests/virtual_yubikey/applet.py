"""What the applets of the card share: who the device is, and how one is spoken to."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tests.virtual_yubikey.apdu import Command, Refused, Status

Instruction = Callable[[Command], bytes]


@dataclass(frozen=True)
class Applet:
    """An application: its identifier, what SELECT answers, and its instructions."""

    aid: bytes
    greeting: bytes
    instructions: Mapping[int, Instruction]
    deselect: Callable[[], None] = lambda: None

    def is_named(self, aid: bytes) -> bool:
        """Tell whether SELECT means this applet: by a part of its name of five octets or more."""
        return len(aid) >= 5 and self.aid.startswith(aid)

    def answer(self, command: Command) -> bytes:
        """Run one instruction.

        Raises:
            Refused: with the status to answer.
        """
        if command.ins not in self.instructions:
            raise Refused(Status.UNKNOWN_INSTRUCTION)
        return self.instructions[command.ins](command)
