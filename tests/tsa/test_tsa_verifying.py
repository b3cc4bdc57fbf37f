"""What makes a time-stamp bad although its digest and its signature are right."""

from dataclasses import replace
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID as Purpose

from pikaserver.api.certificates import Revocation, RevocationReason
from pikaserver.api.errors import MalformedRequest, RequestRejected, SignatureFaulty
from pikaserver.asn1 import der
from pikaserver.asn1.digests import digest
from pikaserver.asn1.signed_data import Signed, signed_attributes, signed_data
from pikaserver.asn1.signing_certificates import signing_certificate_v2
from pikaserver.asn1.time_stamp_responses import granted, read_response
from pikaserver.asn1.time_stamps import read_request
from pikaserver.asn1.tst_info import TST_INFO
from pikaserver.testing.fake_services import FakeServiceKey
from pikaserver.testing.throw_away import ThrowAwayAuthority, distinguished_name, spki
from pikaserver_tsa.verifying import Trust, check_reply, read_token, trust_in, verified
from tests.tsa.station import CONTENT, query

STAMPING, SERVER = Purpose.TIME_STAMPING, Purpose.SERVER_AUTH


def issuing(house):
    return house.server.authorities.keys["issuing"][0]


def unit(house, *purposes, critical=True, issuer=None, days=30, key=None):
    """Return a unit's key with a certificate as no honest authority makes it."""
    issuer = issuer or issuing(house)
    key = key or ec.generate_private_key(ec.SECP256R1())
    now = house.server.clock()
    usages = [(x509.ExtendedKeyUsage(purposes), critical)] if purposes else []
    certificate = issuer.certify(
        spki(key),
        distinguished_name("unit"),
        now - timedelta(days=1),
        now + timedelta(days=days),
        extensions=usages,
    )
    return FakeServiceKey(certificate, (issuer.certificate, *issuer.chain), key)


def stamped(house, key=None, content=None):
    """Return a response to the usual query, by some key."""
    if key is not None:
        house.server.services.keys[house.station.unit(None).use] = key
    return house.post(content or query()).content


def trust(house):
    return trust_in([issuing(house).chain[-1]], [])


def verify(reply, trusted):
    return verified(lambda name: digest(name, CONTENT), reply, trusted)


def forged(house, reply, *attributes, content_type=TST_INFO):
    """Return a token over the same TSTInfo with other signed attributes."""
    token, _ = read_token(reply)
    key = house.server.services.get(house.station.unit(None).use)
    signing = signed_attributes(content_type, digest("sha256", token.content), *attributes)
    signed = Signed(key.certificate, key.algorithm, signing, key.sign(signing))
    return granted(signed_data(TST_INFO, token.content, signed, token.certificates))


def test_a_good_one_is_good_as_response_and_as_token(house):
    """Files hold either."""
    reply = stamped(house)

    for octets in (reply, read_response(reply)):
        assert "good" == verify(octets, trust(house))["state"]


@pytest.mark.parametrize(
    ("purposes", "critical", "why"),
    [
        ((STAMPING,), False, "not critically"),
        ((STAMPING, SERVER), True, "for time-stamping alone"),
        ((SERVER,), True, "for time-stamping alone"),
        ((), True, "not one for time-stamping"),
    ],
)
def test_a_certificate_for_something_else_is_refused(house, purposes, critical, why):
    """RFC 3161 section 2.3."""
    reply = stamped(house, unit(house, *purposes, critical=critical))

    with pytest.raises(RequestRejected, match=why):
        verify(reply, trust(house))


def test_it_has_to_be_bound_to_its_certificate(house):
    """RFC 3161 section 2.4.2: to none, to another one of the same key."""
    key = ec.generate_private_key(ec.SECP256R1())
    reply = stamped(house, unit(house, STAMPING, key=key))
    twin = signing_certificate_v2(unit(house, STAMPING, key=key).certificate)

    with pytest.raises(SignatureFaulty, match="not bound"):
        verify(forged(house, reply), trust(house))
    with pytest.raises(SignatureFaulty, match="bound to another"):
        verify(forged(house, reply, twin), trust(house))


def test_attributes_are_there_once_and_about_the_content(house):
    """RFC 5652 section 11: twice is as bad as of another type."""
    reply = stamped(house)
    own = signing_certificate_v2(read_token(reply)[0].signer())

    with pytest.raises(MalformedRequest, match="there twice"):
        verify(forged(house, reply, own, own), trust(house))
    with pytest.raises(SignatureFaulty, match="not about this content"):
        verify(forged(house, reply, own, content_type="1.2.3"), trust(house))


def test_paths_hold_at_the_stamped_time(house):
    """Over later, not begun before."""
    reply = stamped(house, unit(house, STAMPING, days=2))
    house.server.clock.advance(timedelta(days=9))
    assert "good" == verify(reply, trust(house))["state"]

    key = unit(house, STAMPING, days=2)
    house.server.clock.advance(timedelta(days=9))
    assert b"does not hold now" in stamped(house, key)


