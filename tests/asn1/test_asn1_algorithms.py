"""The table of algorithms, and verification."""

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, mldsa, padding, rsa, x25519
from cryptography.hazmat.primitives.serialization import Encoding

from pikaserver.api.errors import MalformedRequest, RequestRejected, SignatureFaulty
from pikaserver.asn1 import der
from pikaserver.asn1.algorithms import (
    HASHES,
    KEY_TYPES,
    SIGNATURE_ALGORITHMS,
    algorithm_of,
    default_algorithm,
    key_type,
    verify,
)
from pikaserver.asn1.composite import COMPOSITES
from pikaserver.asn1.identifiers import hash_identifier, identifier, key_identifier
from pikaserver.asn1.slh_dsa import PARAMETER_SETS

MESSAGE = b"to be signed"


def sign(key, algorithm):
    """Sign as cryptography does it for an X.509 structure."""
    entry = SIGNATURE_ALGORITHMS[algorithm]
    if entry.hash is None:
        return key.sign(MESSAGE)
    hashed = HASHES[entry.hash]()
    if entry.family == "ecdsa":
        return key.sign(MESSAGE, ec.ECDSA(hashed))
    if entry.family == "rsa":
        return key.sign(MESSAGE, padding.PKCS1v15(), hashed)
    pss = padding.PSS(padding.MGF1(hashed), padding.PSS.DIGEST_LENGTH)
    return key.sign(MESSAGE, pss, hashed)


def fitting():
    """All pairs of key type and algorithm that go together."""
    return [
        (kind, name)
        for kind, key in KEY_TYPES.items()
        for name, entry in SIGNATURE_ALGORITHMS.items()
        if entry.family in key.families and kind not in {"rsa-3072", "rsa-4096", *PARAMETER_SETS}
    ]


def test_the_table_is_complete():
    """The names on which templates and settings rely."""
    assert (
        "rsa-2048 rsa-3072 rsa-4096 ec-p256 ec-p384 ec-p521 ec-secp256k1 ed25519 ed448 "
        "ml-dsa-44 ml-dsa-65 ml-dsa-87 "
        "slh-dsa-sha2-128s slh-dsa-sha2-128f slh-dsa-sha2-192s slh-dsa-sha2-192f "
        "slh-dsa-sha2-256s slh-dsa-sha2-256f slh-dsa-shake-128s slh-dsa-shake-128f "
        "slh-dsa-shake-192s slh-dsa-shake-192f slh-dsa-shake-256s slh-dsa-shake-256f"
    ) == " ".join(KEY_TYPES)
    assert (
        "ecdsa-sha256 ecdsa-sha384 ecdsa-sha512 ed25519 ed448 ml-dsa-44 ml-dsa-65 ml-dsa-87 "
        "rsa-pss-sha256 rsa-pss-sha384 rsa-pss-sha512 rsa-sha256 rsa-sha384 rsa-sha512"
    ) == " ".join(sorted(SIGNATURE_ALGORITHMS.keys() - PARAMETER_SETS.keys() - COMPOSITES.keys()))
    assert SIGNATURE_ALGORITHMS.keys() >= PARAMETER_SETS.keys()
    assert len(SIGNATURE_ALGORITHMS) == len({e.identifier for e in SIGNATURE_ALGORITHMS.values()})


@pytest.mark.parametrize(("kind", "algorithm"), fitting())
def test_a_good_signature_verifies_and_a_changed_one_does_not(keys, spki_of, kind, algorithm):
    """Every pair that goes together, with the length that the table says."""
    spki = spki_of(keys[kind])
    signature = sign(keys[kind], algorithm)
    flipped = bytes([*signature[:-1], signature[-1] ^ 1])

    verify(spki, algorithm, signature, MESSAGE)

    longest = SIGNATURE_ALGORITHMS[algorithm].signature_octets(spki)
    assert longest - (8 if algorithm.startswith("ecdsa") else 0) <= len(signature) <= longest
    for broken in (flipped, signature[:-1], signature + b"\0", b""):
        with pytest.raises(SignatureFaulty):
            verify(spki, algorithm, broken, MESSAGE)
    with pytest.raises(SignatureFaulty):
        verify(spki, algorithm, signature, MESSAGE + b"!")


def test_a_signature_of_another_context_verifies_nothing(spki_of):
    """RFC 9881 section 3: the context is empty; what was signed for another use is not ours."""
    key = mldsa.MLDSA65PrivateKey.generate()
    spki = spki_of(key)

    verify(spki, "ml-dsa-65", key.sign(b"message"), b"message")

    with pytest.raises(SignatureFaulty):
        verify(spki, "ml-dsa-65", key.sign(b"message", b"another use"), b"message")


def test_a_key_of_another_kind_verifies_nothing(keys, spki_of):
    """Each algorithm against each key that it is not for."""
    pairs = fitting()
    for kind, key in keys.items():
        for algorithm in SIGNATURE_ALGORITHMS:
            if (kind, algorithm) not in pairs:
                with pytest.raises(SignatureFaulty):
                    verify(spki_of(key), algorithm, bytes(64), MESSAGE)


