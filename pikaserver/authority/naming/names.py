"""The one strict policy on subject alternative names; every door uses it.

A CSR is a wish: a name that the template's rules do not allow ends the request, and what is
allowed goes into the certificate in its canonical form, not in the requester's octets.
"""

from collections.abc import Callable, Iterable, Sequence
from ipaddress import ip_address

from cryptography import x509
from cryptography.x509.oid import NameOID

from pikaserver.api.errors import RequestRejected
from pikaserver.api.issuance import CertificationRequest
from pikaserver.api.templates import NameRules, Template
from pikaserver.asn1.names import UPN, general_name_text, upn_text
from pikaserver.authority.decisions import DecisionTrace, quoted, shown
from pikaserver.authority.naming import forms as name_forms
from pikaserver.authority.naming.rules import allowed_by, denied_by

BECOMES_NAME = "becomes-name"
"""The common-name rule by which a requested CN is asked for as a name, too."""

_BUILDERS: dict[str, Callable[[str], x509.GeneralName]] = {
    "dns": x509.DNSName,
    "ip": lambda text: x509.IPAddress(ip_address(text)),
    "email": x509.RFC822Name,
    "uri": x509.UniformResourceIdentifier,
    "upn": name_forms.upn_general_name,
}


def subject_names(
    template: Template, csr: CertificationRequest, trace: DecisionTrace
) -> tuple[x509.GeneralName, ...]:
    """Return the names that go into the certificate, in canonical form and without repetitions.

    Raises:
        RequestRejected: a name is malformed, not allowed or denied, there are too many, or
            the template requires one and none was asked for.
    """
    wishes = [*csr.names, *_names_in_common_name(template, csr.subject, trace)]
    if len(wishes) > template.names_limit:
        trace.refuse(
            "names.limit",
            f"{len(wishes)} names",
            f"{len(wishes)} names were asked for; template '{template.name}' allows"
            f" {template.names_limit}",
        )
    names = tuple(dict.fromkeys(_checked(template, wish, trace) for wish in wishes))
    if template.names_required and not names:
        trace.refuse(
            "names.required",
            "no names",
            f"template '{template.name}' requires a subject alternative name"
            f" ({' or '.join(rules.kind for rules in template.names)})",
        )
    return names


def name_text(name: x509.GeneralName) -> str:
    """Return the bare text of a name of ours: ``www.example.com``, ``10.0.0.1``."""
    return general_name_text(name).partition(":")[2]


def subject_alternative_name(
    subject: x509.Name, names: Sequence[x509.GeneralName]
) -> x509.Extension[x509.SubjectAlternativeName] | None:
    """Return the extension, critical where the subject is empty (RFC 5280 section 4.2.1.6)."""
    if not names:
        return None
    value = x509.SubjectAlternativeName(names)
    return x509.Extension(value.oid, critical=not list(subject), value=value)


def _names_in_common_name(
    template: Template, subject: x509.Name, trace: DecisionTrace
) -> Iterable[x509.GeneralName]:
    rules = template.subject
    if rules.common_name != BECOMES_NAME or "CN" not in rules.from_request:
        return
    for attribute in subject.get_attributes_for_oid(NameOID.COMMON_NAME):
        common_name = str(attribute.value)
        try:
            yield _name_of(common_name)
        except ValueError:
            why = f"the common name {quoted(common_name)} has to be a DNS name or an address"
            trace.refuse("subject.common-name", f"CN={quoted(common_name)}", why)


def _name_of(common_name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(common_name))
    except ValueError:
        return (x509.RFC822Name if "@" in common_name else x509.DNSName)(common_name)


def _checked(template: Template, wish: x509.GeneralName, trace: DecisionTrace) -> x509.GeneralName:
    kind, asked = _kind(wish), _shown(wish)
    rules = next((rules for rules in template.names if rules.kind == kind), None)
    if rules is None:
        kinds = ", ".join(rules.kind for rules in template.names) or "none"
        trace.refuse(
            f"names.{kind}",
            asked,
            f"names of kind {kind} are not allowed by template '{template.name}':"
            f" allowed are {kinds} ({asked})",
        )
    try:
        name = _canonical(rules, wish)
    except RequestRejected as problem:
        trace.refuse(f"names.{kind}", asked, str(problem))
    denied = denied_by(rules, name)
    if denied is not None:
        why = f"{name} is not allowed by template '{template.name}': denied is {denied}"
        trace.refuse(f"names.{kind}.deny", asked, why)
    allowed = allowed_by(rules, name)
    if allowed is None:
        why = f"allowed are {', '.join(rules.allow)}"
        why = f"{name} is not allowed by template '{template.name}': {why}"
        trace.refuse(f"names.{kind}.allow", asked, why)
    trace.allow(f"names.{kind}.allow", asked, f"{allowed} allows it")
    return _BUILDERS[kind](name)


def _kind(name: x509.GeneralName) -> str:
    kinds: tuple[tuple[type[x509.GeneralName], str], ...] = (
        (x509.DNSName, "dns"),
        (x509.IPAddress, "ip"),
        (x509.RFC822Name, "email"),
        (x509.UniformResourceIdentifier, "uri"),
        (x509.DirectoryName, "dirname"),
        (x509.RegisteredID, "rid"),
    )
    if isinstance(name, x509.OtherName) and name.type_id == UPN:
        return "upn"
    return next((kind for type_, kind in kinds if isinstance(name, type_)), "other")


def _canonical(rules: NameRules, name: x509.GeneralName) -> str:
    if isinstance(name, x509.DNSName):
        return name_forms.dns_name(
            name.value, wildcards=rules.wildcards, single_labels=rules.single_labels
        )
    if isinstance(name, x509.IPAddress):
        return name_forms.ip_name(name.value)
    if isinstance(name, x509.RFC822Name):
        return name_forms.email_name(name.value)
    if isinstance(name, x509.UniformResourceIdentifier):
        return name_forms.uri_name(name.value).text
    text = upn_text(name) if isinstance(name, x509.OtherName) else None
    if text is None:
        raise RequestRejected("the user principal name is not one UTF8String")
    return name_forms.upn_name(text, single_labels=rules.single_labels)


def _shown(name: x509.GeneralName) -> str:
    return shown(general_name_text(name))
