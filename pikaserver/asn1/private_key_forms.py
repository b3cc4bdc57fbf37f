"""Post-quantum private keys in PKCS#8, read and written in the forms in which they travel.

======== ======================================================== ==========================
form     content of privateKey                                    written by
======== ======================================================== ==========================
seed     [0] of 32 octets                                         RFC 9881 section 6
expanded OCTET STRING of the expanded key                         RFC 9881 section 6
both     SEQUENCE of seed and expanded key                        RFC 9881, OpenSSL 3.5
oqs      OCTET STRING of expanded and public key                  oqsprovider
bare     seed or expanded key without a tag                       drafts before the RFC
raw      the four parts of an SLH-DSA key                         RFC 9909 section 7
======== ======================================================== ==========================
"""

from dataclasses import dataclass, field, replace

from pikaserver.api.errors import MalformedRequest, RequestRejected
from pikaserver.asn1 import der, ml_dsa, slh_dsa
from pikaserver.asn1.algorithms import KEY_TYPES
from pikaserver.asn1.elements import (
    INTEGER,
    OCTET_STRING,
    SEQUENCE,
    children,
    expect,
    read_element,
)

FORMS = ("seed", "expanded", "both", "oqs")
"""The forms in which ML-DSA keys are written."""

_SEED_TAG = 0x80
_PUBLIC_KEY_TAG = 0x81
_ATTRIBUTES_TAG = 0xA0
_VERSIONS = (b"\0", b"\1")
_NAMES = {
    KEY_TYPES[name].identifier: name for name in (*ml_dsa.PARAMETER_SETS, *slh_dsa.PARAMETER_SETS)
}