@pytest.mark.parametrize(("kind", "algorithm"), fitting())
def test_identifiers_are_those_that_cryptography_writes(keys, kind, algorithm):
    """AlgorithmIdentifier of a native CSR, and our name of it."""
    entry = SIGNATURE_ALGORITHMS[algorithm]
    hashed = HASHES[entry.hash]() if entry.hash else None
    pss = padding.PSS(padding.MGF1(hashed), padding.PSS.DIGEST_LENGTH) if hashed else None
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))

    csr = builder.sign(keys[kind], hashed, rsa_padding=pss if entry.family == "rsa-pss" else None)

    tbs_octets = len(csr.tbs_certrequest_bytes)
    octets = csr.public_bytes(Encoding.DER)
    start, _ = der.content(octets, 0)
    _, end = der.content(octets, start + tbs_octets)
    assert entry.identifier == octets[start + tbs_octets : end]
    assert algorithm == algorithm_of(entry.identifier)


@pytest.mark.parametrize("salt", [20, 0, 222])
def test_rsa_pss_is_recognised_with_any_salt(keys, spki_of, salt):
    """RFC 4055 section 3.1; OpenSSL takes the longest salt by default."""
    pss = padding.PSS(padding.MGF1(hashes.SHA256()), salt)
    signature = keys["rsa-2048"].sign(MESSAGE, pss, hashes.SHA256())
    hashed = identifier("2.16.840.1.101.3.4.2.1")
    parameters = der.sequence(
        der.context(0, hashed),
        der.context(1, identifier("1.2.840.113549.1.1.8", hashed)),
        der.context(2, der.integer(salt)),
    )

    name = algorithm_of(identifier("1.2.840.113549.1.1.10", parameters))

    assert "rsa-pss-sha256" == name
    verify(spki_of(keys["rsa-2048"]), name, signature, MESSAGE, any_salt=True)
    with pytest.raises(SignatureFaulty):
        verify(spki_of(keys["rsa-2048"]), name, signature, MESSAGE)


@pytest.mark.parametrize(
    ("refused", "why"),
    [
        (identifier("1.2.840.113549.1.1.4", der.null()), "MD5"),
        (identifier("1.2.840.113549.1.1.5", der.null()), "SHA-1"),
        (identifier("1.2.840.10045.4.1"), "SHA-1"),
        (identifier("2.16.840.1.101.3.4.3.33"), "HashML-DSA-65"),
        (identifier("2.16.840.1.101.3.4.3.18", der.null()), "parameters of ml-dsa-65"),
        (identifier("1.2.840.113549.1.1.10"), "parameters of rsa-pss"),
        (identifier("1.2.3.4"), "1.2.3.4"),
        (der.sequence(), "cut off"),
        (der.sequence(der.null()), "OID"),
    ],
)
def test_other_algorithms_are_named_when_they_are_refused(refused, why):
    """RFC 9881 section 2: parameters are absent; HashML-DSA must not be used."""
    with pytest.raises(MalformedRequest, match=why):
        algorithm_of(refused)


def test_key_types_are_told_from_the_key(keys, spki_of):
    """Every type of the table, and what is none of them."""
    for kind, key in keys.items():
        assert kind == key_type(spki_of(key))
    small = rsa.generate_private_key(65537, 1024)  # noqa: S505 - to be refused
    assert "rsa-1024" == key_type(spki_of(small))
    assert "unknown" == key_type(spki_of(x25519.X25519PrivateKey.generate()))
    ml_dsa_with_null = der.sequence(
        identifier("2.16.840.1.101.3.4.3.17", der.null()), der.bit_string(bytes(1312))
    )
    assert "unknown" == key_type(ml_dsa_with_null)
    with pytest.raises(MalformedRequest):
        key_type(der.sequence(der.null()))


def test_the_key_identifier_is_that_of_cryptography(keys, spki_of):
    """RFC 5280 section 4.2.1.2, method 1."""
    for key in keys.values():
        expected = x509.SubjectKeyIdentifier.from_public_key(key.public_key()).digest
        assert expected == key_identifier(spki_of(key))


def test_hash_identifiers_carry_no_parameters():
    """RFC 5754 section 2."""
    assert bytes.fromhex("300b0609608648016503040201") == hash_identifier("sha256")


@pytest.mark.parametrize(
    ("kind", "hash_name", "pss", "expected"),
    [
        ("rsa-3072", None, False, "rsa-sha256"),
        ("rsa-3072", None, True, "rsa-pss-sha256"),
        ("rsa-3072", "sha512", True, "rsa-pss-sha512"),
        ("ec-p384", None, False, "ecdsa-sha384"),
        ("ec-p384", "sha256", False, "ecdsa-sha256"),
        ("ec-p521", None, False, "ecdsa-sha512"),
        ("ed25519", None, False, "ed25519"),
        ("ml-dsa-65", None, False, "ml-dsa-65"),
    ],
)
def test_each_key_type_has_a_default_algorithm(kind, hash_name, pss, expected):
    """A template may choose the hash, an authority the padding."""
    assert expected == default_algorithm(kind, hash_name, pss=pss)


@pytest.mark.parametrize(
    ("kind", "hash_name", "pss"),
    [
        ("rsa-1024", None, False),
        ("unknown", None, False),
        ("rsa-2048", "md5", False),
        ("ec-p256", None, True),
        ("ed25519", "sha256", False),
        ("ml-dsa-44", "sha512", False),
    ],
)
def test_a_choice_that_a_key_type_has_not_is_refused(kind, hash_name, pss):
    """No silent fall-back to another hash or padding."""
    with pytest.raises(RequestRejected):
        default_algorithm(kind, hash_name, pss=pss)
