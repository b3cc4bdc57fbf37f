"""Signatures of requests: ignored, checked where there are some, or demanded, by setting."""

from dataclasses import replace
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from pikaserver.api.certificates import CertificateStatus
from pikaserver.asn1 import der
from pikaserver.asn1.algorithms import SIGNATURE_ALGORITHMS
from pikaserver.asn1.csr import read_csr
from pikaserver.asn1.ocsp import ResponseStatus
from pikaserver.testing.throw_away import (
    distinguished_name,
    spki,
    throw_away_key,
    throw_away_request,
)


class Requestor:
    """Somebody with a certificate of ours, who signs requests."""

    def __init__(self, house, authority="issuing"):
        self.key = throw_away_key(house.server.entropy)
        template = "device" if authority == "issuing" else f"of-{authority}"
        self.record = house.server.issue(
            read_csr(throw_away_request(self.key, "relying")), template
        )

    def signed(self, cert_id, *, name="relying", certificates=None, spoil=b""):
        """Return a signed request."""
        requestor = b""
        if name is not None:
            requestor = der.context(1, der.context(4, distinguished_name(name).public_bytes()))
        tbs = der.sequence(requestor, der.sequence(der.sequence(cert_id.der)))
        signature = self.key.sign(tbs + spoil, ec.ECDSA(hashes.SHA256()))
        listed = [self.record.certificate] if certificates is None else certificates
        enclosed = der.context(0, der.sequence(*listed)) if listed else b""
        algorithm = SIGNATURE_ALGORITHMS["ecdsa-sha256"].identifier
        outer = der.sequence(algorithm, der.bit_string(signature), enclosed)
        return der.sequence(tbs, der.context(0, outer))


def unsigned(cert_id):
    return der.sequence(der.sequence(der.sequence(der.sequence(cert_id.der))))


@pytest.fixture(params=["ignore", "check", "demand"])
def setting(request):
    return request.param


def test_a_good_signature_is_always_welcome(make_house, setting):
    """By the owner of a certificate of ours, with its subject as requestorName or none."""
    house = make_house(requestors=setting)
    record, requestor = house.issue(), Requestor(house)
    cert_id = house.cert_id(record)

    for octets in (requestor.signed(cert_id), requestor.signed(cert_id, name=None)):
        basic = house.read(house.ocsp.responder.answer(octets).octets)
        assert "good" == basic.answers[0].status


def test_an_unsigned_request_is_refused_only_where_signatures_are_demanded(make_house, setting):
    """RFC 6960 section 2.3: sigRequired."""
    house = make_house(requestors=setting)
    octets = unsigned(house.cert_id(house.issue()))

    if setting == "demand":
        assert ResponseStatus.SIG_REQUIRED is house.error(octets)
    else:
        assert "good" == house.read(house.ocsp.responder.answer(octets).octets).answers[0].status


def bad(house, requestor, cert_id):
    """Yield requests whose signature says nothing, and why."""
    other = Requestor(house)
    expired = replace(other.record, not_after=house.server.clock() - timedelta(days=1))
    house.server.certificates.add(expired)
    held = Requestor(house)
    house.revoke(held.record)
    above = house.server.authorities.keys["issuing"][0]
    now = house.server.clock()
    stranger = above.certify(
        spki(requestor.key), distinguished_name("relying"), now, now + timedelta(days=1)
    )
    yield "spoilt", requestor.signed(cert_id, spoil=b"x")
    yield "another name", requestor.signed(cert_id, name="somebody")
    yield "no certificate", requestor.signed(cert_id, certificates=[])
    yield "another's", requestor.signed(cert_id, certificates=[house.issue("o").certificate])
    yield "not ours", requestor.signed(cert_id, certificates=[stranger])
    yield "no certificate at all", requestor.signed(cert_id, certificates=[der.sequence()])
    yield "expired", other.signed(cert_id)
    yield "revoked", held.signed(cert_id)


def test_bad_signatures_are_unauthorized_where_they_count(make_house, setting):
    """And not looked at elsewhere."""
    house = make_house(requestors=setting)
    cert_id = house.cert_id(house.issue())

    for why, octets in bad(house, Requestor(house), cert_id):
        if setting == "ignore":
            basic = house.read(house.ocsp.responder.answer(octets).octets)
            assert "good" == basic.answers[0].status, why
        else:
            assert ResponseStatus.UNAUTHORIZED is house.error(octets), why


def test_only_certificates_of_named_authorities_count(make_house):
    """Where the setting names some."""
    house = make_house(requestors="check", requestor_authorities=("root",))
    record = house.issue()
    house.issue("x", "root")
    cert_id = house.cert_id(record)

    refused, taken = Requestor(house), Requestor(house, "root")

    assert ResponseStatus.UNAUTHORIZED is house.error(refused.signed(cert_id))
    basic = house.read(house.ocsp.responder.answer(taken.signed(cert_id)).octets)
    assert "good" == basic.answers[0].status


def test_a_key_that_is_not_for_signatures_does_not_count(make_house):
    """RFC 5280 section 4.2.1.3."""
    house = make_house(requestors="check")
    record, requestor = house.issue(), Requestor(house)
    above = house.server.authorities.keys["issuing"][0]
    now = house.server.clock()

    def with_usage(**bits):
        names = (
            "digital_signature content_commitment key_encipherment data_encipherment"
            " key_agreement key_cert_sign crl_sign encipher_only decipher_only"
        )
        usage = x509.KeyUsage(**dict.fromkeys(names.split(), False) | bits)
        made = above.certify(
            spki(requestor.key),
            distinguished_name("relying"),
            now,
            now + timedelta(days=1),
            extensions=[(usage, True)],
        )
        house.server.certificates.add(
            replace(requestor.record, certificate=made, status=CertificateStatus.VALID)
        )
        return requestor.signed(house.cert_id(record), certificates=[made])

    assert ResponseStatus.UNAUTHORIZED is house.error(with_usage(key_encipherment=True))
    for name in ("digital_signature", "content_commitment"):
        octets = with_usage(**{name: True})
        assert house.read(house.ocsp.responder.answer(octets).octets)
