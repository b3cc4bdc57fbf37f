"""The virtual card in the reader of a real pcscd, and a hand that pulls and touches it."""

import contextlib
import json
import select
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.virtual_yubikey.room import Room, room_with_reader

READER = "Yubico YubiKey CCID 00 00"
"""The first of the two slots that the driver always shows; the second stays empty."""
PATIENCE_SECONDS = 30


class PluggedCard:
    """The card and the room with its reader; programs are started by ``room``."""

    def __init__(self, room: Room, process: subprocess.Popen[str], control: Path) -> None:
        self.room = room
        self._process = process
        self._control = control

    @property
    def root(self) -> Path:
        """The certificate (PEM) of the card's maker."""
        return self.room.folder / "root.pem"

    def tell(self, word: str) -> Any:
        """Say a word to the card's process and return what it answers, mostly ``done``.

        ``touch`` and ``no-touch`` decide what the finger does from now on, ``log`` returns pairs
        of command and response in hexadecimal, ``forget-log`` empties that list, ``await-work``
        waits until the card is busy with something that takes its ``--delay``.
        """
        with socket.socket(socket.AF_UNIX) as line:
            line.connect(str(self._control))
            with line.makefile("rw", encoding="ascii") as text:
                text.write(f"{word}\n")
                text.flush()
                return json.loads(text.readline())

    def pull(self) -> None:
        """Pull the card, whatever it does just now."""
        self.tell("pull")

    def insert(self) -> None:
        """Put the card back and wait until the reader has found it.

        Not before the reader has noticed that it was gone: see ``reader_state``.
        """
        self.await_empty()
        self.tell("insert")
        self.await_power()

    def await_empty(self) -> None:
        """Wait until the reader has noticed that the card is gone."""
        _await_state(self.room, "empty")

    def await_power(self) -> None:
        """Wait until the reader has powered the card up anew, and tells everybody."""
        said = self._process.stdout
        assert said is not None
        assert select.select([said], [], [], PATIENCE_SECONDS)[0], self.room.told
        assert "powered" == said.readline().strip(), self.room.told
        _await_state(self.room, "present")


def _await_state(room: Room, word: str) -> None:
    done = room.run(sys.executable, "-m", "tests.virtual_yubikey.reader_state", READER, word)
    assert not done.returncode, f"{done.stderr}\n{room.told}"


@contextlib.contextmanager
def plugged_card(folder: Path, *options: str) -> Iterator[PluggedCard]:
    """Give a reader with the card in it; ``options`` are those of ``tests.virtual_yubikey.vpcd``.

    The folder is empty; its path is short, because a Unix socket comes into it.  For skips see
    ``room_with_reader``.
    """
    with room_with_reader(folder) as room, inserted_card(room, *options) as card:
        yield card


@contextlib.contextmanager
def inserted_card(room: Room, *options: str) -> Iterator[PluggedCard]:
    """Run the card's process until the block ends; the reader has found it when it begins.

    What the card remembers lies in ``card.json`` of the folder, and is there for the next one.
    """
    control = room.folder / "control"
    if control.exists():
        _await_state(room, "empty")
        control.unlink()
    files = ["--control", control, "--state", room.folder / "card.json"]
    module = [sys.executable, "-m", "tests.virtual_yubikey.vpcd"]
    command = [*module, *files, "--root", room.folder / "root.pem", *options]
    with room.start(*command, stdout=subprocess.PIPE) as process:
        try:
            card = PluggedCard(room, process, control)
            card.await_power()
            yield card
        finally:
            process.kill()
