"""Certificates of one holder that are bound to each other (RFC 9763)."""

from collections.abc import Sequence
from typing import Protocol

from pikaserver.api.certificates import CertificateRecord


class Pairs(Protocol):
    """Finds the others of a certificate: alternates for whoever fetches one."""

    def of(self, record: CertificateRecord) -> Sequence[CertificateRecord]:
        """Return the certificates bound to this one, and the one that it is bound to.

        Whatever their status is; those that were issued last come first.
        """
        ...
