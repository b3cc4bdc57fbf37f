"""The card behind a real pcscd: ``python -m tests.virtual_yubikey.vpcd [options]``.

A process of its own that dials the reader driver ``libifdvpcd`` and obeys a control socket.
It prints ``powered`` whenever the reader has found the card anew.
"""

import argparse
import contextlib
import json
import socket
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

from tests.virtual_yubikey.card import ATR, VirtualYubiKey
from tests.virtual_yubikey.keys import KeyType

POWER_OFF, POWER_ON, RESET, GET_ATR = 0, 1, 2, 4
REDIAL_SECONDS = 0.02
TOUCH_TAKES_SECONDS = 1.0
WORK_COMES_SECONDS = 30


class Plug:
    """The card's line to the reader: dialled while plugged, cut when pulled."""

    def __init__(self, card: VirtualYubiKey, address: tuple[str, int]) -> None:
        self._card = card
        self._address = address
        self._in = threading.Event()
        self._in.set()
        self._line: socket.socket | None = None
        self._lock = threading.Lock()

    def pull(self) -> None:
        """Cut the line, also in the middle of a command."""
        with self._lock:
            self._in.clear()
            if self._line is not None:
                self._line.shutdown(socket.SHUT_RDWR)
        self._card.unplug()

    def insert(self) -> None:
        """Dial again."""
        self._card.plug()
        self._in.set()

    def run(self) -> None:
        """Serve the reader for ever."""
        while True:
            self._in.wait()
            with contextlib.suppress(OSError), self._dialled() as line:
                self._serve(line)
            # The reader may not listen yet; it has no way to call us.
            threading.Event().wait(REDIAL_SECONDS)

    @contextlib.contextmanager
    def _dialled(self) -> Iterator[socket.socket]:
        with socket.create_connection(self._address) as line:
            line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._lock:
                if not self._in.is_set():
                    return
                self._line = line
            try:
                yield line
            finally:
                with self._lock:
                    self._line = None

    def _serve(self, line: socket.socket) -> None:
        told = False
        while (message := _receive(line)) is not None:
            answer = self._answer(message)
            if not self._card.plugged:
                return
            if answer is not None:
                line.sendall(len(answer).to_bytes(2, "big") + answer)
            if not told and message == bytes([POWER_ON]):
                told = True
                sys.stdout.write("powered\n")
                sys.stdout.flush()

    def _answer(self, message: bytes) -> bytes | None:
        """Return what to send; a single octet is for the reader's electrics."""
        if len(message) != 1:
            return self._card.process(message)
        if message[0] == GET_ATR:
            return ATR
        if message[0] in (POWER_OFF, POWER_ON, RESET):
            self._card.reset()
        return None


def _receive(line: socket.socket) -> bytes | None:
    """Return a message, or nothing when the line is cut."""
    head = _exactly(line, 2)
    return None if head is None else _exactly(line, int.from_bytes(head, "big"))


def _exactly(line: socket.socket, octets: int) -> bytes | None:
    received = b""
    while len(received) < octets:
        # The kernel forgets this after a while.  Without it the driver's second small write
        # waits for our acknowledgement: 20 commands a second instead of thousands.
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        piece = line.recv(octets - len(received))
        if not piece:
            return None
        received += piece
    return received


class Control:
    """The hand at the card: one word a line, answered by one line of JSON."""

    def __init__(self, card: VirtualYubiKey, plug: Plug) -> None:
        self._card = card
        self._deeds = {
            "pull": plug.pull,
            "insert": plug.insert,
            "touch": lambda: self._touch(touched=True),
            "no-touch": lambda: self._touch(touched=False),
            "forget-log": card.log.clear,
            "await-work": self._await_work,
        }

    def run(self, listening: socket.socket) -> None:
        """Obey one connection after the other."""
        while True:
            line, _ = listening.accept()
            with line, line.makefile("rw", encoding="ascii") as text:
                for word in text:
                    text.write(json.dumps(self.obey(word.strip())) + "\n")
                    text.flush()

    def obey(self, word: str) -> object:
        """Do what a word says; ``log`` returns pairs of command and response in hexadecimal."""
        if word == "log":
            return [[told.command.hex(), told.response.hex()] for told in list(self._card.log)]
        if word not in self._deeds:
            return f"unknown: {word}"
        self._deeds[word]()
        return "done"

    def _await_work(self) -> None:
        if not self._card.surroundings.working.wait(WORK_COMES_SECONDS):
            raise TimeoutError("nobody asked the card for anything that takes time")

    def _touch(self, *, touched: bool) -> None:
        def answer(_slot: int) -> bool:
            self._card.surroundings.gone.wait(0 if touched else TOUCH_TAKES_SECONDS)
            return touched

        self._card.touch = answer


def _delays(told: list[str]) -> dict[int, float]:
    pairs = (text.split("=") for text in told)
    return {KeyType[name]: float(seconds) for name, seconds in pairs}


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.virtual_yubikey.vpcd")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0x8C7B, help="where the driver listens")
    parser.add_argument("--firmware", default="5.7.1")
    parser.add_argument("--serial", type=int, default=12345678)
    parser.add_argument("--state", type=Path, help="keep the memory in this file")
    parser.add_argument("--root", type=Path, help="write the maker's root (PEM) for a new card")
    parser.add_argument("--control", type=Path, required=True, help="socket to listen at")
    parser.add_argument("--delay", action="append", default=[], metavar="ECCP256=0.05")
    return parser.parse_args()


def main() -> None:
    """Run until killed."""
    options = _options()
    major, minor, patch = map(int, options.firmware.split("."))
    is_new = options.state is None or not options.state.exists()
    card = VirtualYubiKey(
        version=(major, minor, patch),
        serial=options.serial,
        state=options.state,
        delay=_delays(options.delay),
    )
    if options.root is not None and is_new:
        options.root.write_bytes(card.maker.root_pem)
    plug = Plug(card, (options.host, options.port))
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(str(options.control))
    listening.listen()
    threading.Thread(target=Control(card, plug).run, args=[listening], daemon=True).start()
    plug.run()


if __name__ == "__main__":
    main()
