"""What callers may write into a body, as pydantic models; OpenAPI is generated from them."""

from typing import Annotated, TypeVar

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError
from pydantic.alias_generators import to_camel

from pikaserver.api.errors import MalformedRequest
from pikaserver.api.json_text import shown
from pikaserver_rest.json_text import read_object

_CSR_CHARACTERS = 100_000
_WRONG = {
    "missing": "is missing",
    "extra_forbidden": "is not known here",
    "string_type": "is to be a string",
    "string_too_short": "is empty",
    "string_too_long": "is too long",
    "string_pattern_mismatch": "is not of the form that is documented",
}

CsrText = Annotated[str, StringConstraints(min_length=1, max_length=_CSR_CHARACTERS)]
TemplateName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([a-z0-9-]{0,62}[a-z0-9])?$")]
Period = Annotated[str, StringConstraints(pattern=r"^[0-9]{1,6}[smhdwy]$")]


class Body(BaseModel):
    """What all of them share: nothing is guessed, and nothing unknown passed over."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, alias_generator=to_camel)


class RenewalWish(Body):
    """What is asked when a certificate is renewed."""

    csr: CsrText = Field(description="PKCS#10, in PEM or in base64 of its DER.")
    paired_csr: CsrText | None = Field(
        default=None, description="The request of the other key, for a pair (RFC 9763)."
    )
    validity: Period | None = Field(
        default=None,
        description="How long it shall hold, where the template lets one choose: 90d.",
    )


class CertificateWish(RenewalWish):
    """What is asked when a certificate is wanted."""

    template: TemplateName = Field(
        description="The name of a template; GET /api/v1/templates lists those that count."
    )


class RevocationWish(Body):
    """Why a certificate is revoked."""

    reason: Annotated[str, StringConstraints(max_length=40)] = Field(
        default="unspecified",
        description="unspecified, keyCompromise, affiliationChanged, superseded or"
        " cessationOfOperation.",
    )


B = TypeVar("B", bound=Body)


def read_body(octets: bytes, model: type[B]) -> B:
    """Return the checked body of a request.

    Raises:
        MalformedRequest: it is no JSON object, or not of this form; the first fault is told.
    """
    document = read_object(octets)
    try:
        return model.model_validate(document)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(shown(part) for part in first["loc"])
        why = _WRONG.get(first["type"], "cannot be read")
        raise MalformedRequest(f"{where} {why}") from None
