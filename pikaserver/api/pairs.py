"""Certificates of one holder that are bound to each other (RFC 9763)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from pikaserver.api.certificates import CertificateRecord
from pikaserver.api.issuance import CertificationRequest, EnrollmentRequest, Issued, Pending


@dataclass(frozen=True, slots=True)
class IssuedPair:
    """Both certificates are there; the second says in an extension which one the first is."""

    first: Issued
    second: Issued


class Pairs(Protocol):
    """Issues pairs, and finds the others of a certificate."""

    def of(self, record: CertificateRecord) -> Sequence[CertificateRecord]:
        """Return the certificates bound to this one, and the one that it is bound to.

        Whatever their status is; those that were issued last come first.
        """
        ...

    def enroll(
        self, request: EnrollmentRequest, second: CertificationRequest
    ) -> IssuedPair | Pending:
        """Issue two certificates to one requester, the second bound to the first.

        ``request`` asks for the first one.  ``second`` has another key, and the same subject and
        names; its template is what that of the first calls ``related.pair``.  Who may ask for
        the first by a credential may ask for the pair; all else has to fit both templates.
        Everything is checked before anything is signed, and a one-time proof is spent once.
        The same requests of the same requester get the same pair, also without a
        ``transaction``: where the second certificate failed, asking again brings it, after a
        person's yes where a template has come to ask for one.

        Raises:
            RequestRejected: a rule refused one of them, or the template has no pairs.
            NotAuthenticated: the proof is missing, wrong or spent.
            NotFound: no such template.
            Unavailable: a key or the database cannot do it now.
        """
        ...
