"""Good requests and answers of OCSP: what mutation starts from."""

import base64
from datetime import UTC, datetime
from functools import cache

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from pikaserver.api.certificates import Revocation, RevocationReason
from pikaserver.asn1 import der
from pikaserver.asn1.algorithms import SIGNATURE_ALGORITHMS
from pikaserver.asn1.ocsp import (
    ACCEPTABLE_RESPONSES,
    BASIC,
    FORMS,
    PREFERRED_SIGNATURE_ALGORITHMS,
    ResponseStatus,
    issuer_octets,
    make_cert_id,
    write_extension,
    write_nonce,
)
from pikaserver.asn1.ocsp_requests import write_request
from pikaserver.asn1.ocsp_writing import (
    EXTENDED_REVOKED,
    GOOD,
    UNKNOWN,
    archive_cutoff,
    by_key,
    by_name,
    error_response,
    invalidity_date,
    response,
    response_data,
    revoked,
    signed_part,
    single_response,
)
from tests.fuzz import seeds

_MOMENT = datetime(2026, 5, 1, tzinfo=UTC)
_SPKI = der.sequence(der.sequence(der.oid("1.3.101.112")), der.bit_string(bytes(32)))
_ALGORITHM = SIGNATURE_ALGORITHMS["ecdsa-sha256"].identifier


@cache
def requests() -> list[bytes]:
    """Return requests: short and long, with every extension, signed."""
    subject = seeds.subject().public_bytes()
    ids = [
        make_cert_id(issuer_octets(form, subject, _SPKI), 2 ** (8 * form + 1))
        for form in range(len(FORMS))
    ]
    wishes = [
        write_extension(ACCEPTABLE_RESPONSES, der.sequence(der.oid(BASIC))),
        write_extension(PREFERRED_SIGNATURE_ALGORITHMS, der.sequence(der.sequence(_ALGORITHM))),
    ]
    tbs = der.sequence(
        der.context(1, der.context(4, subject)), der.sequence(der.sequence(ids[0].der))
    )
    certificates = der.context(0, der.sequence(*seeds.certificates()))
    signature = der.sequence(_ALGORITHM, der.bit_string(b"signature"), certificates)
    return [
        write_request(ids[:1]),
        write_request(ids[2:3], b"n" * 32),
        write_request(ids, b"n", wishes),
        der.sequence(tbs, der.context(0, signature)),
    ]


@cache
def answers() -> list[bytes]:
    """Return answers of every kind."""
    subject = seeds.subject().public_bytes()
    cert_id = make_cert_id(issuer_octets(0, subject, _SPKI), 77).der
    revocation = revoked(Revocation(_MOMENT, RevocationReason.SUPERSEDED))
    singles = [
        single_response(cert_id, GOOD, _MOMENT, _MOMENT, [archive_cutoff(_MOMENT)]),
        single_response(cert_id, revocation, _MOMENT, _MOMENT, [invalidity_date(_MOMENT)]),
        single_response(cert_id, UNKNOWN, _MOMENT, _MOMENT),
    ]
    made = [error_response(status) for status in ResponseStatus if status.value]
    key = seeds.keys()[0]
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    for responder in (by_key(_SPKI), by_name(subject)):
        tbs = response_data(responder, _MOMENT, singles, [EXTENDED_REVOKED, write_nonce(b"n" * 9)])
        signature = key.sign(tbs, ec.ECDSA(hashes.SHA256()))
        made.append(response(signed_part(tbs, "ecdsa-sha256", signature), seeds.certificates()))
    return made


def paths() -> list[bytes]:
    """Return what follows ``/ocsp`` in a GET."""
    texts = [base64.b64encode(one) for one in requests()]
    return [*(b"/" + one for one in texts), b"/issuing/" + texts[0], b"//" + texts[1].rstrip(b"=")]
