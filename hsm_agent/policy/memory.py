"""What a decision has to know of earlier ones; the journal remembers it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True)
class CrlMark:
    """The CRL of one key and scope that was signed last; ``tbs_hash`` is the SHA-256 of it."""

    number: int
    this_update: datetime
    tbs_hash: bytes


class Memory(Protocol):
    """Everything that was allowed so far, up to this moment.

    ``key`` is the SHA-256 of the SubjectPublicKeyInfo.  Whoever asks `decide` holds one lock
    from the decision until the memory knows of it, or two requests could share a serial.
    """

    def serial_use(self, key: bytes, serial: int) -> bytes | None:
        """Return the SHA-256 of the TBSCertificate that got this serial, if one did."""
        ...

    def last_crl(self, key: bytes, scope: str) -> CrlMark | None:
        """Return the last CRL of this scope (fact ``scope`` of a decision), if there is one."""
        ...

    def dropped(
        self, key: bytes, scope: str, serials: Iterable[bytes], at: datetime
    ) -> Iterable[int]:
        """Return serials on the last CRL of this scope that are no more among these.

        Serials come as the content octets of their INTEGERs.  Left out are those whose
        certificate is known to have expired before ``at`` (fact ``not-after`` of its decision).
        Serials that no certificate got here may be among them; `decide` passes them over.
        """
        ...

    def signed_since(self, key: bytes, since: datetime, but: bytes) -> Mapping[str, int]:
        """Count by kind the different structures that were allowed since then.

        ``but`` is the SHA-256 of one that is not counted: the one that is asked for now.
        """
        ...

    def self_signed_before(self, key: bytes) -> bytes | None:
        """Return the SHA-256 of the first `SELF_SIGNED` structure of this key, if there is one."""
        ...
