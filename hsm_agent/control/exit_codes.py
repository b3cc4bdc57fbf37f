"""What the number says that a command ends with; the same as those of ``pikaserver``.

====  =============================================================
0     done
1     refused or failed
2     wrong usage: an unknown command, option or argument
3     not found
4     unavailable now: the agent, its server or a token; ask again later
5     a setting or a file stops the start
6     unhealthy: ``doctor`` or ``journal verify`` found something
7     the state does not allow it; nothing was changed
8     stored, and waiting for approval
====  =============================================================
"""

from hsm_agent.faults import (
    AgentFault,
    Conflict,
    NotThere,
    SettingsFault,
    Unavailable,
    Waiting,
)

DONE = 0
REFUSED = 1
USAGE = 2
NOT_FOUND = 3
UNAVAILABLE = 4
CONFIGURATION = 5
UNHEALTHY = 6
CONFLICT = 7
WAITING = 8

_BY_FAULT: dict[type[Exception], int] = {
    SettingsFault: CONFIGURATION,
    NotThere: NOT_FOUND,
    Unavailable: UNAVAILABLE,
    Conflict: CONFLICT,
    Waiting: WAITING,
}
_BY_REFUSAL = {
    "unknown-key": NOT_FOUND,
    "exists": CONFLICT,
    "approval-needed": WAITING,
    **dict.fromkeys(("token-absent", "token-error", "busy", "pin-needed"), UNAVAILABLE),
    **dict.fromkeys(("pin-locked", "touch-timeout", "journal", "draining"), UNAVAILABLE),
}


class AgentSaid(AgentFault):
    """The running agent refused; ``code`` is the exit code that goes with it."""

    def __init__(self, why: str, code: int) -> None:
        super().__init__(why)
        self.code = code


class Refusal(AgentFault):
    """The service refused; ``refusal`` is its code."""

    def __init__(self, why: str, refusal: str) -> None:
        super().__init__(why)
        self.refusal = refusal


def exit_code(error: Exception) -> int:
    """Return the exit code of an error."""
    if isinstance(error, AgentSaid):
        return error.code
    if isinstance(error, Refusal):
        return _BY_REFUSAL.get(error.refusal, REFUSED)
    for kind in type(error).__mro__:
        if kind in _BY_FAULT:
            return _BY_FAULT[kind]
    # A store's errors carry the code of a refusal.
    return _BY_REFUSAL.get(str(getattr(error, "code", "")), REFUSED)
