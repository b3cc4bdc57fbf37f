"""The operations of this door as OpenAPI describes them: one line for each, in the path's order."""

from dataclasses import dataclass

from pydantic import BaseModel

from pikaserver_rest.bodies import CertificateWish, RenewalWish, RevocationWish
from pikaserver_rest.documents import (
    AuthorityDocument,
    AuthorityList,
    CertificateDocument,
    IssuedDocument,
    RenewalWindowDocument,
    RequestDocument,
    TemplateList,
)
from pikaserver_rest.records import ROOT

CODE, CERTIFICATE = "code", "certificate"
"""The credentials that an operation takes, by the names of their security schemes."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter: ``place`` is ``path``, ``query`` or ``header``."""

    name: str
    place: str
    description: str
    kind: str = "string"


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path.

    ``answers`` are models by status.  Where ``forms`` is set, the first of them comes in the
    other forms of a certificate, too; where ``bare`` is, the body may be a request alone.
    """

    method: str
    path: str
    name: str
    summary: str
    answers: tuple[tuple[int, type[BaseModel]], ...]
    security: tuple[str, ...] = ()
    body: type[BaseModel] | None = None
    parameters: tuple[Parameter, ...] = ()
    forms: bool = False
    bare: bool = False


_IDENTIFIER = Parameter("identifier", "path", "The serial number, or SHA-256, in hex.")
_FORMAT = Parameter("format", "query", "json, pem, der or pkcs7; goes before Accept.")
_KEY = Parameter(
    "Idempotency-Key", "header", "Stands for this request for 24 hours; with another one: 422."
)
_TEMPLATE = Parameter("template", "query", "The template, where the body is a request alone.")
_VALIDITY = Parameter("validity", "query", "How long it shall hold: 90d; with a request alone.")
_PAGE = (
    Parameter("limit", "query", "The most items of a page, 1 to 100.", "integer"),
    Parameter("cursor", "query", "Where the page begins, as the header Link had it."),
)
_CERTIFICATE = f"{ROOT}/certificates/{{identifier}}"

OPERATIONS = (
    Operation(
        "post",
        f"{ROOT}/certificates",
        "issueCertificate",
        "Ask for a certificate, or for a pair",
        ((201, IssuedDocument), (202, RequestDocument)),
        (CODE, CERTIFICATE),
        CertificateWish,
        (_TEMPLATE, _VALIDITY, _FORMAT, _KEY),
        forms=True,
        bare=True,
    ),
    Operation(
        "get",
        _CERTIFICATE,
        "getCertificate",
        "A certificate, and its status",
        ((200, CertificateDocument),),
        parameters=(_IDENTIFIER, _FORMAT),
        forms=True,
    ),
    Operation(
        "get",
        f"{_CERTIFICATE}/renewal",
        "getRenewalWindow",
        "When a certificate should be renewed",
        ((200, RenewalWindowDocument),),
        parameters=(_IDENTIFIER,),
    ),
    Operation(
        "post",
        f"{_CERTIFICATE}/renewal",
        "renewCertificate",
        "Renew the certificate that is shown",
        ((201, IssuedDocument), (202, RequestDocument)),
        (CERTIFICATE,),
        RenewalWish,
        (_IDENTIFIER, _FORMAT, _KEY),
        forms=True,
        bare=True,
    ),
    Operation(
        "post",
        f"{_CERTIFICATE}/revocation",
        "revokeCertificate",
        "Revoke a certificate of the one who shows one",
        ((200, CertificateDocument),),
        (CERTIFICATE,),
        RevocationWish,
        (_IDENTIFIER,),
    ),
    Operation(
        "get",
        f"{ROOT}/requests/{{id}}",
        "getRequest",
        "How far a request is, for the one who made it",
        ((200, RequestDocument),),
        (CODE, CERTIFICATE),
        parameters=(Parameter("id", "path", "The number of the request.", "integer"),),
    ),
    Operation(
        "get",
        f"{ROOT}/templates",
        "listTemplates",
        "The templates that the credential is good for",
        ((200, TemplateList),),
        (CODE, CERTIFICATE),
        parameters=_PAGE,
    ),
    Operation(
        "get",
        f"{ROOT}/authorities",
        "listAuthorities",
        "The authorities, by their current certificates",
        ((200, AuthorityList),),
        parameters=_PAGE,
    ),
    Operation(
        "get",
        f"{ROOT}/authorities/{{name}}",
        "getAuthority",
        "One authority",
        ((200, AuthorityDocument),),
        parameters=(Parameter("name", "path", "Its name."), _FORMAT),
        forms=True,
    ),
)
