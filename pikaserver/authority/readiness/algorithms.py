"""What CycloneDX calls our algorithms: primitive, parameters, security levels."""

from collections.abc import Mapping

from pikaserver.asn1.identifiers import key_bits, rsa_bits

# Bits of classical security: NIST SP 800-57 part 1 table 2, and the target of each category.
_CLASSICAL = {
    "rsa-2048": 112,
    "rsa-3072": 128,
    "rsa-4096": 152,
    "ec-p256": 128,
    "ec-p384": 192,
    "ec-p521": 256,
    "ec-secp256k1": 128,
    "ed25519": 128,
    "ed448": 224,
}
_BY_CATEGORY = {1: 128, 2: 128, 3: 192, 4: 192, 5: 256}
_CURVES = {
    "ec-p256": "secg/secp256r1",
    "ec-p384": "secg/secp384r1",
    "ec-p521": "secg/secp521r1",
    "ec-secp256k1": "secg/secp256k1",
    "ed25519": "other/Ed25519",
    "ed448": "other/Ed448",
}
# Whose parameter sets have names of more than one word: shake-128s is not sha2-128s.
_FAMILIES = ("slh-dsa-", "composite-")
_FIELD_BITS = {"ec-p256": 256, "ec-p384": 384, "ec-p521": 521, "ec-secp256k1": 256}


def algorithm_properties(name: str, category: int) -> Mapping[str, object]:
    """Return ``algorithmProperties`` of a key type or a signature algorithm, by our names."""
    kem = name.startswith("ml-kem-")
    found: dict[str, object] = {
        "primitive": "kem" if kem else "signature",
        "parameterSetIdentifier": _parameters(name),
        "cryptoFunctions": ["encapsulate", "decapsulate"] if kem else ["sign", "verify"],
        "nistQuantumSecurityLevel": category,
    }
    if name in _CURVES:
        found["curve"] = _CURVES[name]
    if name.startswith("rsa-sha"):
        found["padding"] = "pkcs1v15"
    if name.startswith("rsa-pss"):
        found["padding"] = "other"
    classical = _CLASSICAL.get(name) or _BY_CATEGORY.get(category)
    if classical is not None:
        found["classicalSecurityLevel"] = classical
    return found


def _parameters(name: str) -> str:
    for family in _FAMILIES:
        if name.startswith(family):
            return name.removeprefix(family)
    return name.rpartition("-")[2]


def key_bits_of(key_type: str, spki: bytes) -> int:
    """Return the size of a public key in bits, as people of its kind count."""
    if key_type.startswith("rsa-"):
        return rsa_bits(spki)
    if key_type in _FIELD_BITS:
        return _FIELD_BITS[key_type]
    return 8 * len(key_bits(spki))
