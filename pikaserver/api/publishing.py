"""Publishers: what pushes fresh CRLs, CA certificates and news of certificates to a target.

The host keeps on disk what each of them has pushed.  It asks a publisher from one thread at a
time, on one node at a time, tries again what failed, and asks for the newest CRL only: while a
target is away, those in between are passed over.  A publisher needs no memory of its own.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from pikaserver.api.certificates import AuthorityRecord, CertificateRecord, Generation
from pikaserver.api.crls import CrlRecord, CrlSummary


class Publisher(Protocol):
    """Pushes fresh CRLs to where relying parties look."""

    @property
    def name(self) -> str:
        """What logs, metrics and ``pikaserver publish`` call it: 60 characters at most."""
        ...

    def publish(self, crl: CrlRecord) -> None:
        """Push one CRL, and return when it is there; a second time does no harm.

        Raises:
            Unavailable: the target cannot be reached; nothing else is tried there meanwhile.
            Exception: this one could not be pushed; it alone is tried again later.
        """
        ...


def _everything(*_: object) -> bool:
    return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What a publisher takes beside the CRLs; what is unset it does without.

    ``place`` is shown to operators and says where things go: once it is another one,
    everything is pushed anew.  ``every_node``: each node pushes for itself, to its own disk.
    ``certificate`` pushes one generation's certificate.  ``statuses`` gets certificates after
    they were revoked, held or released, in that order, a hundred at a time at most.
    ``probe`` tries the target without leaving anything there, and says in one sentence what
    it found.  All of them raise what a `Publisher` does.
    """

    place: str = ""
    every_node: bool = False
    wants: Callable[[CrlSummary], bool] = _everything
    certificate: Callable[[AuthorityRecord, Generation], None] | None = None
    wants_certificate: Callable[[AuthorityRecord, Generation], bool] = _everything
    statuses: Callable[[Sequence[CertificateRecord]], None] | None = None
    probe: Callable[[], str] | None = None


class TargetPublisher(Protocol):
    """A `Publisher` that says more of its target; asked once, while the server starts."""

    @property
    def target(self) -> Target:
        """What it takes beside the CRLs."""
        ...
