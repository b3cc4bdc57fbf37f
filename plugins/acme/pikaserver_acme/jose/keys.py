"""Account keys: JSON Web Keys (RFC 7517), which of them count, and their thumbprints."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey

from pikaserver_acme.jose import base64url
from pikaserver_acme.problems import AcmeError

ALGORITHMS: Mapping[str, str] = {
    "P-256": "ES256",
    "P-384": "ES384",
    "P-521": "ES512",
    "RSA": "RS256",
    "Ed25519": "EdDSA",
    "Ed448": "EdDSA",
}
"""The one algorithm that each kind of key signs with."""

_MEMBERS: Mapping[str, tuple[str, ...]] = {
    "EC": ("crv", "kty", "x", "y"),
    "OKP": ("crv", "kty", "x"),
    "RSA": ("e", "kty", "n"),
}
_RSA_BITS = range(2048, 4097)
_EXPONENT = b"\x01\x00\x01"
_COORDINATES: Mapping[str, int] = {
    "P-256": 32,
    "P-384": 48,
    "P-521": 66,
    "Ed25519": 32,
    "Ed448": 57,
}


@dataclass(frozen=True, slots=True)
class AccountKey:
    """A public key that signs requests.

    ``algorithm`` is the one that it signs with, ``text`` the members of RFC 7638 as JSON,
    ``thumbprint`` SHA-256 over them in base64url, ``spki`` the key in DER.
    """

    key: ECKey | RSAKey | OKPKey
    algorithm: str
    text: str
    thumbprint: str
    spki: bytes

    def document(self) -> dict[str, str]:
        """Return it for JSON."""
        found: dict[str, str] = json.loads(self.text)
        return found


def read_key(document: Mapping[str, object]) -> AccountKey:
    """Return the key of a JWK as it came.

    Raises:
        AcmeError: badPublicKey: of a kind, size or curve that does not count, or private.
    """
    members = _MEMBERS.get(str(document.get("kty")))
    if members is None:
        raise bad_key("the account key is to be of kty EC, RSA or OKP")
    if "d" in document or "k" in document:
        raise bad_key("the account key came with its private half; make another one")
    wanted = {name: document.get(name) for name in members}
    if not all(isinstance(value, str) for value in wanted.values()):
        raise bad_key(f"a JWK of kty {document['kty']} has the members {', '.join(members)}")
    _check_spelling({name: str(value) for name, value in wanted.items()})
    return stored_key(json.dumps(wanted, sort_keys=True, separators=(",", ":")))


@lru_cache(maxsize=4096)
def stored_key(text: str) -> AccountKey:
    """Return the key of the members that RFC 7638 names, as JSON.

    Raises:
        AcmeError: badPublicKey.
    """
    members: dict[str, str | list[str]] = json.loads(text)
    kinds: Mapping[str, type[ECKey | RSAKey | OKPKey]] = {
        "EC": ECKey,
        "RSA": RSAKey,
        "OKP": OKPKey,
    }
    try:
        key = kinds[str(members["kty"])].import_key(members)
        public = key.public_key
        algorithm = ALGORITHMS.get(_name(public))
        if algorithm is None:
            raise bad_key("the account key's curve is to be P-256, P-384, P-521 or Ed25519")
        spki = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return AccountKey(key, algorithm, text, key.thumbprint(), spki)
    except (JoseError, ValueError, TypeError, OverflowError):
        raise bad_key("the account key is not valid, or not on its curve") from None


def mac_key(secret: bytes) -> OctKey:
    """Return the key of an external account."""
    return OctKey.import_key(secret)


def bad_key(detail: str) -> AcmeError:
    """Return the error for a key that does not count."""
    return AcmeError("badPublicKey", detail)


def _name(key: object) -> str:
    if isinstance(key, ec.EllipticCurvePublicKey):
        curves = {"secp256r1": "P-256", "secp384r1": "P-384", "secp521r1": "P-521"}
        return curves.get(key.curve.name, "")
    if isinstance(key, ed25519.Ed25519PublicKey):
        return "Ed25519"
    if isinstance(key, ed448.Ed448PublicKey):
        return "Ed448"
    return "RSA" if isinstance(key, rsa.RSAPublicKey) else ""


def _check_spelling(members: Mapping[str, str]) -> None:
    """Check that a key is spelled in the one way that gives it one thumbprint (RFC 7518).

    Raises:
        AcmeError: badPublicKey.
    """
    try:
        octets = {
            name: base64url.decode(value, name)
            for name, value in members.items()
            if name not in {"crv", "kty"}
        }
    except AcmeError as error:
        raise bad_key(f"the account key: {error}") from None
    if members["kty"] == "RSA":
        _check_modulus(octets["n"], octets["e"])
        return
    size = _COORDINATES.get(members["crv"])
    if size is None:
        raise bad_key(f"the account key's curve is to be one of {', '.join(_COORDINATES)}")
    if any(len(one) != size for one in octets.values()):
        raise bad_key(f"coordinates on {members['crv']} have {size} octets")


def _check_modulus(modulus: bytes, exponent: bytes) -> None:
    bits = int.from_bytes(modulus, "big").bit_length()
    if bits not in _RSA_BITS or bits != 8 * len(modulus):
        raise bad_key(f"the account key has {bits} bits; 2048 to 4096 are allowed, in whole octets")
    if exponent != _EXPONENT:
        raise bad_key("the account key's exponent is to be 65537")
