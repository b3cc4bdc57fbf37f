"""Assertions of passkeys (Web Authentication Level 2, section 7.2) as proofs of approval."""

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import cbor2
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_der_public_key

from hsm_agent.approvals.faults import ProofRefused

LARGEST_PROOF = 16_384

_PARTS = ("authenticatorData", "clientDataJSON", "signature")
_DATA_OCTETS = 37
_USER_PRESENT, _USER_VERIFIED = 0x01, 0x04
_ATTESTED, _EXTENSIONS = 0x40, 0x80
_LEAST_RSA_BITS = 2048

PublicKey = ec.EllipticCurvePublicKey | Ed25519PublicKey | rsa.RSAPublicKey


@dataclass(frozen=True, slots=True)
class Assertion:
    """What the browser hands over; all three are octets as the authenticator meant them."""

    authenticator_data: bytes
    client_data: bytes
    signature: bytes

    @classmethod
    def read(cls, proof: bytes) -> "Assertion":
        """Read a CBOR map of byte strings, or JSON with base64url, also inside ``response``.

        Raises:
            ProofRefused: it is neither.
        """
        if len(proof) > LARGEST_PROOF:
            raise ProofRefused(f"a proof of {len(proof)} octets, of at most {LARGEST_PROOF}")
        found = _json_parts(proof) if proof[:1] == b"{" else _cbor_parts(proof)
        return cls(*(found[part] for part in _PARTS))

    def verify(
        self, statement: bytes, public_key: bytes, rp_id: str, origins: Sequence[str]
    ) -> None:
        """Return when this key asserted this statement, touched by a user whom it had verified.

        Args:
            statement: its SHA-256 was the challenge.
            public_key: SubjectPublicKeyInfo in DER, or a COSE key.
            rp_id: the relying party to which the passkey belongs.
            origins: the pages where it may have been used.

        Raises:
            ProofRefused: it did not.
        """
        self._check_client_data(hashlib.sha256(statement).digest(), origins)
        self._check_authenticator_data(rp_id)
        signed = self.authenticator_data + hashlib.sha256(self.client_data).digest()
        try:
            _verify(read_key(public_key), self.signature, signed)
        except (InvalidSignature, UnsupportedAlgorithm, ValueError) as error:
            raise ProofRefused("the passkey's signature does not fit") from error

    def _check_client_data(self, challenge: bytes, origins: Sequence[str]) -> None:
        try:
            client_data = json.loads(self.client_data)
        except (ValueError, RecursionError) as error:
            raise ProofRefused("clientDataJSON is no JSON") from error
        if not isinstance(client_data, dict) or client_data.get("type") != "webauthn.get":
            raise ProofRefused("clientDataJSON is not of an assertion")
        if not hmac.compare_digest(_base64url(client_data.get("challenge")), challenge):
            raise ProofRefused("the passkey answered another challenge than these octets")
        if client_data.get("origin") not in origins:
            raise ProofRefused(f"origin {client_data.get('origin')!r} is none of the approver's")
        if client_data.get("crossOrigin", False) is not False:
            raise ProofRefused("the passkey was used inside another page")

    def _check_authenticator_data(self, rp_id: str) -> None:
        octets = self.authenticator_data
        if len(octets) < _DATA_OCTETS or octets[:32] != hashlib.sha256(rp_id.encode()).digest():
            raise ProofRefused(f"the passkey was not used for {rp_id!r}")
        flags = octets[32]
        if flags & _ATTESTED or bool(flags & _EXTENSIONS) != (len(octets) > _DATA_OCTETS):
            raise ProofRefused("authenticatorData is not of an assertion")
        if not flags & _USER_PRESENT or not flags & _USER_VERIFIED:
            raise ProofRefused("the passkey has not verified its user")


def read_key(octets: bytes) -> PublicKey:
    """Read a public key that passkeys have: SubjectPublicKeyInfo, or COSE (RFC 9052).

    Raises:
        ProofRefused: it is of another kind, or too weak.
    """
    try:
        key = load_der_public_key(octets) if octets[:1] == b"\x30" else _cose_key(octets)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ProofRefused("the approver's key cannot be read") from error
    match key:
        case Ed25519PublicKey():
            return key
        case ec.EllipticCurvePublicKey(curve=ec.SECP256R1()):
            return key
        case rsa.RSAPublicKey(key_size=bits) if bits >= _LEAST_RSA_BITS:
            return key
    raise ProofRefused("passkeys approve with ES256, EdDSA or RS256 only")


def _cose_key(octets: bytes) -> PublicKey:
    match _cbor(octets):
        case {1: 2, 3: -7, -1: 1, -2: bytes() as x, -3: bytes() as y}:
            curve = ec.SECP256R1()
            return ec.EllipticCurvePublicKey.from_encoded_point(curve, b"\x04" + x + y)
        case {1: 1, 3: -8, -1: 6, -2: bytes() as x}:
            return Ed25519PublicKey.from_public_bytes(x)
        case {1: 3, 3: -257, -1: bytes() as n, -2: bytes() as e}:
            numbers = rsa.RSAPublicNumbers(int.from_bytes(e, "big"), int.from_bytes(n, "big"))
            return numbers.public_key()
    raise ProofRefused("passkeys approve with ES256, EdDSA or RS256 only")


def _verify(key: PublicKey, signature: bytes, signed: bytes) -> None:
    match key:
        case Ed25519PublicKey():
            key.verify(signature, signed)
        case ec.EllipticCurvePublicKey():
            key.verify(signature, signed, ec.ECDSA(hashes.SHA256()))
        case rsa.RSAPublicKey():
            key.verify(signature, signed, padding.PKCS1v15(), hashes.SHA256())


def _cbor_parts(proof: bytes) -> Mapping[str, bytes]:
    match _cbor(proof):
        case {
            "authenticatorData": bytes() as authenticator_data,
            "clientDataJSON": bytes() as client_data,
            "signature": bytes() as signature,
            **others,
        } if not others:
            return dict(zip(_PARTS, (authenticator_data, client_data, signature), strict=True))
    raise ProofRefused("a passkey's proof is authenticatorData, clientDataJSON and signature")


def _cbor(octets: bytes) -> object:
    try:
        found: object = cbor2.loads(
            octets, max_depth=4, allow_indefinite=False, allow_duplicate_keys=False
        )
    # The library raises errors of many families for what is no CBOR.
    except Exception as error:
        raise ProofRefused("neither CBOR nor JSON") from error
    return found


def _json_parts(proof: bytes) -> Mapping[str, bytes]:
    try:
        found = json.loads(proof)
    except (ValueError, RecursionError) as error:
        raise ProofRefused("neither CBOR nor JSON") from error
    inner = found.get("response", found) if isinstance(found, dict) else None
    if not isinstance(inner, dict):
        raise ProofRefused("a passkey's proof is authenticatorData, clientDataJSON and signature")
    return {part: _base64url(inner.get(part)) for part in _PARTS}


def _base64url(value: object) -> bytes:
    """Read base64url without padding (RFC 4648 section 5)."""
    try:
        if isinstance(value, str):
            padded = value + "=" * (-len(value) % 4)
            return base64.b64decode(padded.encode("ascii"), b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise ProofRefused("not base64url") from error
    raise ProofRefused("a passkey's proof is authenticatorData, clientDataJSON and signature")
