"""What the worker answers when it does not do it: a code and a sentence, never a secret."""

ABSENT = "absent"
LOGIN = "login"
"""Nobody is logged in: the store has to bring the PIN."""
AGAIN = "again"
"""The session was lost, or spoilt, and dropped: the same request may succeed now."""
PIN_WRONG = "pin-wrong"
PIN_LOW = "pin-low"
PIN_LOCKED = "pin-locked"
UNKNOWN_KEY = "unknown-key"
EXISTS = "exists"
UNSUPPORTED = "unsupported"
FAULT = "fault"

WHY_LOCKED = "the token has locked the PIN"
WHY_LOW = (
    "a wrong PIN was tried since the last right one, and none more is risked: log in once with"
    " another program, as pkcs11-tool --login, which sets the count back"
)


class Refused(Exception):
    """The worker does not do it; ``number`` counts sessions where the code is `LOGIN`."""

    def __init__(self, code: str, why: str, number: int = 0) -> None:
        super().__init__(why)
        self.code = code
        self.number = number
