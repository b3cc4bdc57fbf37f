"""Requests by the holder of a certificate: the new one speaks of the same holder."""

from collections.abc import Iterator
from dataclasses import replace

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from pikaserver.api.certificates import CertificateStatus
from pikaserver.api.errors import NotAuthenticated
from pikaserver.api.issuance import EnrollmentRequest
from pikaserver.api.registrars import may_ask_for_others
from pikaserver.api.templates import Template
from pikaserver.asn1.certificate import issuer_and_serial
from pikaserver.asn1.names import general_name_text
from pikaserver.asn1.possession_statements import read_statement
from pikaserver.asn1.related_certificates import read_related_request
from pikaserver.asn1.serials import write_serial
from pikaserver.authority.decisions import DecisionTrace

_CLIENT = frozenset({ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE})
_IDENTITIES = (("serialNumber", NameOID.SERIAL_NUMBER), ("CN", NameOID.COMMON_NAME))


def as_holder(
    request: EnrollmentRequest, template: Template, trace: DecisionTrace, *, beside: bool = False
) -> EnrollmentRequest:
    """Bind a request to the certificate whose key the requester holds.

    A certificate of the template's own authority is renewed: subject and names stay
    (RFC 7030 section 4.2.2).  A certificate of another trusted authority, such as the one
    that a manufacturer put into a device (IEEE 802.1AR), vouches for the identity in its
    subject, which the new one has to carry; the template's rules decide on the rest.  So
    does one that the request itself names, for another key of the same holder.  A registration
    authority of the template speaks for others, and what it renews is theirs.

    Args:
        request: what is asked.
        template: whose rules count.
        trace: where the decisions go.
        beside: whether the new certificate stands beside the other one in any case, as the
            second of a pair does.

    Raises:
        RequestRejected: the request speaks of somebody else.
        NotAuthenticated: the certificate does not count any more.
    """
    certificate = request.requester.certificate
    if request.requester.method != "certificate" or certificate is None:
        return request
    if certificate.status is not CertificateStatus.VALID:
        trace.leave_out("proof", request.requester.name, f"the certificate is {certificate.status}")
        raise NotAuthenticated(f"the client certificate is {certificate.status}")
    if may_ask_for_others(certificate, template):
        why = f"certificates of template {certificate.template!r} ask on behalf of others"
        trace.allow("on-behalf", request.requester.name, why)
        return request
    beside = beside or certificate.authority != template.authority or _is_beside(request)
    if request.renews is None and beside:
        old = _load(certificate.certificate)
        _check_purpose(old, trace)
        _check_identity(request, old, template, trace)
        return request
    if request.renews is not None and request.renews.id != certificate.id:
        why = "a certificate can only be renewed by the holder of its key"
        trace.refuse("renewal", write_serial(request.renews.serial), why)
    return replace(request, renews=certificate)


def _is_beside(request: EnrollmentRequest) -> bool:
    """Tell whether the new certificate is to stand beside the one that the requester shows."""
    shown = request.requester.certificate
    if shown is None or shown.certificate is None:
        return False
    own = issuer_and_serial(shown.certificate)
    statement, related = read_statement(request.csr), read_related_request(request.csr)
    stated = statement is not None and statement.signer == own
    return stated or (related is not None and related.certificate == own)


def with_names_of(
    request: EnrollmentRequest, template: Template, trace: DecisionTrace
) -> EnrollmentRequest:
    """Hold a renewal against its certificate, and fill in names that the CSR left out.

    Raises:
        RequestRejected: subject or names differ.
    """
    if request.renews is None:
        return request
    old = _load(request.renews.certificate)
    csr = request.csr
    if list(csr.subject) and csr.subject != old.subject:
        why = f"the subject must stay {old.subject.rfc4514_string()!r} in a renewal"
        trace.refuse("renewal", csr.subject.rfc4514_string(), why)
    names = _names(old)
    if not csr.names and names and not template.renewal.copy_names:
        why = "the request must repeat the names of the certificate that it renews"
        trace.refuse("renewal", "no names", why)
    if csr.names and _texts(csr.names) != _texts(names):
        asked = ", ".join(sorted(_texts(csr.names)))
        trace.refuse("renewal", asked, "the names must stay the same in a renewal")
    trace.allow("renewal", old.subject.rfc4514_string(), "subject and names stay")
    return replace(request, csr=replace(csr, subject=old.subject, names=names))


def _check_purpose(old: x509.Certificate, trace: DecisionTrace) -> None:
    """Refuse what is no credential: TLS lets in any certificate of ours, for its renewal."""
    try:
        purposes = old.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return
    if _CLIENT.isdisjoint(purposes):
        why = "the client certificate is not made for clients, so it vouches for nothing"
        trace.refuse("identity", old.subject.rfc4514_string(), why)


def _check_identity(
    request: EnrollmentRequest, old: x509.Certificate, template: Template, trace: DecisionTrace
) -> None:
    for oid in _carried(template):
        known = old.subject.get_attributes_for_oid(oid)
        if not known:
            continue
        asked = request.csr.subject.get_attributes_for_oid(oid)
        if [a.value for a in asked] != [a.value for a in known]:
            why = f"the client certificate vouches for {known[0].rfc4514_string()} only"
            trace.refuse("identity", request.csr.subject.rfc4514_string(), why)
        trace.allow("identity", known[0].rfc4514_string(), "the client certificate vouches")
        return
    why = "the client certificate has nothing to vouch for that this template takes from requests"
    trace.refuse("identity", old.subject.rfc4514_string(), why)


def _carried(template: Template) -> Iterator[x509.ObjectIdentifier]:
    """Yield the identities that stand in the new certificate as they were asked for."""
    rules = template.subject
    for short, oid in _IDENTITIES:
        replaced = short == "CN" and rules.common_name == "copy-first-name"
        if short in rules.from_request and not replaced:
            yield oid


def _load(certificate: bytes | None) -> x509.Certificate:
    if certificate is None:
        raise NotAuthenticated("the certificate to be renewed was never finished")
    return x509.load_der_x509_certificate(certificate)


def _names(certificate: x509.Certificate) -> tuple[x509.GeneralName, ...]:
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return ()
    return tuple(extension.value)


def _texts(names: tuple[x509.GeneralName, ...]) -> frozenset[str]:
    return frozenset(general_name_text(name).lower() for name in names)
