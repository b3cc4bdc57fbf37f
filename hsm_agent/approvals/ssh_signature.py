"""Signatures of ``ssh-keygen -Y sign`` (OpenSSH, PROTOCOL.sshsig), read and verified strictly."""

import base64
import binascii
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from hsm_agent.approvals.faults import ProofRefused

NAMESPACE = "hsm-agent-approval"
LARGEST_PROOF = 16_384

_BEGIN = "-----BEGIN SSH SIGNATURE-----"
_END = "-----END SSH SIGNATURE-----"
_MAGIC = b"SSHSIG"
_HASHES = {"sha256": hashlib.sha256, "sha512": hashlib.sha512}
_ED25519 = "ssh-ed25519"
_SK_ED25519 = "sk-ssh-ed25519@openssh.com"
_SK_ECDSA = "sk-ecdsa-sha2-nistp256@openssh.com"
_RSA = "ssh-rsa"
_RSA_SIGNATURE = "rsa-sha2-512"
_LEAST_RSA_BITS = 2048
_MOST_RSA_BITS = 16_384
_USER_PRESENT = 0x01
_CURVES: Mapping[str, tuple[ec.EllipticCurve, hashes.HashAlgorithm]] = {
    "nistp256": (ec.SECP256R1(), hashes.SHA256()),
    "nistp384": (ec.SECP384R1(), hashes.SHA384()),
    "nistp521": (ec.SECP521R1(), hashes.SHA512()),
}


