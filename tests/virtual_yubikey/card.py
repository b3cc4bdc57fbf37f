"""The virtual YubiKey: octets in, octets out, as if it were plugged in."""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec

from tests.virtual_yubikey import memory as card_memory
from tests.virtual_yubikey.apdu import (
    GET_RESPONSE,
    Command,
    Framing,
    Refused,
    Status,
    read_command,
)
from tests.virtual_yubikey.applet import Applet
from tests.virtual_yubikey.attestation import Device, Maker, certificate_object
from tests.virtual_yubikey.keys import KeyType, PinPolicy, PrivateKey, SlotKey, TouchPolicy
from tests.virtual_yubikey.management import management_applet, otp_applet
from tests.virtual_yubikey.memory import ATTESTATION_OBJECT, ATTESTATION_SLOT, Memory
from tests.virtual_yubikey.piv import CHANGES_MEMORY, Piv
from tests.virtual_yubikey.secret_values import Version, default_management_key
from tests.virtual_yubikey.surroundings import Surroundings

ATR = bytes.fromhex("3bfd1300008131fe158073c021c057597562694b657940")
"""yubikit takes a card for USB when the high half of its second octet is F."""
SELECT = 0xA4


@dataclass(frozen=True, slots=True)
class Exchange:
    """One APDU and what was answered."""

    command: bytes
    response: bytes

    @property
    def ins(self) -> int | None:
        """The instruction, if the APDU was long enough to have one."""
        return self.command[1] if len(self.command) > 1 else None

    @property
    def status(self) -> int:
        """The status word."""
        return int.from_bytes(self.response[-2:], "big")


@dataclass
class VirtualYubiKey:
    """A YubiKey with a PIV applet, beside what ykman needs to recognise it.

    Attributes:
        version: the firmware, from 4.0 on.
        touch: asked with the slot; false means that nobody touched in time.
        delay: seconds that using or making a key takes, by key type.
        fixed_keys: keys that GENERATE hands out in turn, by key type.
        state: a file that keeps the memory, read if it is there already.
        maker: who certified the attestation key of a new card.
        log: every APDU so far.
    """

    version: Version = (5, 7, 1)
    serial: int = 12345678
    form_factor: int = 1
    fips: bool = False
    touch: Callable[[int], bool] = lambda _slot: True
    delay: Mapping[int, float] = field(default_factory=dict)
    fixed_keys: Mapping[int, Sequence[PrivateKey]] = field(default_factory=dict)
    state: Path | None = None
    maker: Maker = field(default_factory=Maker)
    surroundings: Surroundings = field(default_factory=Surroundings)
    log: list[Exchange] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.surroundings.touch = self._is_touched
        self.surroundings.delay = self.delay
        self.surroundings.fixed_keys = self.fixed_keys
        self.insertions = 1
        self._lock = threading.Lock()
        self._framing = Framing()
        device = Device(self.version, self.serial, self.form_factor, self.fips)
        self.memory = self._remember()
        self._applets = (
            Piv(device, self.memory, self.surroundings).applet(),
            management_applet(device),
            otp_applet(device),
        )
        self._selected: Applet | None = None

    @property
    def plugged(self) -> bool:
        """Whether it is in the reader."""
        return not self.surroundings.gone.is_set()

    def unplug(self) -> None:
        """Pull it; what it was doing ends at once."""
        self.surroundings.gone.set()
        with self._lock:
            self._power_off()

    def plug(self) -> None:
        """Put it back; connections from before stay dead."""
        if not self.plugged:
            self.insertions += 1
            self.surroundings.gone.clear()

    def reset(self) -> None:
        """Lose power and get it back, without leaving the reader."""
        with self._lock:
            self._power_off()

    def process(self, apdu: bytes) -> bytes:
        """Answer one APDU: data, then two octets of status."""
        with self._lock:
            response = self._answer(apdu)
            self.log.append(Exchange(apdu, response))
            if self.state is not None and self.log[-1].ins in CHANGES_MEMORY:
                self.memory.save(self.state)
            return response

    def exchanges(self, ins: int) -> list[Exchange]:
        """Return what was sent with one instruction."""
        return [exchange for exchange in self.log if exchange.ins == ins]

    def _is_touched(self, slot: int) -> bool:
        # Asked anew each time, so that a test can change its mind.
        return self.touch(slot)

    def _answer(self, apdu: bytes) -> bytes:
        try:
            command = read_command(apdu)
            if command.ins == GET_RESPONSE:
                return self._framing.next(command.most)
            self._framing.drop_answer()
            whole = self._framing.complete(command)
            answer = b"" if whole is None else self._run(whole)
        except Refused as refused:
            return refused.status.to_bytes(2, "big")
        return self._framing.first(answer, command.most)

    def _run(self, command: Command) -> bytes:
        if command.ins == SELECT:
            return self._select(command)
        if self._selected is None:
            raise Refused(Status.UNKNOWN_INSTRUCTION)
        return self._selected.answer(command)

    def _select(self, command: Command) -> bytes:
        named = next((applet for applet in self._applets if applet.is_named(command.data)), None)
        if command.p1 != 4 or named is None:
            raise Refused(Status.NOT_FOUND)
        for applet in self._applets:
            applet.deselect()
        self._selected = named
        return named.greeting

    def _power_off(self) -> None:
        self._framing.clear()
        self.surroundings.forget_touch()
        self._selected = None
        for applet in self._applets:
            applet.deselect()

    def _remember(self) -> Memory:
        if self.state is not None and self.state.exists():
            return card_memory.load(self.state)
        memory = Memory(default_management_key(self.version))
        key = ec.generate_private_key(ec.SECP256R1())
        memory.keys[ATTESTATION_SLOT] = SlotKey(
            KeyType.ECCP256, key, PinPolicy.ONCE, TouchPolicy.NEVER, generated=False
        )
        memory.objects[ATTESTATION_OBJECT] = certificate_object(self.maker.certify(key))
        if self.state is not None:
            memory.save(self.state)
        return memory
