"""A real pcscd in network and mount namespaces of its own, and programs run beside it."""

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from pikaserver.testing.requirements import NEEDS, missing, require_program

ROOT = Path(__file__).parents[2]
DRIVERS = ("/usr/lib/pcsc/drivers/serial", "/usr/lib64/pcsc/drivers/serial")
READER = """\
FRIENDLYNAME "Yubico YubiKey CCID"
DEVICENAME /dev/null:0x8C7B
LIBPATH {library}
CHANNELID 0x8C7B
"""
PATIENCE_SECONDS = 120


class Room:
    """Where the reader is.  Programs in it see the same files, and no network but loopback."""

    def __init__(self, folder: Path, enter: Sequence[str]) -> None:
        self.folder = folder
        self._enter = enter

    @property
    def enter(self) -> tuple[str, ...]:
        """What has to stand before a command, to be run in here in the caller's environment."""
        return tuple(self._enter)

    def start(self, *command: str | Path, **options: Any) -> subprocess.Popen[str]:
        """Start a program; the process is its own, nothing stands between."""
        whole = [*self._enter, *map(str, command)]
        return subprocess.Popen(whole, text=True, env=self._environment(), cwd=ROOT, **options)

    def start_outside(self, *command: str | Path, **options: Any) -> subprocess.Popen[str]:
        """Start a program that sees the same files and the machine's own network."""
        whole = list(map(str, command))
        return subprocess.Popen(whole, text=True, env=self._environment(), cwd=ROOT, **options)

    def run(self, *command: str | Path, text: str = "") -> subprocess.CompletedProcess[str]:
        """Run a program to its end and return what it said."""
        return subprocess.run(
            [*self._enter, *map(str, command)],
            env=self._environment(),
            cwd=ROOT,
            input=text,
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE_SECONDS,
        )

    @property
    def told(self) -> str:
        """What pcscd had to say."""
        return (self.folder / "pcscd.log").read_text(errors="replace")

    def _environment(self) -> dict[str, str]:
        path = [str(self.folder / "bin"), str(Path(sys.executable).parent)]
        return {
            "PATH": os.pathsep.join([*path, os.environ.get("PATH", os.defpath)]),
            "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), *sys.path])),
            "HOME": str(self.folder),
            "LC_ALL": "C.UTF-8",
        }


@contextlib.contextmanager
def room_with_reader(folder: Path) -> Iterator[Room]:
    """Run pcscd until the block ends; the folder is empty.

    Skips the test, and says so, where programs are missing or where the machine lets nobody
    make namespaces.
    """
    unshare = _unshare()
    require_program("nsenter", package="util-linux")
    pcscd = require_program("pcscd", package="pcscd", also_in=[Path("/usr/sbin")])
    daemon = [pcscd, "--foreground", "--config", _reader(folder), *_flags(pcscd)]
    _powerless_pkill(folder)
    with _started(folder, unshare, daemon) as process:
        yield Room(folder, _entering(process))


@contextlib.contextmanager
def _started(folder: Path, unshare: Sequence[str], daemon: Sequence[str]) -> Iterator[int]:
    """Run the daemon in new namespaces; they are there when the block begins."""
    ready, tell = os.pipe()
    inside = [sys.executable, "-m", "tests.virtual_yubikey.inside", str(tell)]
    with os.fdopen(ready, "rb") as told, (folder / "pcscd.log").open("wb") as log:
        process = subprocess.Popen(
            [*unshare, *inside, *daemon], cwd=ROOT, stdout=log, stderr=log, pass_fds=[tell]
        )
        os.close(tell)
        try:
            assert told.read(1), (folder / "pcscd.log").read_text()
            yield process.pid
        finally:
            process.kill()
            process.wait()


def _reader(folder: Path) -> str:
    """Write the reader's configuration and return its folder."""
    installed = [Path(place) / "libifdvpcd.so" for place in DRIVERS]
    found = next((library for library in installed if library.exists()), None)
    if found is None:
        missing("libifdvpcd.so", "install vsmartcard-vpcd")
    # The drivers' folder is hidden from this pcscd, so it gets a copy.
    library = shutil.copy(found, folder)
    configuration = folder / "reader.conf.d"
    configuration.mkdir()
    (configuration / "reader").write_text(READER.format(library=library), encoding="ascii")
    return str(configuration)


def _powerless_pkill(folder: Path) -> None:
    """Keep ykman from killing scdaemon on the whole machine when it cannot connect."""
    program = folder / "bin" / "pkill"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\nexit 1\n", encoding="ascii")
    program.chmod(0o755)


def _unshare() -> list[str]:
    """Return the command that makes namespaces, or skip: no package helps against a refusal."""
    unshare = require_program("unshare", package="util-linux")
    refusals = []
    for user in ([], ["--user", "--map-root-user"]):
        command = [unshare, *user, "--net", "--mount"]
        mount = ["mount", "-t", "tmpfs", "tmpfs", "/run"]
        tried = subprocess.run([*command, *mount], capture_output=True, text=True, check=False)
        if not tried.returncode:
            return command
        refusals.append(tried.stderr.strip())
    pytest.skip(f"{NEEDS}the right to make network and mount namespaces: {'; '.join(refusals)}")


def _entering(process: int) -> list[str]:
    """Return the command that runs another one in the namespaces of a process."""
    spaces = [Path(f"/proc/{of}/ns/user").stat().st_ino for of in ("self", process)]
    user = [] if spaces[0] == spaces[1] else ["--user", "--preserve-credentials"]
    return ["nsenter", f"--target={process}", *user, "--net", "--mount", f"--wd={ROOT}", "--"]


def _flags(pcscd: str) -> list[str]:
    """Return what newer versions need: there is nobody to ask for permission in there."""
    told = subprocess.run([pcscd, "--help"], capture_output=True, text=True, check=False)
    return [flag for flag in ("--disable-polkit",) if flag in told.stdout]
