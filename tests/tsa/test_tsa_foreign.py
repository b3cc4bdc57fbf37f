"""``pikaserver tsa verify`` before time-stamps that others made."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pikaserver.api.errors import MalformedRequest, PikaserverError, RequestRejected
from pikaserver.asn1.der import read_pem
from pikaserver.asn1.digests import digest
from pikaserver.testing.openssl import require_ml_dsa_openssl
from pikaserver.testing.requirements import require_program
from pikaserver_tsa.verifying import trust_in, verified
from tests.tsa.foreign_tsa import foreign_tsa

CONTENT = b"what is stamped"
KINDS = {
    "as it comes": {},
    "bound by SHA-1 (RFC 2634)": {"ess_cert_id_alg": "sha1"},
    "bound by SHA-512": {"ess_cert_id_alg": "sha512"},
    "bound with its path": {"ess_cert_id_chain": "yes"},
    "bound with its path by SHA-1": {"ess_cert_id_alg": "sha1", "ess_cert_id_chain": "yes"},
    "ordered, with a name": {"ordering": "yes", "tsa_name": "yes"},
    "to the microsecond": {"clock_precision_digits": "6"},
    "without accuracy": {"accuracy": "secs:0"},
    "SHA-512": {"signer_digest": "sha512"},
}


@pytest.fixture(scope="module", params=["of the system", "with ML-DSA"])
def elsewhere(request, tmp_path_factory):
    if request.param == "with ML-DSA":
        openssl = require_ml_dsa_openssl()
    else:
        openssl = require_program("openssl", package="openssl")
    return foreign_tsa(openssl, tmp_path_factory.mktemp("foreign"))


@pytest.fixture(scope="module")
def reply(elsewhere):
    return elsewhere.stamp(CONTENT)


def certificates(elsewhere, *names):
    files = [elsewhere.path(f"{name}.pem").read_bytes() for name in names]
    return [one for octets in files for one in read_pem(octets, "CERTIFICATE")]


def verify(elsewhere, reply, *, content=CONTENT, anchors=("root",), others=()):
    trust = trust_in(certificates(elsewhere, *anchors), certificates(elsewhere, *others))
    return verified(lambda name: digest(name, content), reply, trust)


@pytest.mark.parametrize("unit", ["unit", "rsa-unit"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_stamp_of_openssl_is_good(elsewhere, unit, kind):
    """However it is bound to its certificate."""
    told = verify(elsewhere, elsewhere.stamp(CONTENT, unit=unit, **KINDS[kind]))

    assert ("good", "1.2.3.4.1") == (told["state"], told["policy"])
    assert abs(told["at"] - datetime.now(UTC)) < timedelta(minutes=5)
    assert ("ordering" in KINDS[kind]) == told["ordering"]


@pytest.mark.parametrize("name", ["sha1", "sha256", "sha384", "sha512", "sha3-256"])
def test_every_hash_of_the_content_is_read(elsewhere, name):
    """The record says which: an operator may think little of SHA-1."""
    assert name == verify(elsewhere, elsewhere.stamp(CONTENT, f"-{name}", "-cert"))["hash"]


def test_certificates_may_come_otherwise(elsewhere):
    """A stamp without any, and one without the authority's."""
    bare = elsewhere.stamp(CONTENT, "-sha256", chain=False)
    alone = elsewhere.stamp(CONTENT, "-cert", chain=False)

    assert "good" == verify(elsewhere, bare, others=("unit", "ca"))["state"]
    assert "good" == verify(elsewhere, alone, others=("ca",))["state"]
    with pytest.raises(MalformedRequest, match="not among those at hand"):
        verify(elsewhere, bare)
    with pytest.raises(RequestRejected, match="no certificate of the issuer"):
        verify(elsewhere, alone)


def test_trust_may_end_anywhere(elsewhere):
    """At the authority, or at the unit itself."""
    reply = elsewhere.stamp(CONTENT)

    for anchor in ("ca", "unit"):
        assert "good" == verify(elsewhere, reply, anchors=(anchor,))["state"]
    with pytest.raises(RequestRejected, match="no certificate of the issuer"):
        verify(elsewhere, reply, anchors=("rsa-unit",))


def test_what_is_not_good_is_told(elsewhere):
    """Other octets, a refusal, no time-stamp at all, another time."""
    with pytest.raises(RequestRejected, match="over other octets"):
        verify(elsewhere, elsewhere.stamp(CONTENT), content=b"another one")
    with pytest.raises(MalformedRequest, match="UNACCEPTED_POLICY"):
        verify(elsewhere, elsewhere.stamp(CONTENT, "-tspolicy", "1.9.9"))
    with pytest.raises(MalformedRequest):
        verify(elsewhere, certificates(elsewhere, "unit")[0])


@settings(deadline=None, max_examples=300, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_no_bent_stamp_is_good(elsewhere, reply, data):
    """Whatever bit is turned: refused in words, or nothing that was signed is another."""
    at = data.draw(st.integers(0, len(reply) * 8 - 1))
    bent = bytearray(reply)
    bent[at // 8] ^= 1 << at % 8
    good = verify(elsewhere, reply)

    try:
        told = verify(elsewhere, bytes(bent))
    except PikaserverError:
        return
    assert good == told


def test_the_command_verifies_it(elsewhere, tsa, capsys):
    """Whom to trust is told."""
    reply = elsewhere.path("told.tsr")
    reply.write_bytes(elsewhere.stamp(CONTENT, "-sha512", chain=False))
    others = [
        word for name in ("ca", "unit") for word in ("--untrusted", elsewhere.path(f"{name}.pem"))
    ]
    words = ("verify", elsewhere.path("content"), reply, "--ca", elsewhere.path("root.pem"))

    code = tsa(*words, *others, "-o", "json")

    told = json.loads(capsys.readouterr().out)
    assert (0, "good", "sha512", 1.5001) == (
        code,
        told["state"],
        told["hash"],
        told["accuracy_seconds"],
    )
