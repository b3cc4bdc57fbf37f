"""What the number says that a command ends with.

====  =============================================================
0     done
1     refused or failed
2     wrong usage: an unknown command, option or argument
3     not found
4     unavailable now: a key or the database; ask again later
5     a setting, a plugin or a file stops the start
6     unhealthy: ``doctor`` found something
7     the state of the object does not allow it; nothing was changed
8     stored, and waiting for approval
====  =============================================================
"""

from pikaserver.api.errors import (
    ConfigurationError,
    Conflict,
    NotFound,
    PikaserverError,
    SignaturePending,
    TooManyRequests,
    Unavailable,
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

_EXIT_CODES: dict[type[PikaserverError], int] = {
    PikaserverError: REFUSED,
    NotFound: NOT_FOUND,
    Unavailable: UNAVAILABLE,
    SignaturePending: WAITING,
    TooManyRequests: UNAVAILABLE,
    ConfigurationError: CONFIGURATION,
    Conflict: CONFLICT,
}


def exit_code(error: PikaserverError) -> int:
    """Return the exit code of an error, or that of its nearest relative above."""
    return next(_EXIT_CODES[kind] for kind in type(error).__mro__ if kind in _EXIT_CODES)
