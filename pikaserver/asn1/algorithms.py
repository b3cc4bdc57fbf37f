"""The one table of key types and signature algorithms, and the verifying that goes with it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from types import MappingProxyType

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import (
    ec,
    ed448,
    ed25519,
    mldsa,
    padding,
    rsa,
)
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.hazmat.primitives.serialization import load_der_public_key

from pikaserver.api.errors import MalformedRequest, RequestRejected, SignatureFaulty
from pikaserver.asn1 import composite, der, slh_dsa
from pikaserver.asn1.identifiers import (
    HASH_OIDS,
    identifier,
    key_algorithm,
    key_bits,
    pss_identifier,
    read_oid,
    read_pss_hash,
    rsa_bits,
)
from pikaserver.asn1.kem_keys import kem_key_type
from pikaserver.asn1.refused_algorithms import REFUSED

HASHES: Mapping[str, type[hashes.HashAlgorithm]] = MappingProxyType(
    {"sha256": hashes.SHA256, "sha384": hashes.SHA384, "sha512": hashes.SHA512}
)
"""The hashes that we sign with, by our names."""

PKCS1 = padding.PKCS1v15()
"""RSASSA-PKCS1-v1_5 (RFC 8017 section 8.2)."""

_MESSAGE_ALGORITHMS = (
    ("ed25519", "1.3.101.112", 64, 0),
    ("ed448", "1.3.101.113", 114, 0),
    ("ml-dsa-44", "2.16.840.1.101.3.4.3.17", 2420, 2),
    ("ml-dsa-65", "2.16.840.1.101.3.4.3.18", 3309, 3),
    ("ml-dsa-87", "2.16.840.1.101.3.4.3.19", 4627, 5),
    *(
        (one.name, one.oid, one.signature_octets, one.category)
        for one in slh_dsa.PARAMETER_SETS.values()
    ),
)
_CURVES = (  # greatest lengths of Ecdsa-Sig-Value
    ("ec-p256", "1.2.840.10045.3.1.7", "ecdsa-sha256", 72),
    ("ec-p384", "1.3.132.0.34", "ecdsa-sha384", 104),
    ("ec-p521", "1.3.132.0.35", "ecdsa-sha512", 139),
    ("ec-secp256k1", "1.3.132.0.10", "ecdsa-sha256", 72),
)
_MessageKey = (
    ed25519.Ed25519PublicKey
    | ed448.Ed448PublicKey
    | mldsa.MLDSA44PublicKey
    | mldsa.MLDSA65PublicKey
    | mldsa.MLDSA87PublicKey
)


@dataclass(frozen=True, slots=True)
class SignatureAlgorithm:
    """One way to sign; ``identifier`` is the AlgorithmIdentifier in DER.

    ``family`` is ``rsa``, ``rsa-pss``, ``ecdsa`` or the name itself.  ``hash`` is ``None``
    where the algorithm takes the message as it is.  ``octets`` is the signature's length,
    ``None`` where the key decides.
    """

    name: str
    identifier: bytes
    family: str
    hash: str | None
    octets: int | None

    def signature_octets(self, spki: bytes) -> int:
        """Return the length of this key's signatures; for ECDSA the greatest, rarely reached."""
        if self.octets is not None:
            return self.octets
        if self.family == "ecdsa":
            return next((n for name, _, _, n in _CURVES if name == key_type(spki)), 0)
        return (rsa_bits(spki) + 7) // 8


@dataclass(frozen=True, slots=True)
class KeyType:
    """One kind of key that we make and certify.

    ``identifier`` is the AlgorithmIdentifier of its SPKI, ``families`` are those of the
    signature algorithms, ``default`` is the algorithm when nothing else is asked.
    ``category`` is NIST's security category, 0 for what a quantum computer breaks.
    """

    name: str
    identifier: bytes
    families: tuple[str, ...]
    default: str
    category: int = 0


_RSA = identifier("1.2.840.113549.1.1.1", der.null())


