"""The arguments of a deed as they came over the socket: types are checked, strangers refused."""

import base64
from collections.abc import Mapping, Sequence

from hsm_agent.faults import AgentFault


class Arguments:
    """Reads arguments by name; octets travel as base64."""

    def __init__(self, given: Mapping[str, object]) -> None:
        self._left = dict(given)

    def text(self, name: str, default: str | None = None) -> str:
        """Return a text; without a default it must be there."""
        value = self._left.pop(name, default)
        if not isinstance(value, str):
            raise AgentFault(f"{name} should be a text")
        return value

    def flag(self, name: str) -> bool:
        """Return whether a flag is set."""
        return self._left.pop(name, False) is True

    def octets(self, name: str) -> bytes:
        """Return octets, none where there is no such argument."""
        return _octets(name, self._left.pop(name, ""))

    def octets_list(self, name: str) -> Sequence[bytes]:
        """Return a list of octets."""
        values = self._left.pop(name, None)
        if not isinstance(values, list):
            raise AgentFault(f"{name} should be a list")
        return [_octets(name, value) for value in values]

    def end(self) -> None:
        """Refuse what nobody asked for."""
        if self._left:
            raise AgentFault(f"unknown arguments: {', '.join(sorted(self._left))}")


def _octets(name: str, value: object) -> bytes:
    if not isinstance(value, str):
        raise AgentFault(f"{name} should be base64")
    try:
        return base64.b64decode(value, validate=True)
    except ValueError as error:
        raise AgentFault(f"{name} should be base64") from error
