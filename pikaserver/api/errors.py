"""One family of errors; every protocol translates it once, by type, into its own words.

::

    PikaserverError
    ├── MalformedRequest        the octets cannot be read                       400
    │   └── AlgorithmRefused    they name an algorithm that is not accepted
    ├── NotAuthenticated        no credential, or one that is wrong or spent    401
    ├── NotAllowed              known, but without the right                    403
    ├── RequestRejected         readable and allowed to ask, refused by a rule  422
    ├── NotFound                no such object                                  404
    ├── Conflict                the object's state does not allow the deed      409
    ├── TooLarge                more octets than the door takes                 413
    ├── HttpRefused             HTTP itself knows no such path or method        its own
    ├── TooManyRequests         ask again after ``retry_after``                 429
    ├── Unavailable             ask again after ``retry_after``                 503
    │   ├── KeyUnavailable      the key cannot sign now
    │   │   └── SignaturePending    it waits for approvals; ask with the same octets again
    │   └── StorageUnavailable  nothing can be stored durably now
    ├── SignatureFaulty         a signature did not verify; nothing left        500
    └── ConfigurationError      the server does not start
"""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Decision:
    """One line of a decision trace: which rule was asked, what it saw, and why it decided so."""

    rule: str
    asked: str
    allowed: bool
    why: str


class PikaserverError(Exception):
    """Root of the family; its text is one sentence for the person who asked."""


class MalformedRequest(PikaserverError):
    """The octets are not what the protocol says they are."""


class AlgorithmRefused(MalformedRequest):
    """The octets name an algorithm that is unknown, or too weak to be accepted here."""


class NotAuthenticated(PikaserverError):
    """The caller proved nothing, or proved it with something wrong, expired or spent."""


class NotAllowed(PikaserverError):
    """The caller is known and has no right to this."""


class RequestRejected(PikaserverError):
    """A rule refused the request; the trace tells rule by rule how that came."""

    def __init__(self, why: str, trace: Sequence[Decision] = ()) -> None:
        super().__init__(why)
        self.trace = tuple(trace)


class NotFound(PikaserverError):
    """There is no such object."""


class Conflict(PikaserverError):
    """The object is in a state that does not allow the deed."""


class TooLarge(PikaserverError):
    """The message has more octets than the door takes."""


class HttpRefused(PikaserverError):
    """HTTP itself has no such path, method or parameter here; ``status`` is 404, 405, 400 ..."""

    def __init__(self, why: str, status: int) -> None:
        super().__init__(why)
        self.status = status


class TooManyRequests(PikaserverError):
    """The caller asked too often; ``retry_after`` is in seconds."""

    def __init__(self, why: str, retry_after: int) -> None:
        super().__init__(why)
        self.retry_after = retry_after


class Unavailable(PikaserverError):
    """It cannot be done now and may be asked again; ``retry_after`` is in seconds."""

    def __init__(self, why: str, retry_after: int = 30) -> None:
        super().__init__(why)
        self.retry_after = retry_after


class KeyUnavailable(Unavailable):
    """The key cannot sign now: locked, absent, or behind a line that is down."""


class SignaturePending(KeyUnavailable):
    """Who keeps the key has the octets and will answer later, to the same octets only.

    ``approval`` is the SHA-256 of the octets where people have to approve them, else ``None``.
    """

    def __init__(self, why: str, approval: bytes | None = None, retry_after: int = 30) -> None:
        super().__init__(why, retry_after)
        self.approval = approval


class StorageUnavailable(Unavailable):
    """The database cannot store durably now; nothing was kept and nothing was signed."""


class SignatureFaulty(PikaserverError):
    """What a signer returned does not verify; nothing was released."""


class ConfigurationError(PikaserverError):
    """The start stops; the text says where to look."""