def _signature_algorithms() -> Mapping[str, SignatureAlgorithm]:
    table: list[SignatureAlgorithm] = []
    for last, name in enumerate(HASH_OIDS):
        pkcs1 = identifier(f"1.2.840.113549.1.1.{11 + last}", der.null())
        ecdsa = identifier(f"1.2.840.10045.4.3.{2 + last}")
        table += [
            SignatureAlgorithm(f"rsa-{name}", pkcs1, "rsa", name, None),
            SignatureAlgorithm(f"rsa-pss-{name}", pss_identifier(name), "rsa-pss", name, None),
            SignatureAlgorithm(f"ecdsa-{name}", ecdsa, "ecdsa", name, None),
        ]
    table += [
        SignatureAlgorithm(name, identifier(oid), name, None, octets)
        for name, oid, octets, _ in _MESSAGE_ALGORITHMS
    ]
    table += [
        SignatureAlgorithm(one.name, one.identifier, one.name, None, one.signature_octets)
        for one in composite.COMPOSITES.values()
    ]
    return MappingProxyType({entry.name: entry for entry in table})


def _key_types() -> Mapping[str, KeyType]:
    table = [
        KeyType(f"rsa-{bits}", _RSA, ("rsa", "rsa-pss"), "rsa-sha256")
        for bits in (2048, 3072, 4096)
    ]
    table += [
        KeyType(name, identifier("1.2.840.10045.2.1", der.oid(curve)), ("ecdsa",), default)
        for name, curve, default, _ in _CURVES
    ]
    table += [
        KeyType(name, identifier(oid), (name,), name, category)
        for name, oid, _, category in _MESSAGE_ALGORITHMS
    ]
    return MappingProxyType({entry.name: entry for entry in table})


SIGNATURE_ALGORITHMS = _signature_algorithms()
"""All signature algorithms by our names."""

KEY_TYPES = _key_types()
"""All key types that we make, by our names."""

_BY_IDENTIFIER = {entry.identifier: entry.name for entry in SIGNATURE_ALGORITHMS.values()}
_KEY_TYPE_BY_IDENTIFIER = {
    entry.identifier: entry.name for entry in KEY_TYPES.values() if entry.identifier != _RSA
}


def key_type(spki: bytes) -> str:
    """Return our name of a SubjectPublicKeyInfo's type: ``ec-p256``, ``rsa-1024``, ``unknown``.

    Keys that cannot sign have names, too: ``ml-kem-768``.

    Parameters count: an ML-DSA key with NULL, or an EC key with a spelt-out curve, is unknown.

    Raises:
        MalformedRequest: it is not a SubjectPublicKeyInfo.
    """
    algorithm_identifier = key_algorithm(spki)
    if algorithm_identifier == _RSA:
        return f"rsa-{rsa_bits(spki)}"
    name = _KEY_TYPE_BY_IDENTIFIER.get(algorithm_identifier)
    return name or kem_key_type(spki) or composite.composite_key_type(spki) or "unknown"


def default_algorithm(key_type: str, hash_name: str | None = None, *, pss: bool = False) -> str:
    """Return the signature algorithm for a key type and the asked hash.

    Raises:
        RequestRejected: the key type is not ours, or it has no such choice.
    """
    if key_type in composite.COMPOSITES and hash_name is None and not pss:
        return key_type
    kind = KEY_TYPES.get(key_type)
    if kind is None:
        raise RequestRejected(f"{key_type} is not a key type that signs here")
    default = SIGNATURE_ALGORITHMS[kind.default]
    if hash_name is None and not pss:
        return default.name
    if default.hash is None:
        raise RequestRejected(f"{key_type} leaves no choice of hash or padding")
    if pss and "rsa-pss" not in kind.families:
        raise RequestRejected(f"{key_type} does not sign with RSA-PSS")
    if hash_name is not None and hash_name not in HASHES:
        raise RequestRejected(f"{hash_name} is not one of {', '.join(HASHES)}")
    return f"{'rsa-pss' if pss else default.family}-{hash_name or default.hash}"


