"""The keys of a token, each under a name that means this key and no other."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from types import MappingProxyType

from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

from hsm_agent.stores.key_types import key_type_of, spki_of
from hsm_agent.stores.pkcs11.mechanisms import algorithms
from hsm_agent.stores.pkcs11.pipe import flag, maps, number, octets
from hsm_agent.stores.pkcs11.public_keys import certified_key, public_key
from hsm_agent.stores.store import StoredKey, Unsupported
from hsm_agent.wire.encoding import Value

BY_ID = "id:"
"""Begins the name of a key that its label does not tell from another: ``id:`` and hexadecimal."""
_ORIGINS: Mapping[object, str] = MappingProxyType({True: "generated", False: "imported"})


@dataclass(frozen=True, slots=True)
class TokenKey:
    """A key as others see it, and how the token finds it: CKA_LABEL and CKA_ID."""

    stored: StoredKey
    label: bytes
    key_id: bytes
    wants_pin: bool


def token_keys(listed: Mapping[str, Value], offered: Collection[int]) -> dict[str, TokenKey]:
    """Return the signing keys of a worker's ``list``, by the names that they have here.

    A key is named by its label, or by its CKA_ID where the label is shared or no text.  What
    shares both, and what has no public half anywhere on the token, is left out: nobody could
    say which key signs.
    """
    private = [told for told in maps(listed, "private") if flag(told, "signs")]
    labels = Counter(octets(told, "label") for told in private)
    named = [(_name(told, labels), told) for told in private]
    names = Counter(name for name, _ in named)
    found = {}
    for name, told in named:
        public = _public_half(told, listed) if name and names[name] == 1 else None
        if public is not None:
            with suppress(Unsupported):
                found[name] = _token_key(name, told, public, offered)
    return found


def offered_mechanisms(facts: Mapping[str, Value], ability: str) -> dict[int, tuple[int, int]]:
    """Return those that ``signs`` or ``generates``, with least and greatest size of a key."""
    return {
        number(each, "mechanism"): (number(each, "least"), number(each, "most"))
        for each in maps(facts, "mechanisms")
        if flag(each, ability)
    }


def readable_label(label: bytes) -> str:
    """Return a label as text, empty where it is none that people could type."""
    try:
        text = label.decode()
    except UnicodeDecodeError:
        return ""
    return text if text.isprintable() and not text.startswith(BY_ID) else ""


def _name(told: Mapping[str, Value], labels: Counter[bytes]) -> str:
    label = octets(told, "label")
    if labels[label] == 1 and (text := readable_label(label)):
        return text
    return f"{BY_ID}{octets(told, 'id').hex()}" if octets(told, "id") else ""


def _token_key(
    name: str, told: Mapping[str, Value], public: PublicKeyTypes, offered: Collection[int]
) -> TokenKey:
    key_type = key_type_of(public)
    stored = StoredKey(
        label=name,
        key_type=key_type,
        public_key=spki_of(public),
        algorithms=algorithms(key_type, offered),
        details=_details(told),
    )
    wants_pin = flag(told, "always-authenticate")
    return TokenKey(stored, octets(told, "label"), octets(told, "id"), wants_pin)


def _details(told: Mapping[str, Value]) -> dict[str, str]:
    """Return what people should know; what the token does not say is not claimed."""
    return {
        "label": octets(told, "label").decode("utf-8", "replace"),
        "id": octets(told, "id").hex(),
        "origin": _ORIGINS.get(told.get("local"), "unknown"),
        "protection": _protection(told),
        "pin": "each signature" if flag(told, "always-authenticate") else "once",
    }


def _protection(told: Mapping[str, Value]) -> str:
    if told.get("extractable") is not False or told.get("sensitive") is not True:
        return "EXTRACTABLE: whoever has the PIN can copy this key"
    if told.get("never-extractable") is True and told.get("always-sensitive") is True:
        return "never left the token"
    return "stays in the token, but was outside once"


def _public_half(told: Mapping[str, Value], listed: Mapping[str, Value]) -> PublicKeyTypes | None:
    """Return the key from the public object, the private one, or the certificate of one CKA_ID."""
    key_id = octets(told, "id")
    if key_id:
        for public in _with_id(listed, "public", key_id):
            if number(public, "key-type") == number(told, "key-type"):
                return public_key(public) or public_key(told)
    if own := public_key(told):
        return own
    certificates = _with_id(listed, "certificates", key_id) if key_id else []
    for certificate in certificates:
        if (key := certified_key(octets(certificate, "value"))) is not None:
            return key
    return None


def _with_id(
    listed: Mapping[str, Value], kind: str, key_id: bytes
) -> Sequence[Mapping[str, Value]]:
    return [each for each in maps(listed, kind) if octets(each, "id") == key_id]
