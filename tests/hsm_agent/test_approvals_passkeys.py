"""Passkeys as proofs: who verified the user, for which statement and origin."""

import cbor2
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from hsm_agent.approvals.faults import ProofRefused
from hsm_agent.approvals.webauthn import Assertion, read_key
from tests.hsm_agent.authenticators import (
    SAID,
    Passkey,
    in_json,
    raw_public,
    spki_of,
)


@pytest.mark.parametrize("kind", ["ES256", "EdDSA", "RS256"])
@pytest.mark.parametrize("write", [cbor2.dumps, in_json, lambda parts: in_json(parts, nested=True)])
def test_a_passkey_that_verified_its_user_is_verified(kind, write):
    """Web Authentication section 7.2, as CBOR and as the browser's JSON."""
    passkey = Passkey(kind)
    proof = write(passkey.prove(SAID))

    Assertion.read(proof).verify(SAID, passkey.spki, passkey.rp_id, [passkey.origin])

    with pytest.raises(ProofRefused, match="another challenge"):
        Assertion.read(proof).verify(b"other", passkey.spki, passkey.rp_id, [passkey.origin])
    with pytest.raises(ProofRefused, match="not used for"):
        Assertion.read(proof).verify(SAID, passkey.spki, "example.com", [passkey.origin])
    with pytest.raises(ProofRefused, match="origin"):
        Assertion.read(proof).verify(SAID, passkey.spki, passkey.rp_id, ["https://other"])
    with pytest.raises(ProofRefused, match="does not fit"):
        Assertion.read(proof).verify(SAID, Passkey(kind).spki, passkey.rp_id, [passkey.origin])


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"type": "webauthn.create"}, "not of an assertion"),
        ({"crossOrigin": True}, "inside another page"),
        ({"crossOrigin": "no"}, "inside another page"),
        ({"challenge": "AAAA"}, "another challenge"),
        ({"challenge": 7}, "authenticatorData, clientDataJSON"),
        ({"challenge": "\u00e9"}, "base64url"),
        ({"origin": ["https://pki.example.com"]}, "origin"),
        ({"origin": None}, "origin"),
    ],
)
def test_client_data_of_another_deed_is_refused(change, why):
    """The page, the deed and the challenge are part of what was signed."""
    passkey = Passkey("EdDSA")
    parts = passkey.assertion(passkey.client_data(SAID, **change), passkey.authenticator_data())

    with pytest.raises(ProofRefused, match=why):
        Assertion.read(cbor2.dumps(parts)).verify(
            SAID, passkey.spki, passkey.rp_id, [passkey.origin]
        )


@pytest.mark.parametrize(
    ("flags", "more", "why"),
    [
        (0x01, b"", "verified its user"),
        (0x04, b"", "verified its user"),
        (0x45, b"", "not of an assertion"),
        (0x85, b"", "not of an assertion"),
        (0x05, b"\xa0", "not of an assertion"),
        (0x85, b"\xa0", None),
    ],
)
def test_flags_of_the_authenticator_decide(flags, more, why):
    """Present and verified, both; what follows only where the flag announces it."""
    passkey = Passkey("EdDSA")
    octets = passkey.authenticator_data(flags=flags, more=more)
    assertion = Assertion.read(cbor2.dumps(passkey.assertion(passkey.client_data(SAID), octets)))

    def verify():
        assertion.verify(SAID, passkey.spki, passkey.rp_id, [passkey.origin])

    if why is None:
        verify()
        return
    with pytest.raises(ProofRefused, match=why):
        verify()


def test_keys_of_passkeys_are_read_as_cose_too():
    """RFC 9052: ES256, EdDSA and RS256, and no other."""
    es256, eddsa = ec.generate_private_key(ec.SECP256R1()), Ed25519PrivateKey.generate()
    rs256 = rsa.generate_private_key(65537, 2048)
    numbers = es256.public_key().public_numbers()
    point = {-2: numbers.x.to_bytes(32, "big"), -3: numbers.y.to_bytes(32, "big")}
    n = rs256.public_key().public_numbers().n.to_bytes(256, "big")
    cose = [
        (es256, {1: 2, 3: -7, -1: 1, **point}),
        (eddsa, {1: 1, 3: -8, -1: 6, -2: raw_public(eddsa)}),
        (rs256, {1: 3, 3: -257, -1: n, -2: b"\1\0\1"}),
    ]
    for key, found in cose:
        assert key.public_key() == read_key(cbor2.dumps(found))
        assert key.public_key() == read_key(spki_of(key))
    for wrong in ({1: 2, 3: -35, -1: 2, **point}, {1: 1, 3: -8, -1: 6, -2: b"short"}, [], 7):
        with pytest.raises(ProofRefused):
            read_key(cbor2.dumps(wrong))
    short = rsa.generate_private_key(65537, 1024)  # noqa: S505 - it has to be refused
    for weak in (ec.generate_private_key(ec.SECP384R1()), short):
        with pytest.raises(ProofRefused, match="ES256"):
            read_key(spki_of(weak))


@given(st.binary(max_size=200))
def test_no_octets_make_the_reader_of_passkeys_fail(octets):
    """Neither as a proof nor as a key."""
    for proof in (octets, b"{" + octets):
        with pytest.raises(ProofRefused):
            Assertion.read(proof)
    with pytest.raises(ProofRefused):
        read_key(octets)


@given(st.recursive(st.none() | st.text() | st.integers(), lambda x: st.dictionaries(st.text(), x)))
def test_other_json_is_no_passkey(value):
    """Whatever the map holds, it is refused."""
    with pytest.raises(ProofRefused):
        Assertion.read(cbor2.dumps(value))
    with pytest.raises(ProofRefused):
        Assertion(b"x" * 37, cbor2.dumps(value), b"").verify(SAID, b"", "", [])
