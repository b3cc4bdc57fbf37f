"""What a client believes: signature, delegation, times, nonce, certificate."""

from dataclasses import replace
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID

from pikaserver.api.errors import SignatureFaulty
from pikaserver.asn1 import der
from pikaserver.asn1.ocsp_reading import read_response
from pikaserver.asn1.ocsp_writing import (
    by_key,
    by_name,
)
from pikaserver.testing.clock import CountedEntropy
from pikaserver.testing.damage import altered
from pikaserver.testing.throw_away import ThrowAwayAuthority, distinguished_name
from pikaserver_ocsp.checking import verify_answer
from tests.ocsp.answering import DAY, NO_CHECK, NOW, RESPONDER, Ca


@pytest.fixture
def ca():
    return Ca()


def verified(octets, question, now=NOW):
    return verify_answer(read_response(octets)[1], question, now)


def test_the_issuers_own_answer_holds(ca):
    """RFC 6960 section 3.2: by key or by name."""
    question = ca.question()
    name = by_name(ca.certificate.subject.public_bytes())

    for octets in (ca.answer(question), ca.answer(question, id=name)):
        found = verified(octets, question)
        assert ("good", "not sent") == (found.single.status, found.nonce)
        assert ca.certificate == found.signer


def test_a_delegated_answer_holds(ca):
    """Whatever certificates come before the right one."""
    question = ca.question(nonce=b"n")
    own = ca.delegate(RESPONDER, NO_CHECK)

    octets = ca.delegated(question, [ca.authority.certificate, der.sequence(), own], nonce=b"n")

    found = verified(octets, question)
    assert "echoed" == found.nonce
    assert own == found.signer.public_bytes(Encoding.DER)
    assert "absent" == verified(ca.delegated(question, [own]), question).nonce


def test_times_may_differ_a_little(ca):
    """Five minutes, as most clients allow."""
    question = ca.question()
    octets = ca.answer(question)

    for shift in (-timedelta(minutes=5), DAY + timedelta(minutes=5)):
        assert verified(octets, question, NOW + shift)
    endless = ca.answer(question, next_update=NOW + 999 * DAY)
    assert verified(endless, question, NOW + 998 * DAY)


def faulty(ca):
    """Yield answers that do not hold, and a word of the reason."""
    question = ca.question(nonce=b"n")
    own = ca.delegate(RESPONDER, NO_CHECK)
    other = Ca(name="other")
    namesake = ThrowAwayAuthority("ca", NOW, CountedEntropy("namesake"))
    yield "another certificate", question, ca.answer(ca.question(serial=78))
    yield "another certificate", question, ca.answer(other.question())
    yield "another nonce", question, ca.answer(question, nonce=b"m")
    yield "future", question, ca.answer(question, this_update=NOW + DAY)
    yield "future", question, ca.answer(question, produced_at=NOW + DAY)
    yield "ended", question, ca.answer(question, next_update=NOW - DAY)
    yield "not enclosed", question, other.answer(question)
    yield (
        "not enclosed",
        question,
        ca.answer(question, id=by_name(distinguished_name("x").public_bytes())),
    )
    yield (
        "does not verify",
        question,
        ca.delegated(question, [own], id=by_key(ca.authority.public_key)),
    )
    yield (
        "another issuer",
        question,
        ca.delegated(question, [ca.delegate(RESPONDER, above=other.authority)]),
    )
    yield (
        "not signed by the issuer",
        question,
        ca.delegated(question, [ca.delegate(RESPONDER, above=namesake)]),
    )
    yield "OCSPSigning", question, ca.delegated(question, [ca.delegate(NO_CHECK)])
    wrong = (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False)
    yield "OCSPSigning", question, ca.delegated(question, [ca.delegate(wrong)])
    past = ca.delegate(RESPONDER, since=NOW - 9 * DAY, until=NOW - DAY)
    yield "not valid now", question, ca.delegated(question, [past])
    ahead = ca.delegate(RESPONDER, since=NOW + DAY, until=NOW + 9 * DAY)
    yield "not valid now", question, ca.delegated(question, [ahead])
    good = ca.answer(question)
    yield "does not verify", question, altered(good)


def test_answers_that_do_not_hold_are_refused(ca):
    """Each for its own reason."""
    for why, question, octets in faulty(ca):
        with pytest.raises(SignatureFaulty, match=why):
            verified(octets, question)


def test_an_algorithm_that_is_not_known_is_refused(ca):
    """Such as SHA-1 with RSA."""
    question = ca.question()
    basic = read_response(ca.answer(question))[1]
    broken = der.sequence(der.oid("1.2.840.113549.1.1.5"), der.null())

    with pytest.raises(SignatureFaulty, match="SHA-1"):
        verify_answer(replace(basic, algorithm=broken), question, NOW)
