"""Keys made once, and octets bent by hypothesis in every way that clients and attackers do."""

from collections.abc import Callable

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, mldsa, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import strategies as st

from pikaserver.asn1 import der
from pikaserver.asn1.algorithms import SIGNATURE_ALGORITHMS

SUBJECT = x509.Name.from_rfc4514_string("CN=dev.example,O=Example,C=CH").public_bytes()
Mutations = Callable[[bytes], st.SearchStrategy[bytes]]


@pytest.fixture(scope="session")
def keys() -> dict[str, PrivateKeyTypes]:
    """One key of each type."""
    return {
        "rsa-2048": rsa.generate_private_key(65537, 2048),
        "ec-p256": ec.generate_private_key(ec.SECP256R1()),
        "ec-p384": ec.generate_private_key(ec.SECP384R1()),
        "ec-p521": ec.generate_private_key(ec.SECP521R1()),
        "ec-secp256k1": ec.generate_private_key(ec.SECP256K1()),
        "ed25519": ed25519.Ed25519PrivateKey.generate(),
        "ed448": ed448.Ed448PrivateKey.generate(),
        "ml-dsa-44": mldsa.MLDSA44PrivateKey.generate(),
        "ml-dsa-65": mldsa.MLDSA65PrivateKey.generate(),
        "ml-dsa-87": mldsa.MLDSA87PrivateKey.generate(),
    }


@pytest.fixture(scope="session")
def spki_of() -> Callable[[PrivateKeyTypes], bytes]:
    """Return a private key's SubjectPublicKeyInfo in DER."""
    return lambda key: key.public_key().public_bytes(
        Encoding.DER, PublicFormat.SubjectPublicKeyInfo
    )


@pytest.fixture(scope="session")
def mutations() -> Mutations:
    """Octets that differ in a few places: flipped, cut out, put in, doubled, cut off."""

    def of(octets: bytes) -> st.SearchStrategy[bytes]:
        place = st.integers(0, len(octets) - 1)

        def replaced(at: int, removed: int, put: bytes) -> bytes:
            return octets[:at] + put + octets[at + removed :]

        return st.one_of(
            st.builds(replaced, place, st.just(1), st.binary(min_size=1, max_size=1)),
            st.builds(replaced, place, st.integers(0, 8), st.binary(max_size=8)),
            place.map(lambda at: octets[:at]),
            st.builds(lambda at, to: octets[:at] + octets[min(at, to) :], place, place),
        )

    return of


@pytest.fixture
def made(keys, spki_of):
    """Make a signed request out of raw attributes, in the given order."""
    key = keys["ec-p256"]

    def make(*attributes, subject=None, spki=None, tail=None):
        tail = der.context(0, b"".join(attributes)) if tail is None else tail
        name = SUBJECT if subject is None else subject
        info = der.sequence(der.integer(0), name, spki or spki_of(key), tail)
        signature = key.sign(info, ec.ECDSA(hashes.SHA256()))
        return der.signed(info, SIGNATURE_ALGORITHMS["ecdsa-sha256"].identifier, signature)

    return make
