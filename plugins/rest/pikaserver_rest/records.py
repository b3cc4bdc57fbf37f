"""Records of the server as the documents of this door."""

from collections.abc import Sequence
from datetime import timedelta

from cryptography.hazmat.primitives.hashes import SHA256

from pikaserver.api.certificates import AuthorityRecord, CertificateRecord, Generation
from pikaserver.api.errors import NotFound
from pikaserver.api.issuance import Issued, RequestRecord, RequestState
from pikaserver.api.server import Server
from pikaserver.api.templates import Template
from pikaserver.asn1.algorithms import key_type
from pikaserver.asn1.certificate import public_key_of, read_certificate
from pikaserver.asn1.der import write_pem
from pikaserver.asn1.serials import write_serial
from pikaserver_rest.documents import (
    AuthorityDocument,
    AuthorityLinks,
    CertificateDocument,
    CertificateLinks,
    DecisionDocument,
    IssuedDocument,
    NamesDocument,
    RelatedDocument,
    RequestDocument,
    RequestLinks,
    RevocationDocument,
    TemplateDocument,
    TemplateLinks,
)
from pikaserver_rest.formats import without_root

ROOT = "/api/v1"
MOST_RELATED = 8

_ADVICE = {
    RequestState.PENDING: "Somebody has to approve it; ask here again later.",
    RequestState.APPROVED: "It is approved; send the same request again to have it issued.",
    RequestState.DECLINED: "It was declined; the comment says why.",
    RequestState.ISSUED: "The certificate is there.",
}
_HALF = "One certificate of the pair is there; send the same request again for the other one."
_UNITS = (("d", timedelta(days=1)), ("h", timedelta(hours=1)), ("m", timedelta(minutes=1)))


def certificate_path(serial: int) -> str:
    """Return where a certificate is found."""
    return f"{ROOT}/certificates/{write_serial(serial).lower()}"


def request_path(request_id: int) -> str:
    """Return where a request is found that waits."""
    return f"{ROOT}/requests/{request_id}"


def authority_path(name: str) -> str:
    """Return where an authority is found."""
    return f"{ROOT}/authorities/{name}"


def chain_of(server: Server, record: CertificateRecord) -> tuple[bytes, ...]:
    """Return the certificates above one, from its issuer on, without the root.

    Raises:
        NotFound: its issuer is not known any more.
    """
    for generation in server.authorities.get(record.authority).generations:
        if generation.number == record.generation:
            return without_root((generation.certificate, *generation.chain))
    raise NotFound("the certificate's issuer is gone")


def certificate_document(server: Server, record: CertificateRecord) -> CertificateDocument:
    """Return what everybody may know of a certificate: neither who asked, nor by which door."""
    certificate = record.certificate or b""
    path = certificate_path(record.serial)
    return CertificateDocument(
        serial=write_serial(record.serial).lower(),
        fingerprint=record.fingerprint or "",
        authority=record.authority,
        template=record.template,
        key_type=key_type_of(certificate),
        subject=record.subject,
        names=list(record.names),
        not_before=record.not_before,
        not_after=record.not_after,
        status=str(record.status),
        revocation=_revocation(record),
        certificate=pem(certificate),
        chain=[pem(one) for one in chain_of(server, record)],
        related=[_related(one) for one in server.pairs.of(record)[:MOST_RELATED]],
        links=CertificateLinks(
            self=path,
            authority=authority_path(record.authority),
            renewal=f"{path}/renewal",
            revocation=f"{path}/revocation",
        ),
    )


def issued_document(
    server: Server, issued: Issued, others: Sequence[Issued] = ()
) -> IssuedDocument:
    """Return what its requester gets to know of a certificate, and of the others of a pair."""
    decisions = [DecisionDocument(rule=one.rule, why=one.why) for one in issued.trace]
    other = next((certificate_document(server, one.record) for one in others), None)
    known = dict(certificate_document(server, issued.record))
    return IssuedDocument.model_validate({**known, "decisions": decisions, "paired": other})


def _revocation(record: CertificateRecord) -> RevocationDocument | None:
    found = record.revocation
    if found is None:
        return None
    return RevocationDocument(
        at=found.at, reason=found.reason.rfc_name, invalidity_at=found.invalidity_at
    )


def _related(record: CertificateRecord) -> RelatedDocument:
    return RelatedDocument(
        serial=write_serial(record.serial).lower(),
        fingerprint=record.fingerprint or "",
        key_type=key_type_of(record.certificate or b""),
        status=str(record.status),
        href=certificate_path(record.serial),
    )


def request_document(
    record: RequestRecord, certificates: Sequence[CertificateRecord]
) -> RequestDocument:
    """Return what its requester may know of a request; of a pair both certificates belong to it."""
    half = record.second_csr is not None and len(certificates) == 1
    return RequestDocument(
        id=record.id,
        state=str(record.state),
        template=record.template,
        subject=record.subject,
        names=list(record.names),
        created_at=record.created_at,
        comment=record.comment,
        advice=_HALF if half else _ADVICE[record.state],
        links=RequestLinks(
            self=request_path(record.id),
            certificates=[certificate_path(one.serial) for one in certificates],
        ),
    )


def template_document(template: Template) -> TemplateDocument:
    """Return what requesters need to know of a template."""
    rules = template.subject
    return TemplateDocument(
        name=template.name,
        description=template.description,
        authority=template.authority,
        approval=template.approval,
        key_types=sorted(template.key_types),
        subject_attributes=list(rules.from_request),
        required_attributes=list(rules.required),
        names=[
            NamesDocument(kind=one.kind, allow=list(one.allow), deny=list(one.deny))
            for one in template.names
        ],
        names_required=template.names_required,
        names_limit=template.names_limit,
        validity=_period(template.validity.period),
        longest_validity=_period(template.validity.maximum),
        validity_may_be_chosen=template.validity.overridable,
        renewal_by_certificate=template.renewal.allowed,
        pair=template.related.pair,
        links=TemplateLinks(authority=authority_path(template.authority)),
    )


def authority_document(record: AuthorityRecord, generation: Generation) -> AuthorityDocument:
    """Return an authority by one of its certificates."""
    certificate = read_certificate(generation.certificate)
    return AuthorityDocument(
        name=record.name,
        enabled=record.enabled,
        subject=certificate.subject.rfc4514_string(),
        key_type=key_type_of(generation.certificate),
        fingerprint=certificate.fingerprint(SHA256()).hex(),
        not_before=certificate.not_valid_before_utc,
        not_after=certificate.not_valid_after_utc,
        certificate=pem(generation.certificate),
        chain=[pem(one) for one in generation.chain],
        links=AuthorityLinks(self=authority_path(record.name)),
    )


def pem(certificate: bytes) -> str:
    """Return a certificate as text."""
    return write_pem("CERTIFICATE", certificate).decode("ascii")


def key_type_of(certificate: bytes) -> str:
    """Return our name for the kind of a certificate's key."""
    return key_type(public_key_of(read_certificate(certificate)))


def _period(period: timedelta) -> str:
    """Return a duration as it may be asked for."""
    for unit, length in _UNITS:
        if period % length == timedelta(0):
            return f"{period // length}{unit}"
    return f"{int(period.total_seconds())}s"
