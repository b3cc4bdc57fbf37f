"""The worker's deeds on the objects of a token: list, find, make, destroy."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from pkcs11 import (
    Attribute,
    KeyType,
    Mechanism,
    MechanismFlag,
    Object,
    ObjectClass,
    PKCS11Error,
    Session,
)
from pkcs11.exceptions import AttributeSensitive, AttributeTypeInvalid, FunctionFailed
from pkcs11.types import SignMixin

from hsm_agent.stores.pkcs11.pipe import flag, maps, number, octets
from hsm_agent.stores.pkcs11.refused import EXISTS, UNKNOWN_KEY, UNSUPPORTED, Refused
from hsm_agent.stores.pkcs11.token_session import PUBLIC_KEY_INFO
from hsm_agent.wire.encoding import Value

_PUBLIC_PARTS = {
    "id": Attribute.ID,
    "key-type": Attribute.KEY_TYPE,
    "modulus": Attribute.MODULUS,
    "exponent": Attribute.PUBLIC_EXPONENT,
    "curve": Attribute.EC_PARAMS,
    "point": Attribute.EC_POINT,
    "parameter-set": Attribute.PARAMETER_SET,
    "public-key-info": PUBLIC_KEY_INFO,
}
_PRIVATE_KEY = {
    **_PUBLIC_PARTS,
    "label": Attribute.LABEL,
    "signs": Attribute.SIGN,
    "sensitive": Attribute.SENSITIVE,
    "extractable": Attribute.EXTRACTABLE,
    "always-sensitive": Attribute.ALWAYS_SENSITIVE,
    "never-extractable": Attribute.NEVER_EXTRACTABLE,
    "local": Attribute.LOCAL,
    "always-authenticate": Attribute.ALWAYS_AUTHENTICATE,
}
_PUBLIC_KEY = {**_PUBLIC_PARTS, "value": Attribute.VALUE}
_NAMES = {"label": Attribute.LABEL, "id": Attribute.ID}
_CERTIFICATE = {"id": Attribute.ID, "value": Attribute.VALUE}
_ABSENT_ATTRIBUTE = (AttributeTypeInvalid, AttributeSensitive, FunctionFailed)


def listing(session: Session) -> Mapping[str, Value]:
    """Return what the token tells of its private keys, and of what may go with them."""
    return {
        "private": list(_told(session, ObjectClass.PRIVATE_KEY, _PRIVATE_KEY)),
        "public": list(_told(session, ObjectClass.PUBLIC_KEY, _PUBLIC_KEY)),
        "certificates": list(_told(session, ObjectClass.CERTIFICATE, _CERTIFICATE)),
    }


def private_key(session: Session, request: Mapping[str, Value]) -> SignMixin:
    """Return the one private key with the label and the CKA_ID of a request.

    Raises:
        Refused: there is none, or there are several.
    """
    names = {name: octets(request, name) for name in ("label", "id") if octets(request, name)}
    keys = _found(session, ObjectClass.PRIVATE_KEY, **names)
    found = [key for key in keys if isinstance(key, SignMixin)]
    if len(found) != 1:
        raise Refused(UNKNOWN_KEY, f"{len(found)} keys of the token have this label and CKA_ID")
    return found[0]


def wants_pin(key: Object) -> bool:
    """Tell whether a key wants the PIN with each signature (CKA_ALWAYS_AUTHENTICATE)."""
    told = _attributes(key, {"always-authenticate": Attribute.ALWAYS_AUTHENTICATE})
    return flag(told, "always-authenticate")


def generate(session: Session, request: Mapping[str, Value]) -> None:
    """Make a key pair as the request describes it, with a CKA_ID that nothing else has.

    Raises:
        Refused: there is a key of that label, or what was made can be taken out.
    """
    _prepare(session, request)
    _, private = session.generate_keypair(
        KeyType(number(request, "key-type")),
        number(request, "bits") or None,
        id=octets(request, "id"),
        label=octets(request, "label").decode(),
        store=True,
        capabilities=MechanismFlag.SIGN | MechanismFlag.VERIFY,
        mechanism=Mechanism(number(request, "mechanism")),
        public_template=_template(maps(request, "public")),
        private_template=_template(maps(request, "private")),
    )
    _check_kept(session, request, private)


def import_pair(session: Session, request: Mapping[str, Value]) -> None:
    """Write both halves of a key pair that was made elsewhere.

    Raises:
        Refused: there is a key of that label, or what was written can be taken out.
    """
    _prepare(session, request)
    try:
        private = session.create_object(_template(maps(request, "private")))
        session.create_object(_template(maps(request, "public")))
    except PKCS11Error:
        _destroy(session, octets(request, "id"))
        raise
    _check_kept(session, request, private)


def put_certificate(session: Session, request: Mapping[str, Value]) -> None:
    """Write a certificate object beside the key, and remove those that it replaces."""
    key_id, value = octets(request, "id"), octets(request, "value")
    before = _found(session, ObjectClass.CERTIFICATE, id=key_id)
    values = [octets(_attributes(found, _CERTIFICATE), "value") for found in before]
    if value not in values:
        session.create_object(_template(maps(request, "certificate")))
    for found, old in zip(before, values, strict=True):
        if old != value:
            found.destroy()


def _prepare(session: Session, request: Mapping[str, Value]) -> None:
    label, key_id = octets(request, "label"), octets(request, "id")
    # The CKA_ID was drawn for this request: what bears it is left from a try that was cut short.
    _destroy(session, key_id)
    if _found(session, ObjectClass.PRIVATE_KEY, label=label):
        raise Refused(EXISTS, f"the token has a key with the label {label.decode()!r}")


def _check_kept(session: Session, request: Mapping[str, Value], private: Object) -> None:
    told = _attributes(private, _PRIVATE_KEY)
    if told.get("sensitive") is not True or told.get("extractable") is not False:
        _destroy(session, octets(request, "id"))
        raise Refused(UNSUPPORTED, "the token only keeps keys that can be taken out of it")


def _destroy(session: Session, key_id: bytes) -> None:
    for kind in (ObjectClass.PRIVATE_KEY, ObjectClass.PUBLIC_KEY):
        for found in _found(session, kind, id=key_id):
            found.destroy()


def _found(session: Session, kind: ObjectClass, **names: bytes) -> list[Object]:
    """Return the objects with this label or CKA_ID; a token's own search is not relied on.

    What is found may be destroyed: a token that overlooks a part of the template must not cost
    a key of somebody else.
    """
    wanted: dict[Attribute, Value] = {_NAMES[name]: value for name, value in names.items()}
    template = {Attribute.CLASS: kind, **wanted}
    return [
        found
        for found in list(session.get_objects(template))
        if _attributes(found, _NAMES).items() >= names.items()
    ]


def _told(
    session: Session, kind: ObjectClass, names: Mapping[str, Attribute]
) -> Iterator[Mapping[str, Value]]:
    for found in list(session.get_objects({Attribute.CLASS: kind})):
        yield _attributes(found, names)


def _attributes(found: Object, names: Mapping[str, Attribute]) -> Mapping[str, Value]:
    """Return those attributes of an object that it has and shows."""
    try:
        values = found.get_attributes(list(names.values()))
    except _ABSENT_ATTRIBUTE:
        values = dict(_one_by_one(found, names.values()))
    return {name: values[kind] for name, kind in names.items() if kind in values}


def _one_by_one(found: Object, kinds: Iterable[Attribute]) -> Iterator[tuple[Attribute, Value]]:
    for kind in kinds:
        try:
            yield kind, found[kind]
        except _ABSENT_ATTRIBUTE:
            continue


def _template(parts: Sequence[Mapping[str, Value]]) -> dict[Attribute, Value]:
    """Return the template that pairs of ``attribute`` and ``value`` stand for."""
    return {Attribute(number(part, "attribute")): part["value"] for part in parts}
