"""Names of devices in certificates: permanent identifiers, hardware modules, kinds of TPM."""

from collections.abc import Iterator
from dataclasses import dataclass

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

from pikaserver.api.errors import MalformedRequest
from pikaserver.asn1.elements import OCTET_STRING, OID, expect, members
from pikaserver_acme.validation.attempt import Failed

PERMANENT_IDENTIFIER = x509.ObjectIdentifier("1.3.6.1.5.5.7.8.3")
HARDWARE_MODULE_NAME = x509.ObjectIdentifier("1.3.6.1.5.5.7.8.4")
TPM_ATTRIBUTES = {
    x509.ObjectIdentifier("2.23.133.2.1"): "tpm_manufacturer",
    x509.ObjectIdentifier("2.23.133.2.2"): "tpm_model",
    x509.ObjectIdentifier("2.23.133.2.3"): "tpm_version",
}
_UTF8_STRING = 0x0C


@dataclass(frozen=True, slots=True)
class Identities:
    """What a certificate's subjectAltName tells of a device.

    ``permanent`` are identifier values of RFC 4043, ``modules`` HardwareModuleName of RFC 4108
    in DER, ``tpm`` the attributes of a TPM by our names.
    """

    permanent: tuple[str, ...]
    modules: tuple[bytes, ...]
    tpm: dict[str, str]


def identities(certificate: x509.Certificate) -> Identities:
    """Read them.

    Raises:
        Failed: one of them cannot be read.
    """
    permanent: list[str] = []
    modules: list[bytes] = []
    tpm: dict[str, str] = {}
    for name in _names(certificate):
        try:
            if isinstance(name, x509.DirectoryName):
                tpm |= _tpm_attributes(name.value)
            elif isinstance(name, x509.OtherName) and name.type_id == PERMANENT_IDENTIFIER:
                permanent += _identifier_value(name.value)
            elif isinstance(name, x509.OtherName) and name.type_id == HARDWARE_MODULE_NAME:
                modules.append(_module(name.value))
        except MalformedRequest as error:
            why = f"a name of the attestation's certificate cannot be read: {error}"
            raise Failed("badAttestationStatement", why) from error
    return Identities(tuple(permanent), tuple(modules), tpm)


def public_key(certificate: x509.Certificate) -> PublicKeyTypes:
    """Return the key of a certificate.

    Raises:
        Failed: it is of a kind that is not known.
    """
    try:
        return certificate.public_key()
    except (UnsupportedAlgorithm, ValueError) as error:
        why = f"the key of the attestation cannot be read: {error}"
        raise Failed("badAttestationStatement", why) from error


def _names(certificate: x509.Certificate) -> Iterator[x509.GeneralName]:
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return
    yield from found.value


def _tpm_attributes(name: x509.Name) -> dict[str, str]:
    return {TPM_ATTRIBUTES[one.oid]: str(one.value) for one in name if one.oid in TPM_ATTRIBUTES}


def _identifier_value(der: bytes) -> list[str]:
    """Return ``identifierValue``, which may be left out where the subject says it."""
    fields = members(der, "PermanentIdentifier")
    if not fields or fields[0].tag != _UTF8_STRING:
        return []
    try:
        return [der[fields[0].start : fields[0].end].decode()]
    except UnicodeDecodeError:
        raise MalformedRequest("a permanent identifier that is not UTF-8") from None


def _module(der: bytes) -> bytes:
    fields = members(der, "HardwareModuleName")
    if len(fields) != 2:  # noqa: PLR2004 - hwType, hwSerialNum
        raise MalformedRequest("a hardware module name without type or serial number")
    expect(der, fields[0], OID, "hwType")
    expect(der, fields[1], OCTET_STRING, "hwSerialNum")
    return der
