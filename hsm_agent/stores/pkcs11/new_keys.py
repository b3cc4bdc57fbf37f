"""What the worker is asked when a key is made, or gets its certificate."""

from collections.abc import Collection, Mapping

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from hsm_agent.stores.key_types import CURVES, RSA_BITS
from hsm_agent.stores.pkcs11 import templates
from hsm_agent.stores.pkcs11.mechanisms import CKM_ECDSA, CKM_EDDSA, CKM_ML_DSA, CKM_RSA_PKCS
from hsm_agent.stores.pkcs11.public_keys import (
    CKK_EC,
    CKK_EC_EDWARDS,
    CKK_ML_DSA,
    CKK_RSA,
    EDWARDS,
    ML_DSA,
)
from hsm_agent.stores.store import NewKey
from hsm_agent.wire.encoding import Value

Request = Mapping[str, Value]

_RSA_GENERATES = 0x00
_EC_GENERATES = 0x1040
_EDWARDS_GENERATES = 0x1055
_ML_DSA_GENERATES = 0x1C
_GENERATES = {
    CKK_RSA: _RSA_GENERATES,
    CKK_EC: _EC_GENERATES,
    CKK_EC_EDWARDS: _EDWARDS_GENERATES,
    CKK_ML_DSA: _ML_DSA_GENERATES,
}
_LARGEST_ED25519 = 256
"""In bits, as tokens count them; what goes beyond is Ed448."""
_EDWARDS25519_BY_NAME = b"\x13\x0cedwards25519"
"""The other form of CKA_EC_PARAMS that PKCS#11 allows: the curve's name."""


def key_types(makes: Mapping[int, tuple[int, int]], signs: Collection[int]) -> tuple[str, ...]:
    """Return the types of keys that a token can both make and sign with.

    ``makes`` holds its mechanisms that generate pairs, with the least and the greatest size.
    """
    found: list[str] = []
    if _RSA_GENERATES in makes and CKM_RSA_PKCS in signs:
        least, most = makes[_RSA_GENERATES]
        found += [name for name, bits in RSA_BITS.items() if least <= bits <= (most or bits)]
    if _EC_GENERATES in makes and CKM_ECDSA in signs:
        least, most = makes[_EC_GENERATES]
        sizes = {name: curve().key_size for name, curve in CURVES.items()}
        found += [name for name, bits in sizes.items() if least <= bits <= (most or bits)]
    if _EDWARDS_GENERATES in makes and CKM_EDDSA in signs:
        most = makes[_EDWARDS_GENERATES][1]
        found += EDWARDS if not most or most > _LARGEST_ED25519 else ["ed25519"]
    if _ML_DSA_GENERATES in makes and CKM_ML_DSA in signs:
        found += ML_DSA
    return tuple(found)


def generations(wanted: NewKey, key_id: bytes) -> list[Request]:
    """Return the requests that make a key: a second one is for tokens that refuse the first.

    Raises:
        Unsupported: the label, the type or a policy is none for a token.
    """
    kind, chosen = templates.parameters(wanted.key_type)
    request: Request = {
        "do": "generate",
        "label": templates.checked_label(wanted),
        "id": key_id,
        "key-type": kind,
        "mechanism": _GENERATES[kind],
        "bits": RSA_BITS.get(wanted.key_type, 0),
        "public": templates.pairs({**chosen, templates.PRIVATE: False}),
        "private": templates.pairs(templates.kept_private(wanted)),
    }
    if wanted.key_type != "ed25519":
        return [request]
    named: dict[int, Value] = {templates.EC_PARAMS: _EDWARDS25519_BY_NAME, templates.PRIVATE: False}
    return [request, {**request, "public": templates.pairs(named)}]


def certificate_object(label: bytes, key_id: bytes, certificate: x509.Certificate) -> Request:
    """Return the request that writes a certificate beside its key."""
    value = certificate.public_bytes(Encoding.DER)
    serial = certificate.serial_number
    # DER of the INTEGER: one octet more than the bits fill, for the sign.
    number = serial.to_bytes(serial.bit_length() // 8 + 1, "big")
    template: dict[int, Value] = {
        templates.CLASS: templates.CKO_CERTIFICATE,
        templates.CERTIFICATE_TYPE: 0,
        templates.TOKEN: True,
        templates.PRIVATE: False,
        templates.LABEL: label.decode("utf-8", "replace"),
        templates.ID: key_id,
        templates.SUBJECT: certificate.subject.public_bytes(),
        templates.ISSUER: certificate.issuer.public_bytes(),
        templates.SERIAL_NUMBER: bytes([2, len(number)]) + number,
        templates.VALUE: value,
    }
    parts = templates.pairs(template)
    return {"do": "certificate", "id": key_id, "value": value, "certificate": parts}