class TestPaths:
    """What may stand between a unit and a root."""

    def authority(self, house, above, **extension):
        """Return an authority below another one with a certificate of its own."""
        made = ThrowAwayAuthority("below", house.server.clock(), house.server.entropy, above)
        now = house.server.clock()
        made.certificate = above.certify(
            made.public_key,
            made.subject,
            now - timedelta(days=9),
            now + timedelta(days=99),
            **extension,
        )
        return made

    def refused(self, house, issuer):
        reply = stamped(house, unit(house, STAMPING, issuer=issuer))
        with pytest.raises(RequestRejected, match="no certificate of the issuer") as refusal:
            verify(reply, trust(house))
        return str(refusal.value)

    def test_only_an_authority_issues(self, house):
        """Whoever has a certificate could sign one for a unit."""
        assert "below" in self.refused(house, self.authority(house, issuing(house)))

    def test_only_who_may_sign_certificates_issues(self, house):
        """The key usage says so."""
        usage = dict.fromkeys(
            (
                *("content_commitment", "key_encipherment", "data_encipherment", "key_agreement"),
                *("key_cert_sign", "encipher_only", "decipher_only", "digital_signature"),
            ),
            False,
        )
        signer_of_crls = x509.KeyUsage(crl_sign=True, **usage)
        below = self.authority(house, issuing(house), ca=True, extensions=[(signer_of_crls, True)])

        self.refused(house, below)

    def test_a_chain_of_authorities_is_followed(self, house):
        """To the root, through all that travel in the token."""
        current = issuing(house)
        for _ in range(5):
            current = self.authority(house, current, ca=True)

        reply = stamped(house, unit(house, STAMPING, issuer=current))

        assert "good" == verify(reply, trust(house))["state"]

    def test_a_path_without_end_is_refused(self, house):
        """So long no honest one is."""
        current = issuing(house)
        for _ in range(9):
            current = self.authority(house, current, ca=True)

        reply = stamped(house, unit(house, STAMPING, issuer=current))

        with pytest.raises(RequestRejected, match="too long"):
            verify(reply, trust(house))


class TestRevocation:
    """RFC 3161 section 4: what a unit's revocation says of its stamps."""

    @pytest.mark.parametrize(
        ("reason", "hours", "good"),
        [
            (RevocationReason.SUPERSEDED, 1, True),
            (RevocationReason.CESSATION_OF_OPERATION, 1, True),
            (RevocationReason.SUPERSEDED, -1, False),
            (RevocationReason.KEY_COMPROMISE, 1, False),
            (RevocationReason.UNSPECIFIED, 1, False),
        ],
    )
    @pytest.mark.parametrize("whose", ["unit", "authority"])
    def test_what_was_stamped_before_may_stay_good(self, house, reason, hours, good, whose):
        """Unless the key was lost, or nobody says why it was revoked."""
        reply = stamped(house)
        own = read_token(reply)[0].signer()
        revoked = {"unit": own, "authority": issuing(house).certificate}[whose]
        revocation = Revocation(house.server.clock() + timedelta(hours=hours), reason)
        known = Trust([issuing(house).chain[-1]], [], {revoked: revocation}.get)

        if good:
            assert "good" == verify(reply, known)["state"]
            return
        with pytest.raises(RequestRejected, match=rf"was revoked at .*\({reason.rfc_name}\)"):
            verify(reply, known)


class TestReplies:
    """RFC 3161 section 2.2: who asked looks whether it is the answer."""

    def test_the_answer_to_the_request_is_taken(self, house):
        """Whatever was asked."""
        for asked in (query(), query("sha512", nonce=9), query(certificate_wanted=False)):
            check_reply(read_request(asked), stamped(house, content=asked))

    @pytest.mark.parametrize(
        ("other", "why"),
        [
            (query(nonce=8), "nonce"),
            (query("sha384"), "other octets"),
            (query(content=b"x"), "other octets"),
        ],
    )
    def test_another_answer_is_refused(self, house, other, why):
        """An old one that somebody sends again, for instance."""
        with pytest.raises(RequestRejected, match=why):
            check_reply(read_request(query()), stamped(house, content=other))

    def test_another_policy_and_missing_certificates_are_refused(self, house):
        """What was asked for is wanted."""
        asked = read_request(query())

        with pytest.raises(RequestRejected, match="under the policy"):
            check_reply(replace(asked, policy="1.2.3"), stamped(house))
        with pytest.raises(MalformedRequest, match="not among those"):
            check_reply(asked, stamped(house, content=query(certificate_wanted=False)))


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"\x30\x00",
        b"\x04\x00",
        der.sequence(der.integer(0)),
        der.sequence(der.sequence(der.integer(0))),
        der.sequence(der.oid("1.2.840.113549.1.7.2")),
        der.sequence(der.oid("1.2.840.113549.1.7.2"), der.context(0, der.null())),
        granted(der.null()),
    ],
)
def test_what_is_no_stamp_is_malformed(octets):
    """In one sentence, whatever it is."""
    with pytest.raises(MalformedRequest):
        read_token(octets)
