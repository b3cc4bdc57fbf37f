"""The one policy on public keys; every door uses it, for certificates and accounts alike."""

from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet

from cryptography.hazmat.primitives.asymmetric import ed448, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from pikaserver.api.errors import MalformedRequest
from pikaserver.asn1 import der
from pikaserver.asn1.algorithms import key_type, public_key
from pikaserver.asn1.composite import COMPOSITES, DRAFT, check_public_key
from pikaserver.asn1.identifiers import key_algorithm, key_bits
from pikaserver.asn1.kem_keys import KEM_KEY_TYPES, check_encapsulation_key
from pikaserver.asn1.slh_dsa import PARAMETER_SETS
from pikaserver.authority.decisions import DecisionTrace
from pikaserver.authority.key_policy.curve_points import edwards_weakness
from pikaserver.authority.key_policy.lists import KeyList
from pikaserver.authority.key_policy.weak_rsa import weakness

_EXPONENT = 65537


class KeyPolicy:
    """Refuses keys that the template does not allow, that are malformed, weak, or known."""

    def __init__(self, lists: Sequence[KeyList], drafts: AbstractSet[str] = frozenset()) -> None:
        self._lists = tuple(lists)
        self._drafts = drafts

    def check_key(self, spki: bytes, allowed: AbstractSet[str], trace: DecisionTrace) -> str:
        """Return the type of a key that may be certified, like ``ec-p256``.

        Args:
            spki: SubjectPublicKeyInfo in DER.
            allowed: the key types of the template.
            trace: where the decisions go.

        Raises:
            RequestRejected: of another type or size, not encoded as its RFC says, not a valid
                point, a weak modulus, an exponent other than 65537, or on a list of bad keys.
        """
        name = _type_of(spki, trace)
        if name not in allowed:
            why = f"{name} keys are not allowed: allowed are {', '.join(sorted(allowed))}"
            trace.refuse("key.types", name, why)
        if name in COMPOSITES and DRAFT not in self._drafts:
            why = f"{name} keys are those of a draft: keys.allow-draft-algorithms names {DRAFT!r}"
            trace.refuse("key.draft", name, why)
        key = _loaded(name, spki, trace)
        problem = None if key is None else _weakness(spki, key)
        if problem is not None:
            trace.refuse("key.weak", name, f"the {name} key is weak: {problem}")
        for bad_keys in self._lists:
            if bad_keys.has(spki, key):
                why = f"the {name} key is publicly known: it is on the list {bad_keys.name}"
                trace.refuse("key.known", name, why)
        trace.allow("key", name, "the type is allowed and the key has no known weakness")
        return name


def _type_of(spki: bytes, trace: DecisionTrace) -> str:
    try:
        return key_type(spki)
    except MalformedRequest as problem:
        trace.refuse("key.encoding", "unreadable", f"the public key cannot be read: {problem}")


def _loaded(name: str, spki: bytes, trace: DecisionTrace) -> PublicKeyTypes | None:
    """Return cryptography's object, ``None`` for a key that it does not know."""
    if name in _CHECKS:
        _check(spki, name, trace)
        return None
    hashed = PARAMETER_SETS.get(name)
    if hashed is not None:
        bits = key_bits(spki)
        # One encoding per key: compressed points and the like would evade lists and look-ups.
        usual = der.sequence(key_algorithm(spki), der.bit_string(bits)) == spki
        if len(bits) != hashed.public_octets or not usual:
            trace.refuse("key.encoding", name, f"the {name} key is not as long as its RFC says")
        return None
    try:
        key = public_key(spki)
    except MalformedRequest:
        trace.refuse("key.encoding", name, f"the {name} key is not valid, or not on its curve")
    if key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo) != spki:
        trace.refuse("key.encoding", name, f"the {name} key is not in its usual encoding")
    return key


_CHECKS: Mapping[str, Callable[[bytes], None]] = {
    **dict.fromkeys(KEM_KEY_TYPES, check_encapsulation_key),
    **dict.fromkeys(COMPOSITES, check_public_key),
}


def _check(spki: bytes, name: str, trace: DecisionTrace) -> None:
    try:
        _CHECKS[name](spki)
    except MalformedRequest as problem:
        trace.refuse("key.encoding", name, str(problem))


def _weakness(spki: bytes, key: PublicKeyTypes) -> str | None:
    if isinstance(key, rsa.RSAPublicKey):
        numbers = key.public_numbers()
        if numbers.e != _EXPONENT:
            return f"the exponent is {numbers.e}, not {_EXPONENT}"
        return weakness(numbers.n)
    if isinstance(key, ed25519.Ed25519PublicKey | ed448.Ed448PublicKey):
        return edwards_weakness(key_bits(spki))
    return None
