"""CMC beside enrolling: tokens of what waits, certificates and CRLs fetched, revocations."""

from cryptography import x509

from pikaserver.api.certificates import CertificateStatus, RevocationReason
from pikaserver.asn1 import cmc, der
from pikaserver.asn1.cmc import FailInfo, Status
from pikaserver.asn1.csr import read_csr
from pikaserver.testing.templates import make_template
from pikaserver.testing.throw_away import (
    distinguished_name,
    spki,
    throw_away_key,
    throw_away_request,
)
from tests.est.cmc_client import control, new_keys, pkcs10, pki_data


def test_what_waits_is_asked_for_by_its_token(client, server, key, record, new):
    """202 with a token (RFC 5272 section 6.12); approved, the token brings the certificate."""
    server.templates.add(make_template(approval=True))
    content = pki_data(pkcs10(1, throw_away_request(new, "plc-21")))
    first = client.send(client.sign(content, key, record.certificate))
    (told,) = first.told
    query = pki_data(controls=(control(1, cmc.QUERY_PENDING, der.octet_string(told.token)),))
    waiting = client.send(client.sign(query, key, record.certificate))
    server.approve(1)

    done = client.send(client.sign(query, key, record.certificate))

    assert (202, Status.PENDING, b"1") == (first.code, told.status, told.token)
    assert "120" == first.headers["retry-after"]
    assert (202, "60") == (waiting.code, waiting.headers["retry-after"])
    assert (200, Status.SUCCESS) == (done.code, done.told[0].status)
    assert spki(new) in new_keys(done)


def test_a_token_is_good_for_its_owner_only(client, server, key, record, new):
    """And nobody guesses one."""
    server.templates.add(make_template(approval=True))
    other_key = throw_away_key(server.entropy)
    other = server.issue(read_csr(throw_away_request(other_key, "plc-22")))
    content = pki_data(pkcs10(1, throw_away_request(new, "plc-21")))
    client.send(client.sign(content, key, record.certificate))

    answers = [
        client.send(
            client.sign(
                pki_data(controls=(control(1, cmc.QUERY_PENDING, der.octet_string(token)),)),
                other_key,
                other.certificate,
            )
        )
        for token in (b"1", b"2", b"x", b"9" * 30)
    ]

    assert [403, 404, 404, 404] == [answer.code for answer in answers]


def issuer_of(record):
    return x509.load_der_x509_certificate(record.certificate).issuer.public_bytes()


def revoke_request(record, reason=1):
    return der.sequence(
        issuer_of(record),
        der.integer(record.serial),
        der.element(0x0A, bytes([reason])),
    )


def test_a_certificate_is_fetched(client, server, key, record):
    """GetCert (RFC 5272 section 6.9), by issuer and serial number."""
    name = der.element(0xA4, issuer_of(record))
    wanted = control(1, cmc.GET_CERT, der.sequence(name, der.integer(record.serial)))
    strange = control(2, cmc.GET_CERT, der.sequence(name, der.integer(4711)))

    answer = client.send(client.sign(pki_data(controls=(wanted, strange)), key, record.certificate))

    assert record.certificate in answer.certificates
    assert [Status.SUCCESS, Status.FAILED] == [told.status for told in answer.told]
    assert FailInfo.BAD_CERT_ID == answer.told[1].fail_info
    assert not server.wishes


def test_a_crl_is_fetched(client, server, key, record):
    """GetCRL (RFC 5272 section 6.10)."""
    (issued,) = server.crls.issue("issuing")
    wanted = control(1, cmc.GET_CRL, der.sequence(issuer_of(record)))
    strange = control(2, cmc.GET_CRL, der.sequence(distinguished_name("x").public_bytes()))

    answer = client.send(client.sign(pki_data(controls=(wanted, strange)), key, record.certificate))

    assert b"".join(issued.content.pieces()) in answer.octets
    assert [Status.SUCCESS, Status.FAILED] == [told.status for told in answer.told]


def test_a_holder_revokes_its_own(client, server, key, record):
    """RevokeRequest (RFC 5272 section 6.11), signed by the very certificate."""
    content = pki_data(controls=(control(1, cmc.REVOKE_REQUEST, revoke_request(record)),))

    answer = client.send(client.sign(content, key, record.certificate))

    assert (200, Status.SUCCESS) == (answer.code, answer.told[0].status)
    revocation = server.certificates.get(record.id).revocation
    assert RevocationReason.KEY_COMPROMISE is revocation.reason


def test_nobody_revokes_what_is_others(client, server, key, record):
    """And a reason that is none is refused."""
    other = server.issue(read_csr(throw_away_request(throw_away_key(server.entropy), "plc-22")))
    wishes = (
        control(1, cmc.REVOKE_REQUEST, revoke_request(other)),
        control(2, cmc.REVOKE_REQUEST, revoke_request(record, 8)),
        control(3, cmc.REVOKE_REQUEST, revoke_request(record, 77)),
    )

    answer = client.send(client.sign(pki_data(controls=wishes), key, record.certificate))

    assert 403 == answer.code
    assert [FailInfo.BAD_IDENTITY, FailInfo.BAD_REQUEST, FailInfo.BAD_REQUEST] == [
        told.fail_info for told in answer.told
    ]
    for one in (record, other):
        assert CertificateStatus.VALID is server.certificates.get(one.id).status
