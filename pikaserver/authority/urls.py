"""Where relying parties find an authority's certificate, CRL and status."""

from collections.abc import Callable
from dataclasses import dataclass

from cryptography import x509

from pikaserver.authority.authorities import IssuingKey

SHARD_PLACE = "{shard}"
"""Stands in an operator's URL where ``-3`` goes for the third part, nothing for the full CRL."""

BaseUrl = Callable[[str], str | None]
"""Gives the base URL of a service by its name, or ``None`` where no listener serves it."""


@dataclass(frozen=True, slots=True)
class Pointers:
    """The URLs that certificates of one generation carry."""

    issuer: tuple[str, ...]
    crl: tuple[str, ...]
    ocsp: tuple[str, ...]
    delta: tuple[str, ...] = ()
    """Where the delta CRL is, if there is one."""


class AuthorityUrls:
    """Derives the pointers of each generation, unless the authority's settings name others.

    A CRL is signed by the key of one generation, so its URL names the generation and never
    changes: ``/crl/issuing.g1.crl``.
    """

    def __init__(self, base_url: BaseUrl) -> None:
        self._base_url = base_url

    def of(self, issuer: IssuingKey, shard: int | None = None) -> Pointers:
        """Return what certificates signed by this key point to, those of one shard or others."""
        settings = issuer.settings
        stem = f"{issuer.authority}.g{issuer.generation.number}"
        named = tuple(_of_shard(url, shard) for url in settings.crl_urls)
        part = stem if shard is None else f"{stem}-{shard}"
        return Pointers(
            issuer=settings.issuer_urls or self._own("crl", f"/ca/{stem}.cer"),
            crl=named or self._own("crl", f"/crl/{part}.crl"),
            ocsp=settings.ocsp_urls or self._own("ocsp", f"/ocsp/{issuer.authority}"),
            delta=self._delta(issuer, stem) if shard is None else (),
        )

    def _delta(self, issuer: IssuingKey, stem: str) -> tuple[str, ...]:
        if not issuer.settings.crl_deltas:
            return ()
        return issuer.settings.crl_delta_urls or self._own("crl", f"/crl/{stem}-delta.crl")

    def _own(self, service: str, path: str) -> tuple[str, ...]:
        base = self._base_url(service)
        # A pointer over HTTPS would need the certificate that is being checked (RFC 5280
        # section 8): such a pointer is worse than none.
        if base is None or base.startswith("https:"):
            return ()
        return (base + path,)


def _of_shard(url: str, shard: int | None) -> str:
    """Fill the place for a shard in a URL that an operator chose."""
    return url.replace(SHARD_PLACE, "" if shard is None else f"-{shard}")


def point(urls: tuple[str, ...]) -> x509.DistributionPoint:
    """Return one point with several names: they are the same CRL (RFC 5280 section 4.2.1.13)."""
    names = [x509.UniformResourceIdentifier(url) for url in urls]
    return x509.DistributionPoint(names, None, None, None)
