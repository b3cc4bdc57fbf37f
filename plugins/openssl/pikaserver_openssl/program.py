"""Running the ``openssl`` program: no shell, no terminal, nothing on disk."""

import os
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from threading import BoundedSemaphore

from pikaserver_openssl.engine import EngineFault

_COMPLAINT_LINES = 3


class ProgramBusy(EngineFault):
    """As many processes as are allowed run already."""


@dataclass(frozen=True, slots=True)
class Input:
    """Octets that the program reads as a file, and the name by which arguments mean it."""

    name: str
    octets: bytes


class Program:
    """One ``openssl``, of which a limited number runs at a time."""

    def __init__(self, path: str, processes: int, timeout_seconds: float) -> None:
        self._path = path
        self._limit = processes
        self._free = BoundedSemaphore(processes)
        self._timeout = timeout_seconds

    def run(self, *arguments: str, inputs: Sequence[Input] = ()) -> bytes:
        """Return what the program writes; an argument ``{name}`` becomes the path of an input.

        Raises:
            ProgramBusy: all of the allowed processes are still at work.
            EngineFault: it cannot be started, fails, or takes too long.
        """
        if not self._free.acquire(timeout=self._timeout):
            raise ProgramBusy(f"all {self._limit} openssl processes are busy; try again")
        try:
            with ExitStack() as stack:
                files = {one.name: stack.enter_context(_in_memory(one)) for one in inputs}
                paths = {f"{{{name}}}": f"/proc/self/fd/{one}" for name, one in files.items()}
                words = [self._path, *(paths.get(word, word) for word in arguments)]
                return self._run(words, list(files.values()))
        finally:
            self._free.release()

    def _run(self, words: Sequence[str], files: Sequence[int]) -> bytes:
        try:
            process = subprocess.Popen(  # noqa: S603 - program and words come from the settings alone
                words,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env={},
                pass_fds=files,
                start_new_session=True,  # without a terminal nothing can ask for a passphrase
            )
        except OSError as error:
            raise EngineFault(f"{self._path} cannot be started: {error.strerror}") from None
        with process:
            written, complaint = self._ended(process)
        if process.returncode < 0:
            raise EngineFault(f"openssl was ended by signal {-process.returncode}")
        if process.returncode:
            raise EngineFault(f"openssl {words[1]} failed: {_complaint(complaint)}")
        return written

    def _ended(self, process: subprocess.Popen[bytes]) -> tuple[bytes, bytes]:
        done = False
        try:
            written = process.communicate(timeout=self._timeout)
            done = True
        except subprocess.TimeoutExpired:
            raise EngineFault(f"openssl did not end within {self._timeout:g} seconds") from None
        finally:
            if not done:
                # Its whole session: what a wrapper started holds the key's file as well.
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
        return written


@contextmanager
def _in_memory(given: Input) -> Iterator[int]:
    """Give a file that lives in memory: pkeyutl measures what it signs before it reads it."""
    number = os.memfd_create(given.name)
    try:
        with open(number, "wb", closefd=False) as file:
            file.write(given.octets)
        os.lseek(number, 0, os.SEEK_SET)
        yield number
    finally:
        os.close(number)


def _complaint(octets: bytes) -> str:
    lines = octets.decode("utf-8", "replace").split("\n")
    told = [line.strip() for line in lines if line.strip()]
    return "; ".join(told[:_COMPLAINT_LINES]) or "it does not say why"
