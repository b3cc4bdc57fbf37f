"""The decision trace of one request: every rule that was asked, in order, and its answer."""

from typing import NoReturn

from pikaserver.api.errors import Decision, RequestRejected

_SHOWN_CHARACTERS = 120


class DecisionTrace:
    """Collects decisions; the first refusal ends the request and takes the trace along."""

    def __init__(self) -> None:
        self._decisions: list[Decision] = []

    @property
    def decisions(self) -> tuple[Decision, ...]:
        """All decisions so far."""
        return tuple(self._decisions)

    def allow(self, rule: str, asked: str, why: str) -> None:
        """Record that a rule let something pass."""
        self._decisions.append(Decision(rule, asked, allowed=True, why=why))

    def leave_out(self, rule: str, asked: str, why: str) -> None:
        """Record a wish that is not granted without ending the request."""
        self._decisions.append(Decision(rule, asked, allowed=False, why=why))

    def refuse(self, rule: str, asked: str, why: str) -> NoReturn:
        """Record the refusal and end the request with it.

        Raises:
            RequestRejected: always; its text is `why`, its trace is this one.
        """
        self._decisions.append(Decision(rule, asked, allowed=False, why=why))
        raise RequestRejected(why, self._decisions)


def shown(text: str) -> str:
    """Return a text as it stands where it is short and plain ASCII, else `quoted`."""
    plain = text.isascii() and text.isprintable() and len(text) <= _SHOWN_CHARACTERS
    return text if plain else quoted(text)


def quoted(text: str) -> str:
    """Return what a requester wrote as it may be shown: escaped, in quotes, of bounded length."""
    if len(text) > _SHOWN_CHARACTERS:
        text = text[:_SHOWN_CHARACTERS] + "..."
    return ascii(text)
