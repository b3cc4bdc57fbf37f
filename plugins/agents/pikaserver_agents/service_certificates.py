"""The certificates of services whose keys agents keep: OCSP responders, time-stamp units."""

from pikaserver.api.certificates import CertificateQuery, CertificateRecord, CertificateStatus
from pikaserver.api.errors import NotFound
from pikaserver.api.server import Server

_SERVICE = "server:"


def service_certificates(server: Server, spki_hash: bytes) -> tuple[bytes, ...]:
    """Return the newest certificate of a service's key, and those above it; empty without one."""
    query = CertificateQuery(key_hash=spki_hash.hex(), status=CertificateStatus.VALID)
    found = [one for one in server.certificates.find(query) if one.requester.startswith(_SERVICE)]
    newest = max(found, key=lambda one: one.id, default=None)
    if newest is None or newest.certificate is None:
        return ()
    return (newest.certificate, *_above(server, newest))


def _above(server: Server, record: CertificateRecord) -> tuple[bytes, ...]:
    try:
        generations = server.authorities.get(record.authority).generations
    except NotFound:
        return ()
    return next(
        ((one.certificate, *one.chain) for one in generations if one.number == record.generation),
        (),
    )
