"""What clients may wish for, and what operators may set."""

from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from pikaserver.api.certificates import RevocationReason
from pikaserver.asn1 import der
from pikaserver.asn1.algorithms import SIGNATURE_ALGORITHMS, algorithm_of
from pikaserver.asn1.certificate import public_key_of
from pikaserver.asn1.identifiers import key_identifier
from pikaserver.asn1.ocsp import (
    ACCEPTABLE_RESPONSES,
    ARCHIVE_CUTOFF,
    BASIC,
    NONCE,
    PREFERRED_SIGNATURE_ALGORITHMS,
    ResponseStatus,
    write_extension,
)
from pikaserver.asn1.ocsp_requests import write_request
from pikaserver_ocsp.settings import Terms

HOLD = RevocationReason.CERTIFICATE_HOLD
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize("size", [1, 16, 32, 128])
def test_a_nonce_is_echoed(house, record, size):
    """RFC 9654 section 2.1: the same octets, in an answer made for it."""
    nonce = bytes(range(size))

    basic = house.ask(house.cert_id(record), nonce=nonce)

    assert nonce == basic.nonce


@pytest.mark.parametrize("size", [0, 129])
def test_a_nonce_of_another_length_is_malformed(house, record, size):
    """RFC 9654 section 2.1."""
    extension = write_extension(NONCE, der.octet_string(bytes(size)))
    octets = write_request([house.cert_id(record)], extensions=[extension])

    assert ResponseStatus.MALFORMED_REQUEST is house.error(octets)


def test_nonces_may_be_ignored_by_setting(make_house):
    """RFC 5019 section 4: what is signed already is given to everybody."""
    house = make_house(nonce="ignore")
    record = house.issue()
    first = house.ask(house.cert_id(record))

    second = house.ask(house.cert_id(record), nonce=b"n" * 32)

    assert second.nonce is None
    assert first == second


def test_a_critical_extension_that_is_not_known_is_refused(house, record):
    """Section 4.4: it cannot be ignored, and one that is not critical can."""
    strange = [write_extension("1.2.3.4", b"\x05\x00", critical=flag) for flag in (True, False)]
    octets = write_request([house.cert_id(record)], extensions=strange[:1])

    assert ResponseStatus.MALFORMED_REQUEST is house.error(octets)
    assert "good" == house.one(house.cert_id(record), extensions=strange[1:]).status


def test_acceptable_responses_are_honoured(house, record):
    """Section 4.4.3: there is one type of responses here."""

    def wish(*oids):
        return write_extension(ACCEPTABLE_RESPONSES, der.sequence(*map(der.oid, oids)))

    basic = house.ask(house.cert_id(record), extensions=[wish("1.2.3", BASIC)])

    assert "good" == basic.answers[0].status
    octets = write_request([house.cert_id(record)], extensions=[wish("1.2.3")])
    assert ResponseStatus.UNAUTHORIZED is house.error(octets)


def preferring(*names):
    """Return the extension that prefers signature algorithms."""
    listed = [der.sequence(SIGNATURE_ALGORITHMS[name].identifier) for name in names]
    return write_extension(PREFERRED_SIGNATURE_ALGORITHMS, der.sequence(*listed))


def test_a_preferred_signature_algorithm_chooses_the_responder(make_house):
    """Section 4.4.7: the first one that is there; else the responder that all others get."""
    house = make_house(units=("other",))
    record = house.issue()
    house.sign_by(
        lambda key, tbs: key.key.sign(tbs, ec.ECDSA(hashes.SHA384())),
        algorithm="ecdsa-sha384",
        unit="other",
    )

    def signed_by(*names):
        basic = house.ask(house.cert_id(record), extensions=[preferring(*names)])
        return algorithm_of(basic.algorithm)

    assert "ecdsa-sha384" == signed_by("ml-dsa-65", "ecdsa-sha384", "ecdsa-sha256")
    assert "ecdsa-sha256" == signed_by("ecdsa-sha256", "ecdsa-sha384")
    assert "ecdsa-sha256" == signed_by("ml-dsa-65")
    unknown = der.sequence(der.sequence(der.sequence(der.oid("1.2.3"))))
    wish = write_extension(PREFERRED_SIGNATURE_ALGORITHMS, unknown)
    assert "good" == house.one(house.cert_id(record), extensions=[wish]).status


def test_the_archive_cutoff_is_told(make_house):
    """Section 4.4.4: for how long after its end a certificate's status is still told."""
    house = make_house(archive_days=30)
    record = house.issue()
    now = house.server.clock()

    single = house.one(house.cert_id(record))

    cutoff = single.extensions[ARCHIVE_CUTOFF].value
    assert der.generalized_time(now - timedelta(days=30)) == cutoff
    assert "good" == house.status(record)


@pytest.mark.parametrize("identified", ["key", "name"])
def test_the_responder_is_told_by_key_or_by_name(make_house, identified):
    """Section 4.2.2.3."""
    house = make_house(responder_id=identified)
    record = house.issue()

    basic = house.ask(house.cert_id(record))

    assert ("name" == identified) == (basic.responder_name is not None)
    assert house.signer(basic).subject != house.issuer().subject


def test_the_authoritys_own_key_answers_by_setting(make_house):
    """Section 2.2: then nothing is delegated, and no certificate goes along."""
    house = make_house(authorities={"issuing": Terms(signer="own")})
    record, root = house.issue(), house.issue("ca", "root")

    basic = house.ask(house.cert_id(record))

    assert () == basic.certificates
    assert house.issuer() == house.signer(basic)
    assert key_identifier(public_key_of(house.issuer())) == basic.responder_key_hash
    assert 1 == len(house.ask(house.cert_id(root)).certificates)
