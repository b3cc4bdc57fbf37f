"""``sign_tbs``: nothing leaves that does not verify, whatever a signer does."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest

from pikaserver.api.errors import KeyUnavailable, SignatureFaulty
from pikaserver.api.signing import DigestSigner, KeyReference, MuSigner
from pikaserver.asn1.algorithms import default_algorithm, verify
from pikaserver.signing.sign import sign_pieces, sign_tbs
from pikaserver.signing.software import SOFTWARE_KEY_TYPES

TBS = b"the octets of a TBSCertificate"
KINDS = [kind for kind in SOFTWARE_KEY_TYPES if kind not in {"rsa-3072", "rsa-4096"}]


@dataclass
class FakeSigner:
    """A signer that does what it is told."""

    algorithm: str
    public_key: bytes
    sign: Callable[[bytes], object]


@dataclass
class FakeDigestSigner(FakeSigner):
    """One that also takes digests."""

    sign_digest: Callable[[bytes], object]


@pytest.fixture(scope="module")
def software(module_backend):
    """Open signers of the software backend by key type."""

    def signer(kind, algorithm=None, name="key"):
        reference = KeyReference("software", f"{name}-{kind}")
        if reference not in [key.reference for key in module_backend.keys()]:
            module_backend.generate(reference, kind, exportable=False)
        return module_backend.open(reference, algorithm or default_algorithm(kind))

    return signer


def flipped(octets):
    """Change one bit in the middle."""
    middle = len(octets) // 2
    return octets[:middle] + bytes([octets[middle] ^ 1]) + octets[middle + 1 :]


@pytest.mark.parametrize("kind", KINDS)
def test_a_signature_is_returned_when_it_verifies(software, kind):
    """Every kind of key, whole and in pieces."""
    signer = software(kind)

    for signature in (
        sign_tbs(signer, TBS, signer.public_key),
        sign_pieces(signer, lambda: [TBS[:7], b"", TBS[7:]], signer.public_key),
    ):
        verify(signer.public_key, signer.algorithm, signature, TBS)


@pytest.mark.parametrize("algorithm", ["rsa-pss-sha256", "rsa-pss-sha512", "rsa-sha384"])
def test_rsa_signs_with_each_padding_and_hash(software, algorithm):
    """RFC 8017 sections 8.1 and 8.2."""
    signer = software("rsa-2048", algorithm)

    for signature in (
        sign_tbs(signer, TBS, signer.public_key),
        sign_pieces(signer, lambda: [TBS], signer.public_key),
    ):
        verify(signer.public_key, algorithm, signature, TBS)


@pytest.mark.parametrize("kind", KINDS)
def test_a_faulty_signature_is_never_released(software, kind):
    """A flipped bit, another key, a digest signed as message, other octets, nothing."""
    good, other = software(kind), software(kind, name="other")
    lies = [
        lambda tbs: flipped(good.sign(tbs)),
        other.sign,
        lambda tbs: good.sign(hashlib.sha256(tbs).digest()),
        lambda tbs: good.sign(hashlib.sha512(tbs).digest()),
        lambda tbs: good.sign(tbs + b"!"),
        lambda tbs: good.sign(tbs) + b"\0",
        lambda tbs: good.sign(tbs)[:-1],
        lambda _: b"",
        lambda _: None,
        lambda _: "text",
    ]
    for lie in lies:
        with pytest.raises(SignatureFaulty):
            sign_tbs(FakeSigner(good.algorithm, good.public_key, lie), TBS, good.public_key)
        with pytest.raises(SignatureFaulty):
            sign_pieces(
                FakeSigner(good.algorithm, good.public_key, lie), lambda: [TBS], good.public_key
            )


@pytest.mark.parametrize("kind", ["ec-p256", "rsa-2048", "ml-dsa-44"])
def test_the_key_of_the_certificate_decides(software, kind):
    """Not the key that the signer reports: a mixed-up token signs with another one."""
    signer, other = software(kind), software(kind, name="other")

    for sign in (
        lambda: sign_tbs(signer, TBS, other.public_key),
        lambda: sign_pieces(signer, lambda: [TBS], other.public_key),
    ):
        with pytest.raises(SignatureFaulty):
            sign()


@pytest.mark.parametrize("kind", ["ec-p256", "rsa-2048"])
def test_a_faulty_signature_over_a_digest_is_never_released(software, kind):
    """The same for CRLs that are hashed while they stream."""
    good = software(kind)
    lies = [
        lambda digest: flipped(good.sign_digest(digest)),
        lambda digest: good.sign_digest(bytes(len(digest))),
        good.sign,
        lambda _: None,
    ]
    for lie in lies:
        signer = FakeDigestSigner(good.algorithm, good.public_key, good.sign, lie)
        with pytest.raises(SignatureFaulty):
            sign_pieces(signer, lambda: [TBS], good.public_key)


def test_a_faulty_signature_over_mu_is_never_released(software):
    """FIPS 204: mu is computed by us, so a signer cannot exchange the message."""
    good = software("ml-dsa-44")
    for lie in (lambda mu: good.sign_mu(flipped(mu)), good.sign, lambda _: b""):
        signer = replace(good, by_mu=lie)
        with pytest.raises(SignatureFaulty):
            sign_pieces(signer, lambda: [TBS], good.public_key)


def test_the_streamed_signature_is_an_ordinary_one(software):
    """What takes digests and mu is asked for them; Ed25519 gets the whole message."""
    assert isinstance(software("ec-p256"), DigestSigner)
    assert isinstance(software("rsa-2048"), DigestSigner)
    assert isinstance(software("ml-dsa-65"), MuSigner)
    assert not isinstance(software("ed25519"), DigestSigner | MuSigner)


def test_an_unknown_algorithm_is_not_asked_to_sign(software):
    """A signer that says something strange of itself is not used."""
    good = software("ec-p256")

    def never(_tbs):
        raise AssertionError("asked to sign")

    for sign in (sign_tbs, lambda s, tbs, key: sign_pieces(s, lambda: [tbs], key)):
        with pytest.raises(SignatureFaulty, match="'rot13'"):
            sign(FakeSigner("rot13", good.public_key, never), TBS, good.public_key)


def test_a_signer_that_cannot_says_so(software):
    """KeyUnavailable passes through as it is; so does what nobody expected."""
    good = software("ec-p256")

    def locked(_tbs):
        raise KeyUnavailable("the token is away")

    def broken(_tbs):
        raise ZeroDivisionError

    for lie, error in ((locked, KeyUnavailable), (broken, ZeroDivisionError)):
        with pytest.raises(error):
            sign_tbs(FakeSigner(good.algorithm, good.public_key, lie), TBS, good.public_key)
