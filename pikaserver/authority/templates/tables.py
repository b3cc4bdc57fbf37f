"""The tables of a template document: which keys there are, and of which type."""

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pikaserver.api.errors import RequestRejected

# TOML's parser has no bounds; Python does not even print what is long enough.
Number = Annotated[int, Field(gt=-(2**31), lt=2**31)]
Linking = Literal["off", "if-sent", "required"]
CommonName = Literal["free", "must-be-name", "becomes-name", "copy-first-name"]


class _Table(BaseModel):
    """Keys are written with hyphens; what is not named here is refused."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        frozen=True,
        alias_generator=lambda name: name.replace("_", "-"),
        validate_by_name=True,
    )


class SubjectTable(_Table):
    """``[subject]``."""

    from_request: list[str] = []
    fixed: dict[str, str | list[str]] = {}
    required: list[str] = []
    common_name: CommonName = "must-be-name"


class NameTable(_Table):
    """``[names.dns]``, ``[names.ip]`` and so on."""

    allow: list[str]
    deny: list[str] = []
    wildcards: bool = False
    single_labels: bool = False


class NamesTable(_Table):
    """``[names]``; a kind whose table is absent is not allowed."""

    required: bool = False
    limit: Number = 100
    dns: NameTable | None = None
    ip: NameTable | None = None
    email: NameTable | None = None
    uri: NameTable | None = None
    upn: NameTable | None = None


class KeyTable(_Table):
    """``[key]``."""

    types: list[str]


class UsageTable(_Table):
    """``[usage]``."""

    key_usage: list[str] = []
    extended_key_usage: list[str] = []
    extended_key_usage_critical: bool = False
    ca: bool = False
    path_length: Number | None = None
    permitted_names: list[str] = []
    excluded_names: list[str] = []


class ValidityTable(_Table):
    """``[validity]``; without ``maximum`` nothing longer than ``period`` is ever issued."""

    period: str
    maximum: str | None = None
    overridable: bool = False
    backdate: str = "5m"


class ExtensionsTable(_Table):
    """``[extensions]``."""

    issuer_url: bool = True
    ocsp_url: bool = True
    crl_url: bool = True
    custom_issuer_urls: list[str] = []
    custom_ocsp_urls: list[str] = []
    custom_crl_urls: list[str] = []
    policies: list[str] = []
    cps_url: str | None = None
    must_staple: bool = False
    ocsp_no_check: bool = False


class RenewalTable(_Table):
    """``[renewal]``; without ``window`` a certificate may be renewed at any time of its life."""

    allowed: bool = False
    window: str | None = None
    copy_names: bool = True
    revoke_old: bool = False


class DeviceTable(_Table):
    """``[device]``; whether the operator sees a record of each holder."""

    record: bool = True


class EstTable(_Table):
    """``[est]``; what EST offers beyond enrolling and renewing."""

    server_keys: bool = False
    full_cmc: bool = True
    possession_linking: Linking = "off"
    self_revocation: bool = True


class ScepTable(_Table):
    """``[scep]``; it counts beside ``doors``."""

    enabled: bool = False
    compatibility: list[str] = []
    include_root: bool = True


class KemTable(_Table):
    """``[kem]``; how possession of ML-KEM keys is proved."""

    statement: bool = True
    challenge: bool = True
    names: Literal["same", "any"] = "same"


class RelatedTable(_Table):
    """``[related]``; pairs of certificates (RFC 9763)."""

    mode: Literal["refused", "allowed", "required"] = "refused"
    fresh: str = "1h"
    templates: list[str] = []
    alternates: bool = False
    pair: str | None = None


class TemplateDocument(_Table):
    """The whole document."""

    description: str = ""
    enabled: bool = True
    authority: str
    doors: list[str]
    proofs: list[str]
    client_authorities: list[str] | None = None
    registrars: list[str] = []
    approval: bool = False
    signature_hash: str | None = None
    subject: SubjectTable = SubjectTable()
    names: NamesTable = NamesTable()
    key: KeyTable
    usage: UsageTable = UsageTable()
    validity: ValidityTable
    extensions: ExtensionsTable = ExtensionsTable()
    renewal: RenewalTable = RenewalTable()
    device: DeviceTable = DeviceTable()
    est: EstTable = EstTable()
    scep: ScepTable = ScepTable()
    kem: KemTable = KemTable()
    related: RelatedTable = RelatedTable()


def read_document(tables: dict[str, object]) -> TemplateDocument:
    """Return the document of parsed TOML tables.

    Raises:
        RequestRejected: an unknown key, or a value of the wrong type; names the dotted key.
    """
    try:
        return TemplateDocument.model_validate(tables)
    except ValidationError as problems:
        found = problems.errors(include_url=False, include_context=False)
        # A misspelt key is also a missing one: the misspelling is what helps.
        first = min(found, key=lambda problem: problem["type"] != "extra_forbidden")
        path = [str(part) for part in first["loc"] if part not in ("str", "list[str]")]
        raise RequestRejected(_complaint(first["type"], path, first["msg"])) from None


def _complaint(problem: str, path: list[str], message: str) -> str:
    dotted = ".".join(path)
    if problem == "extra_forbidden":
        return f"{dotted} is not an option{did_you_mean(path[-1], _options(path[:-1]))}"
    if problem == "missing":
        return f"{dotted} is missing"
    return f"{dotted} {message.removeprefix('Input ').removeprefix('Value ')}"


def did_you_mean(wrong: str, right: Iterable[str]) -> str:
    """Return ``; did you mean 'x'?``, or nothing when nothing comes close."""
    close = get_close_matches(wrong, list(right), n=1)
    return f"; did you mean '{close[0]}'?" if close else ""


def _options(path: list[str]) -> list[str]:
    table: type[BaseModel] = TemplateDocument
    for part in path:
        default = table.model_fields[part].annotation
        kinds = [default, *getattr(default, "__args__", ())]
        table = next(kind for kind in kinds if isinstance(kind, type) and issubclass(kind, _Table))
    return [field.alias or name for name, field in table.model_fields.items()]
