"""By what a device is known again: its serial number, else its names."""

from collections.abc import Sequence

from cryptography import x509
from cryptography.x509.oid import NameOID

from pikaserver.api.errors import MalformedRequest
from pikaserver.api.issuance import EnrollmentRequest
from pikaserver.api.templates import Template
from pikaserver.asn1.elements import OCTET_STRING, OID, dotted, expect, members
from pikaserver.asn1.names import general_name_text
from pikaserver.storage.devices import Contact

_HARDWARE_MODULE = x509.ObjectIdentifier("1.3.6.1.5.5.7.8.4")
_SERIAL_LIMIT = 64
_MODEL_LIMIT = 200


def contact_of(
    request: EnrollmentRequest,
    template: Template,
    subject: x509.Name,
    names: Sequence[x509.GeneralName],
) -> Contact | None:
    """Return who asks, by the names that passed the policy; ``None`` where no record is kept.

    The module's serial number (RFC 4108 section 5) is read from the request: IEEE 802.1AR
    puts it into the certificates of devices, and few templates let it through.
    """
    if not template.devices or template.usage.ca:
        return None
    kind, module = _hardware_module(request.csr.names)
    serial = _attribute(subject, NameOID.SERIAL_NUMBER)
    name = serial or _attribute(subject, NameOID.COMMON_NAME) or _first(names)
    if name is None:
        return None
    model = kind or request.model
    return Contact(name, serial or module, _line(model, _MODEL_LIMIT))


def _attribute(subject: x509.Name, oid: x509.ObjectIdentifier) -> str | None:
    found = subject.get_attributes_for_oid(oid)
    return str(found[0].value) if found else None


def _first(names: Sequence[x509.GeneralName]) -> str | None:
    return general_name_text(names[0]) if names else None


def _hardware_module(names: Sequence[x509.GeneralName]) -> tuple[str | None, str | None]:
    """Return type and serial number of the module that a request names, if it names one."""
    for name in names:
        if isinstance(name, x509.OtherName) and name.type_id == _HARDWARE_MODULE:
            try:
                kind, serial = members(name.value, "a hardware module name")
                model = dotted(expect(name.value, kind, OID, "a hardware type"))
                number = expect(name.value, serial, OCTET_STRING, "a serial number")
            except (MalformedRequest, ValueError):
                return None, None
            return model, _shown(number)
    return None, None


def _shown(number: bytes) -> str:
    """Return a serial number as text where it is some, else in hex."""
    text = number.decode("ascii", errors="replace")
    return (text if text.isascii() and text.isprintable() else number.hex())[:_SERIAL_LIMIT]


def _line(text: str | None, limit: int) -> str | None:
    if text is None:
        return None
    kept = "".join(character for character in text if character.isprintable()).strip()
    return kept[:limit] or None
