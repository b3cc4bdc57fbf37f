"""The PIV applet: which instruction does what, and since which firmware."""

from tests.virtual_yubikey.access import MANAGEMENT, PIN, PUK, Access, dynamic_template
from tests.virtual_yubikey.apdu import Command
from tests.virtual_yubikey.applet import Applet, Instruction
from tests.virtual_yubikey.attestation import Device
from tests.virtual_yubikey.memory import Memory
from tests.virtual_yubikey.objects import Objects
from tests.virtual_yubikey.secret_values import Reference
from tests.virtual_yubikey.session import Session
from tests.virtual_yubikey.slots import Slots
from tests.virtual_yubikey.surroundings import Surroundings
from tests.virtual_yubikey.tlv import tlv

RID, VERSION = bytes.fromhex("a000000308"), bytes.fromhex("000010000100")
GENERAL_AUTHENTICATE = 0x87
VERIFY = 0x20
CHANGES_MEMORY = {0x20, 0x24, 0x2C, 0x47, 0xDB, 0xF6, 0xFA, 0xFB, 0xFE, 0xFF}


class Piv:
    """The applet's parts put together."""

    def __init__(self, device: Device, memory: Memory, surroundings: Surroundings) -> None:
        self._device = device
        self._memory = memory
        self._session = Session()
        self._access = Access(device.version, memory, self._session, surroundings)
        self._slots = Slots(device, memory, self._session, surroundings)
        self._objects = Objects(memory, self._session, RID + VERSION)

    def applet(self) -> Applet:
        """Return it as the card wants it."""
        greeting = tlv(0x61, tlv(0x4F, VERSION), tlv(0x79, tlv(0x4F, RID)))
        known = {number: self._watched(deed) for number, deed in self._instructions().items()}
        return Applet(RID + VERSION, greeting, known, self._session.clear)

    def _instructions(self) -> dict[int, Instruction]:
        """Return what this firmware knows."""
        since = {
            VERIFY: ((4, 0, 0), self._access.verify),
            0x24: ((4, 0, 0), self._access.change_reference),
            0x2C: ((4, 0, 0), self._access.reset_retry),
            0x47: ((4, 0, 0), self._slots.generate),
            GENERAL_AUTHENTICATE: ((4, 0, 0), self._authenticate),
            0xCB: ((4, 0, 0), self._objects.get),
            0xDB: ((4, 0, 0), self._objects.put),
            0xF6: ((5, 7, 0), self._slots.move),
            0xF7: ((5, 3, 0), self._metadata),
            0xF8: ((5, 0, 3), self._serial),
            0xF9: ((4, 3, 0), self._slots.attest),
            0xFA: ((4, 0, 0), self._access.set_retries),
            0xFB: ((4, 0, 0), self._access.reset),
            0xFD: ((4, 0, 0), self._firmware),
            0xFE: ((4, 0, 0), self._slots.take),
            0xFF: ((4, 0, 0), self._access.set_management_key),
        }
        version = self._device.version
        return {number: deed for number, (first, deed) in since.items() if version >= first}

    def _watched(self, deed: Instruction) -> Instruction:
        """Let the freshness of the PIN end with the next command.

        "Immediately before" is taken at its word, so a client that passes here does not depend
        on how lenient a chip is.
        """

        def run(command: Command) -> bytes:
            if command.ins not in (VERIFY, GENERAL_AUTHENTICATE):
                self._session.pin_just_now = False
            return deed(command)

        return run

    def _authenticate(self, command: Command) -> bytes:
        if command.p2 != MANAGEMENT:
            return self._slots.use(command)
        self._session.pin_just_now = False
        return self._access.authenticate(command, dynamic_template(command))

    def _metadata(self, command: Command) -> bytes:
        if command.p2 in (PIN, PUK):
            reference = self._memory.pin if command.p2 == PIN else self._memory.puk
            return _reference_metadata(reference)
        if command.p2 != MANAGEMENT:
            return self._slots.metadata(command.p2)
        key = self._memory.management
        return (
            tlv(0x01, bytes([key.type]))
            + tlv(0x02, bytes([0, key.touch_policy]))
            + tlv(0x05, bytes([key.is_default]))
        )

    def _serial(self, command: Command) -> bytes:
        return self._device.serial.to_bytes(4, "big")

    def _firmware(self, command: Command) -> bytes:
        return bytes(self._device.version)


def _reference_metadata(reference: Reference) -> bytes:
    return (
        tlv(0x01, b"\xff")
        + tlv(0x05, bytes([reference.is_default]))
        + tlv(0x06, bytes([reference.total, reference.left]))
    )