class _Reader:
    """Reads SSH's length-prefixed values; whatever is short or left over is refused."""

    def __init__(self, octets: bytes) -> None:
        self._octets = octets
        self._place = 0

    def take(self, length: int) -> bytes:
        found = self._octets[self._place : self._place + length]
        if len(found) != length:
            raise ProofRefused("the SSH signature is cut short")
        self._place += length
        return found

    def number(self) -> int:
        return int.from_bytes(self.take(4), "big")

    def string(self) -> bytes:
        return self.take(self.number())

    def text(self) -> str:
        return self.string().decode("ascii", "replace")

    def mpint(self) -> int:
        """Read a positive multiple precision integer (RFC 4251 section 5) in its one form."""
        octets = self.string()
        value = int.from_bytes(octets, "big", signed=True)
        if value < 1 or octets != value.to_bytes(value.bit_length() // 8 + 1, "big"):
            raise ProofRefused("the SSH signature holds a number that is not positive and minimal")
        return value

    def end(self) -> None:
        if self._place != len(self._octets):
            raise ProofRefused("something follows where the SSH signature should end")


@dataclass(frozen=True, slots=True)
class SshSignature:
    """A signature as it was read; ``key`` is the blob of the public key that it names."""

    key: bytes
    hash_name: str
    signature: bytes

    @classmethod
    def read(cls, armoured: bytes) -> "SshSignature":
        """Read what ``ssh-keygen -Y sign -n hsm-agent-approval`` writes.

        Raises:
            ProofRefused: it is none, or was made for another namespace.
        """
        reader = _Reader(_unarmoured(armoured))
        if reader.take(len(_MAGIC)) != _MAGIC or reader.number() != 1:
            raise ProofRefused("not an SSH signature of version 1")
        key, namespace, reserved = reader.string(), reader.text(), reader.string()
        hash_name, signature = reader.text(), reader.string()
        reader.end()
        if namespace != NAMESPACE:
            raise ProofRefused(f"an SSH signature for {namespace!r}, not for {NAMESPACE!r}")
        if reserved or hash_name not in _HASHES:
            raise ProofRefused("an SSH signature of an unknown form")
        return cls(key, hash_name, signature)

    def verify(self, message: bytes) -> None:
        """Return when the key made this signature over the message.

        Raises:
            ProofRefused: it did not, or key or signature are of a kind that we refuse.
        """
        digest = _HASHES[self.hash_name](message).digest()
        signed = _MAGIC + b"".join(
            map(_string, (NAMESPACE.encode(), b"", self.hash_name.encode(), digest))
        )
        key, signature = _Reader(self.key), _Reader(self.signature)
        kind = key.text()
        try:
            _VERIFIERS.get(kind, _unknown)(kind, key, signature, signed)
        except (InvalidSignature, UnsupportedAlgorithm, ValueError) as error:
            raise ProofRefused("the SSH signature does not fit the octets") from error


def _unarmoured(armoured: bytes) -> bytes:
    if len(armoured) > LARGEST_PROOF:
        raise ProofRefused(f"a proof of {len(armoured)} octets, of at most {LARGEST_PROOF}")
    lines = armoured.decode("ascii", "replace").strip().splitlines()
    if len(lines) < 3 or lines[0] != _BEGIN or lines[-1] != _END:  # noqa: PLR2004 - with a body
        raise ProofRefused(f"an SSH signature begins with {_BEGIN}")
    try:
        return base64.b64decode("".join(lines[1:-1]), validate=True)
    except (binascii.Error, ValueError) as error:
        raise ProofRefused("the SSH signature has characters that do not belong there") from error


def _string(octets: bytes) -> bytes:
    return len(octets).to_bytes(4, "big") + octets


def _unknown(kind: str, _key: _Reader, _signature: _Reader, _signed: bytes) -> None:
    raise ProofRefused(f"SSH keys of type {kind!r} do not approve here")


def _named(signature: _Reader, name: str) -> None:
    found = signature.text()
    if found != name:
        raise ProofRefused(f"an SSH signature of type {found!r} where {name!r} belongs")


def _verify_ed25519(kind: str, key: _Reader, signature: _Reader, signed: bytes) -> None:
    public = Ed25519PublicKey.from_public_bytes(key.string())
    key.end()
    _named(signature, kind)
    octets = signature.string()
    signature.end()
    public.verify(octets, signed)


def _verify_ecdsa(kind: str, key: _Reader, signature: _Reader, signed: bytes) -> None:
    curve_name = kind.rpartition("-")[2]
    public, algorithm = _ec_key(key, curve_name)
    key.end()
    _named(signature, kind)
    octets = _ecdsa_octets(signature)
    signature.end()
    public.verify(octets, signed, ec.ECDSA(algorithm))


def _verify_rsa(_kind: str, key: _Reader, signature: _Reader, signed: bytes) -> None:
    exponent, modulus = key.mpint(), key.mpint()
    key.end()
    if not _LEAST_RSA_BITS <= modulus.bit_length() <= _MOST_RSA_BITS:
        raise ProofRefused(f"an RSA key of {modulus.bit_length()} bits, of at least 2048")
    _named(signature, _RSA_SIGNATURE)
    octets = signature.string()
    signature.end()
    public = RSAPublicNumbers(exponent, modulus).public_key()
    public.verify(octets, signed, padding.PKCS1v15(), hashes.SHA512())


def _verify_sk_ed25519(kind: str, key: _Reader, signature: _Reader, signed: bytes) -> None:
    public = Ed25519PublicKey.from_public_bytes(key.string())
    application = key.string()
    key.end()
    _named(signature, kind)
    octets = signature.string()
    public.verify(octets, _touched(application, signature, signed))


def _verify_sk_ecdsa(kind: str, key: _Reader, signature: _Reader, signed: bytes) -> None:
    public, algorithm = _ec_key(key, "nistp256")
    application = key.string()
    key.end()
    _named(signature, kind)
    octets = _ecdsa_octets(signature)
    public.verify(octets, _touched(application, signature, signed), ec.ECDSA(algorithm))


def _touched(application: bytes, signature: _Reader, signed: bytes) -> bytes:
    """Return what a security key signs (OpenSSH, PROTOCOL.u2f); somebody has touched it."""
    flags, counter = signature.take(1), signature.take(4)
    signature.end()
    if not flags[0] & _USER_PRESENT:
        raise ProofRefused("nobody touched the security key for this signature")
    sha256 = hashlib.sha256
    return sha256(application).digest() + flags + counter + sha256(signed).digest()


def _ec_key(
    key: _Reader, curve_name: str
) -> tuple[ec.EllipticCurvePublicKey, hashes.HashAlgorithm]:
    curve, algorithm = _CURVES[curve_name]
    if key.text() != curve_name:
        raise ProofRefused("an SSH key whose curve is not that of its type")
    return ec.EllipticCurvePublicKey.from_encoded_point(curve, key.string()), algorithm


def _ecdsa_octets(signature: _Reader) -> bytes:
    pair = _Reader(signature.string())
    r, s = pair.mpint(), pair.mpint()
    pair.end()
    return encode_dss_signature(r, s)


_VERIFIERS: Mapping[str, Callable[[str, _Reader, _Reader, bytes], None]] = {
    _ED25519: _verify_ed25519,
    **{f"ecdsa-sha2-{curve}": _verify_ecdsa for curve in _CURVES},
    _RSA: _verify_rsa,
    _SK_ED25519: _verify_sk_ed25519,
    _SK_ECDSA: _verify_sk_ecdsa,
}
