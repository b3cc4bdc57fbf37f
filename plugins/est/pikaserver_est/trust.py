"""Which CA certificates a client of a template shall trust: all generations and their chains."""

from collections.abc import Iterable, Iterator
from datetime import datetime

from cryptography import x509

from pikaserver.api.certificates import Authorities, AuthorityRecord, Generation
from pikaserver.api.errors import NotFound


def ca_certificates(authorities: Authorities, name: str, now: datetime) -> list[bytes]:
    """Return the certificates of an authority and of those above it, its current one first.

    Of every authority on the way up that is ours come all generations, so that a client
    that asks before a change of keys knows both, and the links between them: RFC 7030
    section 4.1.3 asks for OldWithOld, OldWithNew and NewWithOld.  What is expired is left
    out.

    Raises:
        NotFound: no such authority, or it has no certificate yet.
    """
    authority = authorities.get(name)
    current = [generation.certificate for generation in authority.generations if generation.current]
    if not current:
        raise NotFound(f"the authority {name!r} has no certificate yet")
    found = dict.fromkeys(current)
    found.update(dict.fromkeys(_valid(_of(authority), now)))
    for other in authorities.names():
        above = authorities.get(other)
        if other != name and not found.keys().isdisjoint(_own(above.generations)):
            found.update(dict.fromkeys(_valid(_of(above), now)))
    return list(found)


def _own(generations: Iterable[Generation]) -> Iterator[bytes]:
    for generation in generations:
        yield generation.certificate
        yield from generation.others


def _of(authority: AuthorityRecord) -> Iterator[bytes]:
    yield from _own(authority.generations)
    for generation in authority.generations:
        yield from generation.chain


def _valid(certificates: Iterable[bytes], now: datetime) -> Iterator[bytes]:
    for certificate in certificates:
        if now <= x509.load_der_x509_certificate(certificate).not_valid_after_utc:
            yield certificate
