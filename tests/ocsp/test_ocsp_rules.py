"""RFC 6960 rule by rule: what is said of which certificates, and by whom."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from pikaserver.api.certificates import CertificateStatus, Revocation, RevocationReason
from pikaserver.asn1.ocsp import (
    FORMS,
    ResponseStatus,
    issuer_octets,
    make_cert_id,
)
from pikaserver.asn1.ocsp_requests import write_request
from pikaserver.testing.damage import altered

HOLD = RevocationReason.CERTIFICATE_HOLD
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def test_a_valid_certificate_is_good(house, record):
    """Section 2.2; from now on, until half a day later, both ends included."""
    now = house.server.clock()

    basic = house.ask(house.cert_id(record))

    single = basic.answers[0]
    assert ("good", record.serial) == (single.status, single.cert_id.serial)
    assert (now, now) == (basic.produced_at, single.this_update)
    assert now + timedelta(hours=12) - timedelta(seconds=1) == single.next_update
    assert ({}, {}) == (basic.extensions, single.extensions)


def test_a_delegated_responder_answers(house, record):
    """Section 4.2.2.2: certified by the very issuer, for OCSP only, and trusted until its end."""
    basic = house.ask(house.cert_id(record))

    signer = house.signer(basic)
    signer.verify_directly_issued_by(house.issuer())
    usage = signer.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert [ExtendedKeyUsageOID.OCSP_SIGNING] == list(usage)
    assert signer.extensions.get_extension_for_class(x509.OCSPNoCheck)
    assert 1 == len(basic.certificates)


def test_revoked_is_told_with_time_and_reason(house, record):
    """Section 2.2, and the very next request knows."""
    assert "good" == house.status(record)
    revoked_at = house.server.clock()

    house.revoke(record)

    single = house.one(house.cert_id(record))
    assert "revoked" == single.status
    assert Revocation(revoked_at, RevocationReason.KEY_COMPROMISE) == single.revocation


def test_an_invalidity_date_is_a_single_extension(house, record):
    """Section 4.4.5: extensions of CRL entries are those of answers, too."""
    since = house.server.clock() - timedelta(days=3)

    house.revoke(record, invalidity_at=since)

    assert since == house.one(house.cert_id(record)).revocation.invalidity_at


def test_a_hold_is_a_revocation_that_may_end(house, record):
    """Section 2.2: certificateHold; after the release it is good on the next request."""
    held = house.revoke(record, HOLD)
    assert HOLD is house.one(house.cert_id(record)).revocation.reason

    house.server.release(held, "test")

    assert "good" == house.status(record)


def test_a_pending_certificate_is_unknown(house, record):
    """Its signature may exist and nobody got it: neither good, nor never issued."""
    house.server.certificates.add(replace(record, certificate=None))

    single = house.one(house.cert_id(record))

    assert "unknown" == single.status
    assert timedelta(minutes=5) == single.next_update - single.this_update
    assert [] == house.server.events


def test_an_expired_certificate_is_still_answered(house, record):
    """Its status is not forgotten with its end."""
    house.server.clock.advance(timedelta(days=91))
    assert CertificateStatus.EXPIRED is house.server.certificates.get(record.id).status

    assert "good" == house.status(record)


@pytest.mark.parametrize("form", range(len(FORMS)), ids=[name for name, _ in FORMS])
def test_certificates_are_found_by_any_hash(house, record, form):
    """SHA-1, 256, 384 and 512, with parameters NULL or absent; echoed as it came."""
    cert_id = house.cert_id(record, form)

    single = house.one(cert_id)

    assert ("good", cert_id) == (single.status, single.cert_id)


def test_several_certificates_are_answered_in_their_order(house):
    """Section 4.2.1: one answer for each, whatever it is."""
    first, second = house.issue("a"), house.issue("b")
    house.revoke(second)

    asked = [
        house.cert_id(second, 2),
        house.stranger(),
        house.cert_id(first),
        house.cert_id(second),
    ]
    basic = house.ask(*asked)

    assert asked == [one.cert_id for one in basic.answers]
    assert ["revoked", "unknown", "good", "revoked"] == [one.status for one in basic.answers]


def test_several_authorities_are_answered_at_once(house):
    """By the responder of the first; who trusts it hears of all of them."""
    leaf, root = house.issue("leaf"), house.issue("ca", "root")
    house.revoke(root)

    basic = house.ask(house.cert_id(leaf), house.cert_id(root), nonce=b"n")

    assert ["good", "revoked"] == [one.status for one in basic.answers]
    house.signer(basic).verify_directly_issued_by(house.issuer("issuing"))
    backwards = house.ask(house.cert_id(root), house.cert_id(leaf))
    house.signer(backwards).verify_directly_issued_by(house.issuer("root"))


def test_certificates_of_strangers_beside_ours_are_unknown(house, record):
    """Section 2.2: nothing is known of them here, and ours are answered all the same."""
    other = make_cert_id(altered(house.cert_id(record).issuer), 5)

    basic = house.ask(other, house.cert_id(record))

    assert ["unknown", "good"] == [one.status for one in basic.answers]
    assert [] == house.server.events


def test_only_strangers_are_unauthorized(house, record):
    """Section 2.3: nobody here can speak for their issuer."""
    other = make_cert_id(altered(house.cert_id(record).issuer), record.serial)

    assert ResponseStatus.UNAUTHORIZED is house.error(write_request([other]))


def test_one_authority_answers_for_itself_only(house):
    """Behind ``/ocsp/issuing`` the others are strangers."""
    leaf, root = house.issue("leaf"), house.issue("ca", "root")

    basic = house.ask(house.cert_id(root), house.cert_id(leaf), authority="issuing")

    assert ["unknown", "good"] == [one.status for one in basic.answers]
    octets = write_request([house.cert_id(root)])
    assert ResponseStatus.UNAUTHORIZED is house.error(octets, authority="issuing")


def test_every_generation_has_its_own_responder(house, record):
    """A certificate of the former key is spoken for by that key."""
    former = house.issuer()
    house.server.authorities.add("issuing", "root")
    later = house.issue("plc-22")

    first, second = house.ask(house.cert_id(record)), house.ask(house.cert_id(later))

    house.signer(first).verify_directly_issued_by(former)
    house.signer(second).verify_directly_issued_by(house.issuer("issuing", 2))
    both = house.ask(house.cert_id(record), house.cert_id(later))
    assert ["good", "good"] == [one.status for one in both.answers]


def test_a_cross_certificate_names_the_same_key(house, record):
    """By another subject perhaps: a CertID has what the client's copy says."""
    authority = house.server.authorities.keys["issuing"][0]
    above = house.server.authorities.keys["root"][0]
    now = house.server.clock()
    name = x509.Name.from_rfc4514_string("CN=issuing,O=Elsewhere")
    other = above.certify(authority.public_key, name, now, now + timedelta(days=9), ca=True)
    house.server.authorities.others["issuing", 1] = (other,)

    octets = issuer_octets(0, name.public_bytes(), authority.public_key)
    assert "good" == house.one(make_cert_id(octets, record.serial)).status


def test_without_a_nonce_the_answer_is_the_same_for_everybody(house, record):
    """Signed once, and kept."""
    first = house.ask(house.cert_id(record))
    house.server.clock.advance(timedelta(hours=5))

    assert first == house.ask(house.cert_id(record))
    assert first != house.ask(house.cert_id(record, 2))
    assert 2 == house.ocsp.counts.signatures()[0].value