def algorithm_of(identifier_der: bytes) -> str:
    """Return our name of an AlgorithmIdentifier; RSA-PSS is recognised with any salt length.

    Raises:
        MalformedRequest: it is not in the table; the text says which one it is.
    """
    name = _BY_IDENTIFIER.get(identifier_der)
    if name is not None:
        return name
    pss_hash = read_pss_hash(identifier_der)
    if pss_hash is not None:
        return f"rsa-pss-{pss_hash}"
    dotted = read_oid(identifier_der)
    for entry in SIGNATURE_ALGORITHMS.values():
        if read_oid(entry.identifier) == dotted:
            raise MalformedRequest(f"the parameters of {entry.name} are not those of its RFC")
    raise MalformedRequest(REFUSED.get(dotted, f"signature algorithm {dotted} is not accepted"))


def refuse_parameters(identifier_der: bytes) -> None:
    """Return when an identifier that must have no parameters has none.

    Raises:
        MalformedRequest: it is that of an algorithm without a hash and has some, perhaps NULL.
    """
    dotted = read_oid(identifier_der)
    for name, oid, _, _ in _MESSAGE_ALGORITHMS:
        if oid == dotted and identifier_der != SIGNATURE_ALGORITHMS[name].identifier:
            raise MalformedRequest(
                f"{name} with parameters: they are absent, not even NULL"
                " (RFC 8410, RFC 9881, RFC 9909)"
            )


@lru_cache(maxsize=256)
def public_key(spki: bytes) -> PublicKeyTypes:
    """Load a public key; loaded ones are remembered, for an authority's come again and again.

    Raises:
        MalformedRequest: cryptography cannot read it, or its point is not on the curve.
    """
    try:
        return load_der_public_key(spki)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise MalformedRequest("the public key cannot be read") from None


def pss_padding(hashed: hashes.HashAlgorithm, *, any_salt: bool = False) -> padding.PSS:
    """Return RSASSA-PSS with MGF1 over the same hash (RFC 8017 section 8.1)."""
    salt = padding.PSS.AUTO if any_salt else padding.PSS.DIGEST_LENGTH
    return padding.PSS(padding.MGF1(hashed), salt)


def verify(
    spki: bytes, algorithm: str, signature: bytes, message: bytes, *, any_salt: bool = False
) -> None:
    """Return when the signature over the message is this key's.

    Args:
        spki: SubjectPublicKeyInfo in DER.
        algorithm: our name of the signature algorithm.
        signature: as X.509 carries it.
        message: what was signed, not hashed.
        any_salt: accept RSA-PSS salts that are not as long as the hash; for CSRs only.

    Raises:
        SignatureFaulty: it is not, or the key does not fit the algorithm.
    """
    entry = SIGNATURE_ALGORITHMS[algorithm]
    try:
        _verifier(spki, entry, any_salt=any_salt)(signature, message)
    except (InvalidSignature, MalformedRequest, ValueError, UnsupportedAlgorithm):
        raise SignatureFaulty(f"the {algorithm} signature does not verify") from None


def _verifier(
    spki: bytes, entry: SignatureAlgorithm, *, any_salt: bool
) -> Callable[[bytes, bytes], None]:
    if entry.name in composite.COMPOSITES:
        return partial(composite.verify, spki, entry.name)
    if entry.name in slh_dsa.PARAMETER_SETS and key_type(spki) == entry.name:
        return partial(slh_dsa.verify, entry.name, key_bits(spki))
    key = public_key(spki)
    if entry.hash is None:
        if isinstance(key, _MessageKey) and key_type(spki) == entry.name:
            return key.verify
    elif isinstance(key, ec.EllipticCurvePublicKey) and entry.family == "ecdsa":
        return partial(key.verify, signature_algorithm=ec.ECDSA(HASHES[entry.hash]()))
    elif isinstance(key, rsa.RSAPublicKey) and entry.family in ("rsa", "rsa-pss"):
        hashed = HASHES[entry.hash]()
        padded = PKCS1 if entry.family == "rsa" else pss_padding(hashed, any_salt=any_salt)
        return partial(key.verify, padding=padded, algorithm=hashed)
    raise SignatureFaulty(f"the public key is not one for {entry.name}")
