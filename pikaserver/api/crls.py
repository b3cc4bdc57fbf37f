"""CRLs as the rest of the house sees them: what they cover, and their octets."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

FULL_CRL = "full"
"""The scope of a CRL that lists every revoked certificate of a key."""
DELTA_CRL = "delta"
"""The scope of a CRL that tells what changed since a full one (RFC 5280 section 5.2.4)."""


def shard_scope(shard: int) -> str:
    """Return the scope of one part of a partitioned CRL, counted from 1."""
    return f"shard-{shard}"


class CrlContent(Protocol):
    """The octets (DER) of one CRL, which may be too many for memory."""

    @property
    def size(self) -> int:
        """How many octets there are."""
        ...

    def pieces(self) -> Iterator[bytes]:
        """Yield them from the beginning, as often as it is called."""
        ...


@dataclass(frozen=True, slots=True)
class CrlSummary:
    """What is known of a CRL without its octets, which may be many.

    ``scope`` is `FULL_CRL`, `DELTA_CRL` or that of a shard; ``base_number`` is the number of
    the full CRL that a delta goes with.  ``due_at`` is when the next one is signed at the
    latest, ``None`` where somebody else signs.
    """

    authority: str
    generation: int
    number: int
    this_update: datetime
    next_update: datetime
    entries: int
    scope: str = FULL_CRL
    base_number: int | None = None
    due_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class CrlRecord:
    """One CRL as it was signed; the fields are those of `CrlSummary`."""

    summary: CrlSummary
    content: CrlContent

    @property
    def authority(self) -> str:
        """Whose CRL it is."""
        return self.summary.authority

    @property
    def generation(self) -> int:
        """Which of the authority's keys signed it."""
        return self.summary.generation

    @property
    def scope(self) -> str:
        """What it covers."""
        return self.summary.scope

    @property
    def number(self) -> int:
        """Its CRL number."""
        return self.summary.number

    @property
    def this_update(self) -> datetime:
        """When it was signed."""
        return self.summary.this_update

    @property
    def next_update(self) -> datetime:
        """When the next one is there at the latest."""
        return self.summary.next_update

    @property
    def entries(self) -> int:
        """How many certificates it lists."""
        return self.summary.entries

    @property
    def crl(self) -> bytes:
        """All its octets at once; for a large one `content` is kinder."""
        return b"".join(self.content.pieces())


@dataclass(frozen=True, slots=True)
class CrlOctets:
    """`CrlContent` of a CRL that is in memory; ``der`` holds its octets."""

    der: bytes

    @property
    def size(self) -> int:
        """See `CrlContent`."""
        return len(self.der)

    def pieces(self) -> Iterator[bytes]:
        """See `CrlContent`."""
        yield self.der


class Crls(Protocol):
    """Reading and making CRLs."""

    def latest(
        self, authority: str, generation: int | None = None, scope: str = FULL_CRL
    ) -> CrlRecord:
        """Return the newest CRL of a generation, by default the full one of the current key.

        Raises:
            NotFound: no such authority, or nothing was signed yet.
        """
        ...

    def summaries(self) -> Sequence[CrlSummary]:
        """Return what is known of the newest CRLs of all generations and scopes."""
        ...

    def issue(self, authority: str) -> Sequence[CrlRecord]:
        """Sign fresh CRLs of an authority: of each key and each scope.

        Raises:
            Conflict: it has no key here that could sign.
            KeyUnavailable: the key cannot sign now.
        """
        ...

    def issue_due(self) -> Sequence[CrlRecord]:
        """Sign what is due: by its time, or after a revocation."""
        ...
