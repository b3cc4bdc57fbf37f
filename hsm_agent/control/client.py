"""Asks the agent that runs on a data folder."""

import json
import socket
from pathlib import Path

from hsm_agent.control.exit_codes import AgentSaid
from hsm_agent.control.socket_path import socket_address
from hsm_agent.faults import Unavailable

SECONDS = 600.0
"""A token may take its time, and a person to touch it."""


class AgentRuns:
    """Puts deeds to a running agent."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def do(self, deed: str, **arguments: object) -> object:
        """Have a deed done and return its result.

        Raises:
            AgentFault: what the agent says, or that it is gone.
        """
        connection = connect(self._path)
        if connection is None:
            raise Unavailable(f"nobody answers at {self._path}: 'hsm-agent run' does not run")
        line = json.dumps({"deed": deed, **arguments}).encode() + b"\n"
        try:
            with connection, connection.makefile("rwb") as stream:
                connection.settimeout(SECONDS)
                stream.write(line)
                stream.flush()
                answer = json.loads(stream.readline())
        except (OSError, ValueError, RecursionError) as error:
            raise Unavailable(f"the agent at {self._path} did not answer: {error}") from error
        match answer:
            case {"done": done}:
                return done
            case {"why": str(why), "code": int(code)}:
                raise AgentSaid(why, code)
        raise Unavailable(f"what answers at {self._path} is no agent of this version")


def connect(path: Path) -> socket.socket | None:
    """Return a connection to the running agent, ``None`` where none runs."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with socket_address(path) as address:
            connection.connect(address)
    except OSError:
        connection.close()
        return None
    return connection
