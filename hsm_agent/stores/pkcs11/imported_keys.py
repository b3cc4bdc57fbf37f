"""What the worker is asked when a private key from elsewhere is written into a token."""

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, mldsa, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_private_key,
)

from hsm_agent.stores.key_types import key_type_of
from hsm_agent.stores.pkcs11 import templates
from hsm_agent.stores.pkcs11.new_keys import Request
from hsm_agent.stores.store import NewKey, Unsupported
from hsm_agent.wire.encoding import Value

_LONG_FORM = 0x80
_Template = dict[int, Value]


def importing(wanted: NewKey, key_id: bytes, pkcs8: bytes) -> Request:
    """Return the request that writes both halves of a key.

    Raises:
        Unsupported: the octets are no such key, or it is not of the type that was named.
    """
    key = _private_key(pkcs8)
    found = key_type_of(key.public_key())
    if wanted.key_type not in ("", found):
        raise Unsupported(f"the key is of type {found}, not {wanted.key_type}")
    kind, chosen = templates.parameters(found)
    label = templates.checked_label(wanted)
    both: _Template = {
        templates.TOKEN: True,
        templates.LABEL: label.decode(),
        templates.ID: key_id,
        templates.KEY_TYPE: kind,
        **chosen,
    }
    private, public = _halves(key)
    private = {
        templates.CLASS: templates.CKO_PRIVATE_KEY,
        **both,
        **templates.kept_private(wanted),
        **private,
    }
    public = {
        templates.CLASS: templates.CKO_PUBLIC_KEY,
        **both,
        templates.PRIVATE: False,
        templates.VERIFY: True,
        **public,
    }
    return {
        "do": "import",
        "label": label,
        "id": key_id,
        "private": templates.pairs(private),
        "public": templates.pairs(public),
    }


def _private_key(pkcs8: bytes) -> PrivateKeyTypes:
    try:
        return load_der_private_key(pkcs8, None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise Unsupported("the octets are no private key in PKCS#8 without a password") from None


def _halves(key: PrivateKeyTypes) -> tuple[_Template, _Template]:
    """Return what only the private half has, and what only the public one has."""
    if isinstance(key, rsa.RSAPrivateKey):
        return _rsa_halves(key.private_numbers())
    if isinstance(key, ec.EllipticCurvePrivateKey):
        secret = key.private_numbers().private_value.to_bytes((key.key_size + 7) // 8, "big")
        point = key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        return {templates.VALUE: secret}, {templates.EC_POINT: _octet_string(point)}
    if isinstance(key, ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey):
        point = key.public_key().public_bytes_raw()
        return {templates.VALUE: key.private_bytes_raw()}, {
            templates.EC_POINT: _octet_string(point)
        }
    if isinstance(key, mldsa.MLDSA44PrivateKey | mldsa.MLDSA65PrivateKey | mldsa.MLDSA87PrivateKey):
        public = key.public_key().public_bytes_raw()
        return {templates.SEED: key.private_bytes_raw()}, {templates.VALUE: public}
    raise Unsupported("a token could keep no key of this type for us")


def _rsa_halves(numbers: rsa.RSAPrivateNumbers) -> tuple[_Template, _Template]:
    public = {
        templates.MODULUS: _octets(numbers.public_numbers.n),
        templates.PUBLIC_EXPONENT: _octets(numbers.public_numbers.e),
    }
    private = {
        **public,
        templates.PRIVATE_EXPONENT: _octets(numbers.d),
        templates.PRIME_1: _octets(numbers.p),
        templates.PRIME_2: _octets(numbers.q),
        templates.EXPONENT_1: _octets(numbers.dmp1),
        templates.EXPONENT_2: _octets(numbers.dmq1),
        templates.COEFFICIENT: _octets(numbers.iqmp),
    }
    return {**private}, {**public}


def _octets(number: int) -> bytes:
    return number.to_bytes((number.bit_length() + 7) // 8, "big")


def _octet_string(content: bytes) -> bytes:
    """Return DER of an OCTET STRING; the longest point, of P-521, has 133 octets."""
    length = len(content)
    header = bytes([length]) if length < _LONG_FORM else bytes([0x81, length])
    return b"\x04" + header + content
