"""Answers the other commands of this host on ``agent.sock``: a line of JSON each way."""

import json
import logging
import socket
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

from hsm_agent.control.exit_codes import REFUSED, exit_code
from hsm_agent.control.socket_path import socket_address
from hsm_agent.faults import AgentFault, SettingsFault
from hsm_agent.journal.faults import JournalFault
from hsm_agent.stores.store import StoreError

LONGEST_LINE = 100 * 1024 * 1024
"""Octets; bundles are the longest that comes."""
SECONDS = 600.0
_MODE = 0o600

_log = logging.getLogger(__name__)

Do = Callable[[str, Mapping[str, object]], object]


class ControlServer:
    """Listens until `close`; only the agent's own user, and root, reach the socket."""

    def __init__(self, path: Path, do: Do) -> None:
        """Take the place of the socket that a crash may have left.

        Raises:
            SettingsFault: it cannot be made.
        """
        self._path = path
        self._do = do
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            path.unlink(missing_ok=True)
            with socket_address(path) as address:
                self._socket.bind(address)
            # Nobody can connect before listen, so there is no moment with a wider mode.
            path.chmod(_MODE)
            self._socket.listen(16)
        except OSError as error:
            self._socket.close()
            raise SettingsFault(f"{path} cannot be made: {error.strerror}") from error
        threading.Thread(target=self._accept, name="control", daemon=True).start()

    def close(self) -> None:
        """Stop listening and remove the socket."""
        self._path.unlink(missing_ok=True)
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            _log.debug("the control socket was closed already")
        self._socket.close()

    def _accept(self) -> None:
        while True:
            try:
                caller, _ = self._socket.accept()
            except OSError:
                return
            caller.settimeout(SECONDS)
            threading.Thread(target=self._serve, args=(caller,), daemon=True).start()

    def _serve(self, caller: socket.socket) -> None:
        with caller, caller.makefile("rb") as stream:
            try:
                line = stream.readline(LONGEST_LINE)
                # Who only looks whether an agent runs asks nothing.
                if line:
                    caller.sendall(json.dumps(self._answer(line)).encode() + b"\n")
            except OSError as error:
                _log.debug("a caller on the control socket left: %s", error)

    def _answer(self, line: bytes) -> Mapping[str, object]:
        try:
            request = json.loads(line)
        except (ValueError, RecursionError):
            request = None
        if not isinstance(request, dict) or not isinstance(request.get("deed"), str):
            return {"why": "no line of JSON with a deed", "code": REFUSED}
        deed = request.pop("deed")
        try:
            return {"done": self._do(deed, request)}
        except (AgentFault, StoreError, JournalFault) as error:
            return {"why": str(error), "code": exit_code(error)}
        except Exception:  # noqa: BLE001 - the boundary of a request
            _log.exception("the deed %s failed", deed)
            return {"why": f"{deed} failed; the agent's log says why", "code": REFUSED}
