"""Certificates as they are downloaded: with the chain above, and with every other one there is.

RFC 8555 section 7.4.2: another chain is offered as ``Link: rel="alternate"``.  There is one for
each way up: through cross-certificates, and through the older and newer keys of a root.  Where a
template says so, or one order brought both, the other one of a pair (RFC 9763) comes after them.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from threading import Lock

from cryptography import x509

from pikaserver.api.certificates import CertificateRecord, CertificateStatus
from pikaserver.api.errors import NotFound
from pikaserver.api.server import Server
from pikaserver.asn1 import der
from pikaserver.asn1.certificate import is_signed_by

MOST_CHAINS = 8
MOST_BOUND = 8
DEEPEST = 6
_KEPT = 64

Chain = tuple[bytes, ...]


class Chains:
    """Finds the ways from a certificate up to a root."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._lock = Lock()
        self._known: dict[tuple[str, int], tuple[tuple[bytes, ...], list[Chain]]] = {}

    def offered(
        self, record: CertificateRecord, second: CertificateRecord | None = None
    ) -> list[Chain]:
        """Return all that a certificate is offered with, the certificate itself first in each.

        ``second`` came by the same order, and is offered in any case.

        Raises:
            NotFound: it is not finished.
        """
        found = [(_der(record), *chain) for chain in self.above(record)]
        bound = [] if second is None else [second]
        bound += [one for one in self._bound(record) if second is None or one.id != second.id]
        return found + [self.usual(other) for other in bound]

    def usual(self, record: CertificateRecord) -> Chain:
        """Return a certificate with the chain that most clients take.

        Raises:
            NotFound: it is not finished.
        """
        return (_der(record), *self.above(record)[0])

    def _bound(self, record: CertificateRecord) -> list[CertificateRecord]:
        """Return the valid others of a pair, where the template of this one says so."""
        try:
            if not self._server.templates.get(record.template or "").related.alternates:
                return []
        except NotFound:
            return []
        valid = CertificateStatus.VALID
        return [one for one in self._server.pairs.of(record) if one.status is valid][:MOST_BOUND]

    def above(self, record: CertificateRecord) -> list[Chain]:
        """Return the chains above a certificate, without their roots, the usual one first."""
        generations = self._server.authorities.get(record.authority).generations
        found = next((one for one in generations if one.number == record.generation), None)
        if found is None:
            raise NotFound("the certificate's issuer is gone")
        usual = (found.certificate, *found.chain)
        pool = tuple(self._pool())
        key = (record.authority, record.generation)
        with self._lock:
            known = self._known.get(key)
        if known is not None and known[0] == pool:
            return known[1]
        others = _ways((found.certificate, *found.others), pool, self._server.clock())
        chains = list(dict.fromkeys([_without_root(usual), *map(_without_root, others)]))
        with self._lock:
            if len(self._known) >= _KEPT:
                self._known.clear()
            self._known[key] = (pool, chains[:MOST_CHAINS])
        return chains[:MOST_CHAINS]

    def _pool(self) -> Iterator[bytes]:
        """Yield every certificate of an authority that is known here."""
        seen = set()
        for name in self._server.authorities.names():
            for generation in self._server.authorities.get(name).generations:
                for one in (generation.certificate, *generation.others, *generation.chain):
                    if one not in seen:
                        seen.add(one)
                        yield one


def _der(record: CertificateRecord) -> bytes:
    if record.certificate is None:
        raise NotFound("the certificate is not finished")
    return record.certificate


def _ways(starts: Sequence[bytes], pool: Sequence[bytes], now: datetime) -> list[Chain]:
    loaded = {one: x509.load_der_x509_certificate(one) for one in {*starts, *pool}}
    valid = {one: known for one, known in loaded.items() if known.not_valid_after_utc > now}
    found: list[Chain] = []
    for start in starts:
        if start in valid:
            _climb((start,), valid, found)
    return found


def _climb(way: Chain, known: dict[bytes, x509.Certificate], found: list[Chain]) -> None:
    top = known[way[-1]]
    if top.subject == top.issuer:
        found.append(way)
        return
    if len(way) >= DEEPEST or len(found) >= 2 * MOST_CHAINS:
        return
    for der_above, above in known.items():
        if der_above not in way and is_signed_by(top, above):
            _climb((*way, der_above), known, found)


def _without_root(way: Chain) -> Chain:
    """Leave out what every client has to have already, unless it is all that there is."""
    top = x509.load_der_x509_certificate(way[-1])
    return way[:-1] if len(way) > 1 and top.subject == top.issuer else way


def write_pem(chain: Chain) -> bytes:
    """Return certificates one after the other."""
    return b"".join(der.write_pem("CERTIFICATE", one) for one in chain)
