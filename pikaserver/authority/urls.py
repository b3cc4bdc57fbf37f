"""Where relying parties find an authority's certificate, CRL and status."""

from collections.abc import Callable
from dataclasses import dataclass

from pikaserver.authority.authorities import IssuingKey

BaseUrl = Callable[[str], str | None]
"""Gives the base URL of a service by its name, or ``None`` where no listener serves it."""


@dataclass(frozen=True, slots=True)
class Pointers:
    """The URLs that certificates of one generation carry."""

    issuer: tuple[str, ...]
    crl: tuple[str, ...]
    ocsp: tuple[str, ...]


class AuthorityUrls:
    """Derives the pointers of each generation, unless the authority's settings name others.

    A CRL is signed by the key of one generation, so its URL names the generation and never
    changes: ``/crl/issuing.g1.crl``.
    """

    def __init__(self, base_url: BaseUrl) -> None:
        self._base_url = base_url

    def of(self, issuer: IssuingKey) -> Pointers:
        """Return what certificates signed by this key point to."""
        settings = issuer.settings
        stem = f"{issuer.authority}.g{issuer.generation.number}"
        return Pointers(
            issuer=settings.issuer_urls or self._own("crl", f"/ca/{stem}.cer"),
            crl=settings.crl_urls or self._own("crl", f"/crl/{stem}.crl"),
            ocsp=settings.ocsp_urls or self._own("ocsp", f"/ocsp/{issuer.authority}"),
        )

    def _own(self, service: str, path: str) -> tuple[str, ...]:
        base = self._base_url(service)
        # A pointer over HTTPS would need the certificate that is being checked (RFC 5280
        # section 8): such a pointer is worse than none.
        if base is None or base.startswith("https:"):
            return ()
        return (base + path,)