@dataclass(frozen=True, slots=True)
class PrivateKey:
    """A post-quantum key whose parts agree; ML-DSA has a seed, an expanded key, or both.

    ``expanded`` of an SLH-DSA key are its raw octets.
    """

    key_type: str
    form: str
    seed: bytes | None = field(default=None, repr=False)
    expanded: bytes | None = field(default=None, repr=False)

    def with_expanded(self) -> "PrivateKey":
        """Return the key with its expanded half, which a seed alone is expanded for."""
        if self.expanded is not None or self.seed is None:
            return self
        return replace(self, expanded=ml_dsa.expand(self.key_type, self.seed)[1])

    def public_octets(self) -> bytes:
        """Return the public key's raw octets."""
        if self.seed is not None:
            return ml_dsa.expand(self.key_type, self.seed)[0]
        expanded = self.expanded or b""
        if self.form == "raw":
            return expanded[len(expanded) // 2 :]
        return ml_dsa.public_key_of(self.key_type, expanded)

    def public_key(self) -> bytes:
        """Return SubjectPublicKeyInfo in DER."""
        identifier = KEY_TYPES[self.key_type].identifier
        return der.sequence(identifier, der.bit_string(self.public_octets()))


def read(pkcs8: bytes) -> PrivateKey | None:
    """Read an ML-DSA or SLH-DSA key, ``None`` when it is of another algorithm.

    Raises:
        MalformedRequest: it is no PKCS#8, of no known form, or its parts contradict each other.
    """
    identifier, secret, public = _split(pkcs8)
    name = _NAMES.get(identifier)
    if name is None:
        return None
    if name in slh_dsa.PARAMETER_SETS:
        found = _read_slh_dsa(name, secret)
    else:
        found = _read_ml_dsa(ml_dsa.PARAMETER_SETS[name], secret)
    if public is not None and public != found.public_octets():
        raise MalformedRequest(f"the public key beside this {name} key is another one's")
    return found


def write(key: PrivateKey, form: str) -> bytes:
    """Return PKCS#8 in one of `FORMS`; of SLH-DSA there is only one form.

    Raises:
        RequestRejected: the form needs a seed, which this key came without.
    """
    return der.sequence(
        der.integer(0), KEY_TYPES[key.key_type].identifier, der.octet_string(_secret(key, form))
    )


def _secret(key: PrivateKey, form: str) -> bytes:
    if key.form == "raw":
        return key.expanded or b""
    if form in ("seed", "both") and key.seed is None:
        raise RequestRejected(f"this {key.key_type} key has no seed (RFC 9881 section 6)")
    seed = key.seed or b""
    if form == "seed":
        return der.context(0, seed, constructed=False)
    expanded = key.with_expanded().expanded or b""
    if form == "both":
        return der.sequence(der.octet_string(seed), der.octet_string(expanded))
    if form == "oqs":
        return der.octet_string(expanded + key.public_octets())
    return der.octet_string(expanded)


def _split(pkcs8: bytes) -> tuple[bytes, bytes, bytes | None]:
    """Return identifier, content of privateKey, and publicKey where it is there (RFC 5958)."""
    parts = list(children(pkcs8))
    if [part.tag for part in parts[:3]] != [INTEGER, SEQUENCE, OCTET_STRING]:
        raise MalformedRequest("not a PKCS#8 private key")
    version, _, secret, *others = (pkcs8[part.start : part.end] for part in parts)
    tags = [part.tag for part in parts[3:]]
    if version not in _VERSIONS or tags not in (
        [],
        [_ATTRIBUTES_TAG],
        [_PUBLIC_KEY_TAG],
        [_ATTRIBUTES_TAG, _PUBLIC_KEY_TAG],
    ):
        raise MalformedRequest("not a PKCS#8 private key of version 1 or 2")
    public = others[-1] if _PUBLIC_KEY_TAG in tags else None
    if public is not None and public[:1] != b"\0":
        raise MalformedRequest("a public key of no whole number of octets")
    identifier = pkcs8[parts[1].at : parts[1].end]
    return identifier, secret, None if public is None else public[1:]


def _read_slh_dsa(name: str, secret: bytes) -> PrivateKey:
    if len(secret) != slh_dsa.PARAMETER_SETS[name].private_octets:
        raise MalformedRequest(f"an {name} private key of wrong length")
    return PrivateKey(name, "raw", expanded=secret)


def _read_ml_dsa(chosen: ml_dsa.ParameterSet, secret: bytes) -> PrivateKey:
    name = chosen.name
    if len(secret) == ml_dsa.SEED_OCTETS:
        return PrivateKey(name, "bare", seed=secret)
    if len(secret) == chosen.expanded_octets:
        return _expanded(chosen, "bare", secret)
    outer = read_element(secret, 0)
    content = secret[outer.start : outer.end]
    if outer.end != len(secret):
        raise MalformedRequest(f"octets follow the end of an {name} private key")
    if outer.tag == _SEED_TAG and len(content) == ml_dsa.SEED_OCTETS:
        return PrivateKey(name, "seed", seed=content)
    if outer.tag == OCTET_STRING and len(content) == chosen.expanded_octets:
        return _expanded(chosen, "expanded", content)
    if outer.tag == OCTET_STRING:
        return _read_oqs(chosen, content)
    if outer.tag != SEQUENCE:
        raise MalformedRequest(f"not a form of an {name} private key")
    return _read_both(chosen, secret)


def _expanded(chosen: ml_dsa.ParameterSet, form: str, octets: bytes) -> PrivateKey:
    ml_dsa.public_key_of(chosen.name, octets)
    return PrivateKey(chosen.name, form, expanded=octets)


def _read_oqs(chosen: ml_dsa.ParameterSet, octets: bytes) -> PrivateKey:
    expanded, public = octets[: chosen.expanded_octets], octets[chosen.expanded_octets :]
    if len(public) != chosen.public_octets:
        raise MalformedRequest(f"an {chosen.name} key of wrong length")
    if ml_dsa.public_key_of(chosen.name, expanded) != public:
        raise MalformedRequest(f"private and public half of this {chosen.name} key disagree")
    return PrivateKey(chosen.name, "oqs", expanded=expanded)


def _read_both(chosen: ml_dsa.ParameterSet, secret: bytes) -> PrivateKey:
    parts = list(children(secret))
    if len(parts) != 2:  # noqa: PLR2004 - seed and expanded key
        raise MalformedRequest(f"not a form of an {chosen.name} private key")
    seed, expanded = (expect(secret, part, OCTET_STRING, "seed and expanded key") for part in parts)
    if len(seed) != ml_dsa.SEED_OCTETS or len(expanded) != chosen.expanded_octets:
        raise MalformedRequest(f"an {chosen.name} key of wrong length")
    if ml_dsa.expand(chosen.name, seed)[1] != expanded:
        raise MalformedRequest(f"seed and expanded key of this {chosen.name} key disagree")
    return PrivateKey(chosen.name, "both", seed, expanded)
