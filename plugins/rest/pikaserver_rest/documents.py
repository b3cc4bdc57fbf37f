"""What answers hold, as pydantic models; OpenAPI is generated from them."""

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer, WithJsonSchema
from pydantic.alias_generators import to_camel

Moment = Annotated[
    datetime,
    PlainSerializer(lambda at: at.strftime("%Y-%m-%dT%H:%M:%SZ"), return_type=str),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]
Reference = Annotated[str, Field(description="A path on the server that was asked.")]
Pem = Annotated[str, Field(description="One certificate in PEM.")]


class Document(BaseModel):
    """What all of them share."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, alias_generator=to_camel, validate_by_name=True
    )


class DecisionDocument(Document):
    """One rule that was asked, and why it let the request pass."""

    rule: str
    why: str


class RevocationDocument(Document):
    """When and why a certificate was revoked, or put on hold."""

    at: Moment
    reason: str
    invalidity_at: Moment | None = None


class CertificateLinks(Document):
    """What can be asked about a certificate."""

    self: Reference
    authority: Reference
    renewal: Reference
    revocation: Reference


class RelatedDocument(Document):
    """A certificate that is bound to this one (RFC 9763)."""

    serial: str
    fingerprint: str
    key_type: str
    status: str
    href: Reference


class CertificateDocument(Document):
    """A certificate and what is known of it."""

    serial: str = Field(description="In lower-case hex.")
    fingerprint: str = Field(description="SHA-256 of the certificate, in lower-case hex.")
    authority: str
    template: str | None
    key_type: str
    subject: str = Field(description="As RFC 4514 writes it.")
    names: list[str] = Field(description="The subject alternative names: dns:www.example.")
    not_before: Moment
    not_after: Moment
    status: str = Field(description="valid, on-hold, revoked or expired.")
    revocation: RevocationDocument | None
    certificate: Pem
    chain: list[Pem] = Field(description="Those above it, from the issuer on, without the root.")
    related: list[RelatedDocument]
    links: CertificateLinks


class IssuedDocument(CertificateDocument):
    """A certificate that was asked for, and the other one of the pair where there is one."""

    decisions: list[DecisionDocument] = Field(
        description="Empty where the certificate was made at an earlier request."
    )
    paired: CertificateDocument | None


class RequestLinks(Document):
    """What can be asked about a request."""

    self: Reference
    certificates: list[Reference] = Field(description="What came of it; two for a pair.")


class RequestDocument(Document):
    """A request on which a person decides."""

    id: int
    state: str = Field(description="pending, approved, declined or issued.")
    template: str
    subject: str
    names: list[str]
    created_at: Moment
    comment: str | None = Field(description="What the person said who decided.")
    advice: str = Field(description="What to do next.")
    links: RequestLinks


class RenewalWindowBounds(Document):
    """The time in which a certificate should be renewed (RFC 9773 section 4.2)."""

    start: Moment
    end: Moment


class RenewalWindowDocument(Document):
    """When a certificate should be renewed."""

    suggested_window: RenewalWindowBounds
    reason: str | None = None


class TemplateLinks(Document):
    """Where what a template gives comes from."""

    authority: Reference


class NamesDocument(Document):
    """Which names of one kind may be asked for; what is denied wins."""

    kind: str
    allow: list[str]
    deny: list[str]


class TemplateDocument(Document):
    """What a certificate request for a template may and must have."""

    name: str
    description: str
    authority: str
    approval: bool = Field(description="Whether a person decides on each request.")
    key_types: list[str]
    subject_attributes: list[str]
    required_attributes: list[str]
    names: list[NamesDocument]
    names_required: bool
    names_limit: int
    validity: str
    longest_validity: str
    validity_may_be_chosen: bool
    renewal_by_certificate: bool
    pair: str | None = Field(description="The template of the second certificate of a pair.")
    links: TemplateLinks


class TemplateList(Document):
    """A page of templates; the header Link names the next one."""

    items: list[TemplateDocument]


class AuthorityLinks(Document):
    """Where an authority's certificates are."""

    self: Reference


class AuthorityDocument(Document):
    """An authority by its current certificate."""

    name: str
    enabled: bool
    subject: str
    key_type: str
    fingerprint: str
    not_before: Moment
    not_after: Moment
    certificate: Pem
    chain: list[Pem] = Field(description="Those above it, the root included.")
    links: AuthorityLinks


class AuthorityList(Document):
    """A page of authorities; the header Link names the next one."""

    items: list[AuthorityDocument]


class DecisionInProblem(Document):
    """One rule that was asked, and what it said."""

    rule: str
    asked: str
    allowed: bool
    why: str


class ProblemDocument(BaseModel):
    """What went wrong (RFC 9457)."""

    model_config = ConfigDict(extra="forbid")

    type: str = Field(description="An address of this server that says what to do.")
    title: str
    status: int
    detail: str | None = None
    instance: str | None = None
    request_id: str | None = Field(default=None, description="Stands in the server's log, too.")
    decisions: list[DecisionInProblem] | None = None
