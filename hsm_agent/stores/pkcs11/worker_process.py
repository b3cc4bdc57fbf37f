"""One life of the worker: started, spoken to, ended, never left behind."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

import hsm_agent
from hsm_agent.stores.pkcs11.begun import Begun
from hsm_agent.stores.pkcs11.pipe import Pipe, framed
from hsm_agent.wire.encoding import Value

_MODULE = "hsm_agent.stores.pkcs11.worker"
_END_SECONDS = 2.0


class WorkerProcess:
    """A running worker.

    It has to be started by a thread that lives as long as it shall: the kernel takes the end of
    that thread for the end of the parent.
    """

    def __init__(self, settings: Mapping[str, Value], environment: Mapping[str, str]) -> None:
        with ExitStack() as started, ExitStack() as failed:
            ours, theirs = socket.socketpair()
            started.enter_context(theirs)
            failed.enter_context(ours)
            shared = Begun.new()
            started.callback(os.close, shared)
            self.begun = Begun(shared)
            failed.callback(self.begun.close)
            self._process = _started([theirs.fileno(), shared], environment)
            failed.pop_all()
        self.pipe = Pipe(ours)
        self.send(framed(settings), self.kill)

    @property
    def number(self) -> int:
        """The process id."""
        return self._process.pid

    def send(self, octets: bytes, meanwhile: Callable[[], None]) -> None:
        """Send a request; a worker that is gone is ended, which the reader notices.

        ``meanwhile`` is called again and again while it does not read, which is while it works.
        """
        try:
            self.pipe.send(octets, meanwhile)
        except OSError:
            self.kill()

    def kill(self) -> None:
        """End it at once, whatever it is doing; the reader finds its line closed."""
        self._process.kill()
        self.pipe.cut()

    def ended(self) -> str:
        """Collect the process after its line has closed, and tell how it ended."""
        self.pipe.end()
        code = self._exit_code()
        if code is None:
            self._process.kill()
            code = self._exit_code()
        self.pipe.close()
        if code is None:
            return "only half: the kernel holds it in a driver"
        if code >= 0:
            return f"with exit code {code}"
        names = {each.value: each.name for each in signal.Signals}
        return f"of {names.get(-code, f'signal {-code}')}"

    def _exit_code(self) -> int | None:
        try:
            return self._process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            return None


Start = Callable[[int], WorkerProcess]
"""Starts a worker; the number counts them."""


def _started(descriptors: Sequence[int], environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """Start the interpreter on our own code, also where that is not installed."""
    home = str(Path(hsm_agent.__file__).parent.parent)
    path = os.pathsep.join(filter(None, [home, os.environ.get("PYTHONPATH")]))
    return subprocess.Popen(  # noqa: S603  # our own interpreter and code, no shell
        [sys.executable, "-P", "-m", _MODULE, *map(str, (*descriptors, os.getpid()))],
        env={**os.environ, **environment, "PYTHONPATH": path},
        pass_fds=descriptors,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
