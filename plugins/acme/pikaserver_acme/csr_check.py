"""The CSR of finalize (RFC 8555 section 7.4): it names what was ordered, no more and no less."""

import hashlib
import ipaddress
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from cryptography import x509
from cryptography.x509.oid import NameOID

from pikaserver.api.errors import MalformedRequest
from pikaserver.api.issuance import CertificationRequest
from pikaserver.asn1.algorithms import key_type
from pikaserver.asn1.csr import read_csr
from pikaserver.asn1.elements import children, expect
from pikaserver_acme.identifiers import (
    DEVICE_TYPES,
    DNS,
    HARDWARE,
    IP,
    PERMANENT,
    Identifier,
    NotAnIdentifier,
    identifier,
)
from pikaserver_acme.jose import base64url
from pikaserver_acme.jose.keys import AccountKey
from pikaserver_acme.policies.rules import PolicyRules
from pikaserver_acme.problems import AcmeError
from pikaserver_acme.validation.attestation.device_attest_01 import PUBLIC_KEY

PERMANENT_IDENTIFIER = x509.ObjectIdentifier("1.3.6.1.5.5.7.8.3")
"""The otherName of RFC 4043."""
HARDWARE_MODULE = x509.ObjectIdentifier("1.3.6.1.5.5.7.8.4")
"""The otherName of RFC 4108."""
_UTF8_STRING = 0x0C


def read_wished(
    octets: bytes,
    ordered: Sequence[Identifier],
    facts: Sequence[Mapping[str, str]],
    rules: PolicyRules,
    account_key: AccountKey,
) -> CertificationRequest:
    """Return a CSR that asks for what was ordered, with its names in the order's spelling.

    Raises:
        AcmeError: badCSR, with what was expected and what was found.
    """
    try:
        csr = read_csr(octets)
        kind = key_type(csr.public_key)
    except MalformedRequest as error:
        raise bad_csr(f"the CSR cannot be read: {error}") from None
    if csr.public_key == account_key.spki:
        raise bad_csr("the CSR has the account's key; a certificate needs one of its own")
    if rules.key_types and kind not in rules.key_types:
        raise bad_csr(f"{kind} keys are not allowed; allowed are {', '.join(rules.key_types)}")
    _check_attested(csr, facts)
    _check_names(csr, ordered)
    names = tuple(name for one in ordered for name in _general_names(one))
    return replace(csr, names=names)


def bad_csr(detail: str) -> AcmeError:
    """Return the error for a CSR that does not fit; the order can be finalized with another."""
    return AcmeError("badCSR", detail)


def _check_names(csr: CertificationRequest, ordered: Sequence[Identifier]) -> None:
    asked = set(_alternative_names(csr))
    subjects = list(_common_names(csr))
    if not asked:
        asked = {one for one in subjects if one.type not in DEVICE_TYPES}
    wanted = {one for one in ordered if one.type not in DEVICE_TYPES}
    devices = [one for one in ordered if one.type in DEVICE_TYPES]
    device_names = {one for one in asked if one.type in DEVICE_TYPES}
    more = (asked - device_names) - wanted
    less = wanted - asked
    if more or less:
        raise bad_csr(
            f"the order is for {_listed(wanted)}; the CSR asks for {_listed(asked - device_names)}"
        )
    if devices:
        _check_devices(csr, devices, device_names)
    elif any(one not in wanted for one in subjects):
        raise bad_csr(f"the CSR's common name is none of {_listed(wanted)}; leave it out")


def _check_devices(
    csr: CertificationRequest, devices: Sequence[Identifier], asked: set[Identifier]
) -> None:
    """A device is named in the subject, by common name or serial number, or as an otherName."""
    if any(one not in devices for one in asked):
        raise bad_csr(f"the CSR names another device than {_listed(devices)}")
    said = {
        str(attribute.value)
        for oid in (NameOID.COMMON_NAME, NameOID.SERIAL_NUMBER)
        for attribute in csr.subject.get_attributes_for_oid(oid)
    }
    known = {one.value for one in devices}
    if not said <= known or not known <= said | {one.value for one in asked}:
        raise bad_csr(
            f"the CSR is to name {_listed(devices)} as common name or serialNumber, or as a"
            " permanentIdentifier, and nothing else there"
        )


def _check_attested(csr: CertificationRequest, facts: Sequence[Mapping[str, str]]) -> None:
    digest = hashlib.sha256(csr.public_key).hexdigest()
    for one in facts:
        if one.get(PUBLIC_KEY, digest) != digest:
            raise bad_csr("the CSR's key is not the one that was attested")


def _alternative_names(csr: CertificationRequest) -> Iterator[Identifier]:
    for name in csr.names:
        try:
            yield _identifier(name)
        except (NotAnIdentifier, MalformedRequest) as error:
            raise bad_csr(f"the CSR has a name that no order has: {error}") from None


def _identifier(name: x509.GeneralName) -> Identifier:
    if isinstance(name, x509.DNSName):
        return identifier(DNS, name.value)
    if isinstance(name, x509.IPAddress):
        return identifier(IP, str(name.value))
    if isinstance(name, x509.OtherName) and name.type_id == PERMANENT_IDENTIFIER:
        return identifier(PERMANENT, _permanent_value(name.value))
    if isinstance(name, x509.OtherName) and name.type_id == HARDWARE_MODULE:
        return identifier(HARDWARE, base64url.encode(name.value))
    raise NotAnIdentifier(f"{type(name).__name__} is none of dNSName and iPAddress")


def _permanent_value(octets: bytes) -> str:
    """Return identifierValue of a PermanentIdentifier (RFC 4043 section 2)."""
    parts = list(children(octets))
    if not parts:
        raise MalformedRequest("a permanentIdentifier without a value names nothing")
    try:
        return expect(octets, parts[0], _UTF8_STRING, "identifierValue").decode("utf-8")
    except UnicodeDecodeError:
        raise MalformedRequest("identifierValue is not UTF-8") from None


def _common_names(csr: CertificationRequest) -> Iterator[Identifier]:
    for attribute in csr.subject.get_attributes_for_oid(NameOID.COMMON_NAME):
        text = str(attribute.value)
        for kind in (IP, DNS, PERMANENT):
            try:
                yield identifier(kind, text)
            except NotAnIdentifier:
                continue
            break
        else:
            raise bad_csr("the CSR's common name is no name that could be ordered")


def _general_names(one: Identifier) -> Iterator[x509.GeneralName]:
    if one.type == DNS:
        yield x509.DNSName(one.value)
    elif one.type == IP:
        yield x509.IPAddress(ipaddress.ip_address(one.value))


def _listed(found: Sequence[Identifier] | set[Identifier]) -> str:
    return ", ".join(one.value for one in sorted(found)[:20]) or "nothing"
