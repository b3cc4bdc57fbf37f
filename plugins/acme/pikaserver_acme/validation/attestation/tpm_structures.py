"""Structures of TPM 2.0 (Trusted Platform Module Library, part 2), as far as attestations go."""

import hashlib
from dataclasses import dataclass
from typing import NoReturn

from cryptography.hazmat.primitives.asymmetric import ec, rsa, utils

from pikaserver_acme.validation.attempt import Failed

GENERATED = 0xFF544347
ATTEST_CERTIFY = 0x8017
RSA, ECC, NOTHING = 0x0001, 0x0023, 0x0010
RSASSA, ECDSA, ECDAA = 0x0014, 0x0018, 0x001A
HASHES = {0x000B: "sha256", 0x000C: "sha384", 0x000D: "sha512"}
CURVES: dict[int, ec.EllipticCurve] = {
    0x0003: ec.SECP256R1(),
    0x0004: ec.SECP384R1(),
    0x0005: ec.SECP521R1(),
}
USUAL_EXPONENT = 65537
SMALLEST_RSA = 2048

FIXED_TPM, FIXED_PARENT, SENSITIVE_DATA_ORIGIN, SIGN = 1 << 1, 1 << 4, 1 << 5, 1 << 18
_MADE_THERE = FIXED_TPM | FIXED_PARENT | SENSITIVE_DATA_ORIGIN


@dataclass(frozen=True, slots=True)
class PublicArea:
    """TPMT_PUBLIC: a key of a TPM; ``name`` is what the TPM calls it."""

    key: rsa.RSAPublicKey | ec.EllipticCurvePublicKey
    attributes: int
    name: bytes

    def check_made_there(self) -> None:
        """Return when the key was made in this TPM, cannot leave it, and signs.

        Raises:
            Failed: it might be anywhere.
        """
        if self.attributes & _MADE_THERE != _MADE_THERE:
            _refuse("the key was not made in the TPM, or may leave it")
        if not self.attributes & SIGN:
            _refuse("the key does not sign")


@dataclass(frozen=True, slots=True)
class CertifyInfo:
    """TPMS_ATTEST of TPM2_Certify: which key, and what the asker gave along."""

    name: bytes
    extra_data: bytes


class _Cursor:
    """Reads big-endian numbers and sized octets, and wants to arrive at the end."""

    def __init__(self, octets: bytes) -> None:
        self._octets = octets
        self._at = 0

    def number(self, octets: int) -> int:
        return int.from_bytes(self.octets(octets), "big")

    def sized(self) -> bytes:
        return self.octets(self.number(2))

    def octets(self, count: int) -> bytes:
        found = self._octets[self._at : self._at + count]
        if len(found) != count:
            _refuse("a structure of the TPM is cut off")
        self._at += count
        return found

    def end(self) -> None:
        if self._at != len(self._octets):
            _refuse("something follows a structure of the TPM")


def read_public_area(octets: bytes) -> PublicArea:
    """Read TPMT_PUBLIC.

    Raises:
        Failed: it is none, or a key of a kind that is not taken.
    """
    cursor = _Cursor(octets)
    kind, name_hash, attributes = cursor.number(2), cursor.number(2), cursor.number(4)
    cursor.sized()  # authPolicy: who may use the key is not our matter
    if name_hash not in HASHES:
        _refuse(f"names of keys by the hash {name_hash:#06x}")
    _skip_symmetric(cursor)
    key = _rsa_key(cursor) if kind == RSA else _ecc_key(cursor, kind)
    cursor.end()
    digest = hashlib.new(HASHES[name_hash], octets).digest()
    return PublicArea(key, attributes, name_hash.to_bytes(2, "big") + digest)


def read_certify_info(octets: bytes) -> CertifyInfo:
    """Read TPMS_ATTEST.

    Raises:
        Failed: it is none, or was not made by TPM2_Certify.
    """
    cursor = _Cursor(octets)
    if cursor.number(4) != GENERATED:
        _refuse("the attested structure was not made by a TPM")
    if cursor.number(2) != ATTEST_CERTIFY:
        _refuse("the attested structure does not certify a key")
    cursor.sized()  # qualifiedSigner
    extra_data = cursor.sized()
    cursor.octets(8 + 4 + 4 + 1)  # clock, resetCount, restartCount, safe
    cursor.octets(8)  # firmwareVersion
    name = cursor.sized()
    cursor.sized()  # qualifiedName
    cursor.end()
    return CertifyInfo(name, extra_data)


def read_signature(octets: bytes) -> bytes:
    """Return the bare signature of TPMT_SIGNATURE; WebAuthn's clients send it bare already.

    Raises:
        Failed: it begins like one, and is none.
    """
    kind = int.from_bytes(octets[:2], "big")
    # A bare ECDSA signature begins with 30, and a bare RSA one that begins so is one in 65,536,
    # and then has other lengths.
    if kind == RSASSA and len(octets) == 6 + int.from_bytes(octets[4:6], "big"):
        return octets[6:]
    if kind != ECDSA or octets[:1] == b"\x30":
        return octets
    cursor = _Cursor(octets)
    cursor.octets(4)  # algorithm, hash
    r, s = (int.from_bytes(cursor.sized(), "big") for _ in range(2))
    cursor.end()
    return utils.encode_dss_signature(r, s)


def _skip_symmetric(cursor: _Cursor) -> None:
    if cursor.number(2) != NOTHING:
        cursor.octets(4)  # keyBits, mode


def _skip_scheme(cursor: _Cursor) -> None:
    scheme = cursor.number(2)
    if scheme != NOTHING:
        cursor.octets(4 if scheme == ECDAA else 2)  # hash, and a count


def _rsa_key(cursor: _Cursor) -> rsa.RSAPublicKey:
    _skip_scheme(cursor)
    bits, exponent = cursor.number(2), cursor.number(4) or USUAL_EXPONENT
    modulus = int.from_bytes(cursor.sized(), "big")
    if bits < SMALLEST_RSA or modulus.bit_length() != bits:
        _refuse(f"an RSA key of {modulus.bit_length()} bits")
    try:
        return rsa.RSAPublicNumbers(exponent, modulus).public_key()
    except ValueError as error:
        _refuse(f"no RSA key: {error}")


def _ecc_key(cursor: _Cursor, kind: int) -> ec.EllipticCurvePublicKey:
    if kind != ECC:
        _refuse(f"a key of the kind {kind:#06x}")
    _skip_scheme(cursor)
    curve = cursor.number(2)
    _skip_scheme(cursor)  # the key derivation has the same shape
    x, y = (int.from_bytes(cursor.sized(), "big") for _ in range(2))
    if curve not in CURVES:
        _refuse(f"a key on the curve {curve:#06x}")
    try:
        return ec.EllipticCurvePublicNumbers(x, y, CURVES[curve]).public_key()
    except ValueError as error:
        _refuse(f"no point of the curve: {error}")


def _refuse(why: str) -> NoReturn:
    raise Failed("badAttestationStatement", f"the attestation of the TPM is not taken: {why}")
