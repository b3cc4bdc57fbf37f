"""Templates of PKCS#11 objects: the numbers of attributes, and what every key of ours is."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from hsm_agent.stores.key_types import RSA_BITS
from hsm_agent.stores.pkcs11.listing import readable_label
from hsm_agent.stores.pkcs11.public_keys import (
    CKK_EC,
    CKK_EC_EDWARDS,
    CKK_ML_DSA,
    CKK_RSA,
    CURVE_IDENTIFIERS,
    EDWARDS,
    ML_DSA,
)
from hsm_agent.stores.store import NewKey, Unsupported
from hsm_agent.wire.encoding import Value

CLASS: Final = 0x00
TOKEN: Final = 0x01
PRIVATE: Final = 0x02
LABEL: Final = 0x03
VALUE: Final = 0x11
CERTIFICATE_TYPE: Final = 0x80
ISSUER: Final = 0x81
SERIAL_NUMBER: Final = 0x82
KEY_TYPE: Final = 0x100
SUBJECT: Final = 0x101
ID: Final = 0x102
SENSITIVE: Final = 0x103
DECRYPT: Final = 0x105
UNWRAP: Final = 0x107
SIGN: Final = 0x108
VERIFY: Final = 0x10A
DERIVE: Final = 0x10C
MODULUS: Final = 0x120
PUBLIC_EXPONENT: Final = 0x122
PRIVATE_EXPONENT: Final = 0x123
PRIME_1: Final = 0x124
PRIME_2: Final = 0x125
EXPONENT_1: Final = 0x126
EXPONENT_2: Final = 0x127
COEFFICIENT: Final = 0x128
EXTRACTABLE: Final = 0x162
EC_PARAMS: Final = 0x180
EC_POINT: Final = 0x181
ALWAYS_AUTHENTICATE: Final = 0x202
PARAMETER_SET: Final = 0x61D
SEED: Final = 0x637

CKO_CERTIFICATE: Final = 1
CKO_PUBLIC_KEY: Final = 2
CKO_PRIVATE_KEY: Final = 3

KEPT: Mapping[int, Value] = MappingProxyType(
    {
        **dict.fromkeys((SENSITIVE, PRIVATE, SIGN), True),
        **dict.fromkeys((EXTRACTABLE, DECRYPT, UNWRAP, DERIVE), False),
    }
)
"""What every private key of ours is: for signing alone, and never readable."""

_MOST_LABEL_OCTETS = 64


def pairs(template: Mapping[int, Value]) -> list[Mapping[str, Value]]:
    """Return a template as it travels to the worker."""
    return [{"attribute": kind, "value": value} for kind, value in template.items()]


def parameters(wanted: str) -> tuple[int, dict[int, Value]]:
    """Return the type of a key (CKK) and the attributes that choose its size or curve.

    Raises:
        Unsupported: there is no such type.
    """
    if wanted in RSA_BITS:
        return CKK_RSA, {}
    if wanted in CURVE_IDENTIFIERS:
        return CKK_EC, {EC_PARAMS: CURVE_IDENTIFIERS[wanted]}
    if wanted in EDWARDS:
        return CKK_EC_EDWARDS, {EC_PARAMS: EDWARDS[wanted][1]}
    if wanted in ML_DSA:
        return CKK_ML_DSA, {PARAMETER_SET: ML_DSA[wanted]}
    raise Unsupported(f"{wanted!r} is no type of key that a token could keep for us")


def checked_label(wanted: NewKey) -> bytes:
    """Return the label of a new key.

    Raises:
        Unsupported: people could not type it, or it looks like the name of another key.
    """
    label = wanted.label.encode()
    if not readable_label(label) or len(label) > _MOST_LABEL_OCTETS:
        raise Unsupported(f"{wanted.label!r} is no label: 1 to 64 octets of text, not 'id:...'")
    return label


def kept_private(wanted: NewKey) -> dict[int, Value]:
    """Return what the private half of a new key is, with its policy for the PIN.

    Raises:
        Unsupported: PKCS#11 has no such policy.
    """
    if wanted.touch_policy not in ("", "never"):
        raise Unsupported("PKCS#11 knows nothing of touch: leave the touch policy out")
    if wanted.pin_policy not in ("", "once", "always"):
        raise Unsupported(f"the PIN policy is once or always here, not {wanted.pin_policy!r}")
    always = {ALWAYS_AUTHENTICATE: True} if wanted.pin_policy == "always" else {}
    return {**KEPT, **always}
