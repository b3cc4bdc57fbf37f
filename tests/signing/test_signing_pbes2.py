"""Encrypted PKCS#8 whose parameters are broken or hostile."""

import pytest

from pikaserver.api.errors import MalformedRequest
from pikaserver.asn1 import der
from pikaserver.asn1.identifiers import identifier
from pikaserver.signing.private_keys import read_private_key

PASSPHRASE = b"correct horse"


def encrypted(derivation):
    """Return an EncryptedPrivateKeyInfo with any key derivation."""
    cipher = identifier("2.16.840.1.101.3.4.1.42", der.octet_string(bytes(16)))
    scheme = identifier("1.2.840.113549.1.5.13", der.sequence(derivation, cipher))
    return der.sequence(scheme, der.octet_string(bytes(48)))


@pytest.mark.parametrize(
    ("oid", "numbers"),
    [
        ("1.2.840.113549.1.5.12", [2**31]),
        ("1.2.840.113549.1.5.12", [0]),
        ("1.2.840.113549.1.5.12", [-1]),
        ("1.3.6.1.4.1.11591.4.11", [2**30, 8, 1]),
        ("1.3.6.1.4.1.11591.4.11", [3, 8, 1]),
        ("1.3.6.1.4.1.11591.4.11", [1, 8, 1]),
        ("1.3.6.1.4.1.11591.4.11", [16, -1, -1]),
        ("1.3.6.1.4.1.11591.4.11", [16, 8, 0]),
    ],
)
def test_endless_and_senseless_derivations_are_refused(oid, numbers):
    """RFC 8018 and 7914: a file does not decide how long we work."""
    parameters = der.sequence(der.octet_string(b"salt"), *map(der.integer, numbers))

    with pytest.raises(MalformedRequest, match="work"):
        read_private_key(encrypted(identifier(oid, parameters)), PASSPHRASE)


@pytest.mark.parametrize(
    "derivation",
    [
        identifier("1.2.3.4"),
        identifier("1.2.840.113549.1.5.12", der.sequence()),
        identifier("1.2.840.113549.1.5.12", der.sequence(der.null(), der.integer(1))),
        identifier("1.2.840.113549.1.5.12", der.sequence(der.octet_string(b"salt"))),
        der.sequence(),
        der.sequence(der.null()),
        der.null(),
    ],
)
def test_broken_derivations_are_refused(derivation):
    """Whatever stands there, one sentence comes out."""
    with pytest.raises(MalformedRequest):
        read_private_key(encrypted(derivation), PASSPHRASE)
