"""Name constraints: no certificate leaves the subtrees of any CA above it.

RFC 5280 sections 4.2.1.10 and 6.1.4.  Written here and not left to a library, because the
check has to come before the signature and has to meet wildcards on the safe side.
"""

from collections.abc import Iterable, Iterator, Sequence

from cryptography import x509
from cryptography.x509.oid import NameOID

from pikaserver.api.errors import RequestRejected
from pikaserver.api.templates import UsageRules
from pikaserver.asn1.names import general_name_text
from pikaserver.authority.decisions import DecisionTrace, quoted
from pikaserver.authority.naming import forms as name_forms
from pikaserver.authority.naming.subtrees import read_subtree, same_form, touches, within

_RULE = "name-constraints"


def check_name_constraints(
    names: Sequence[x509.GeneralName],
    subject: x509.Name,
    chain: Iterable[x509.Certificate],
    trace: DecisionTrace,
) -> None:
    """Return when names and subject are within the constraints of every certificate above.

    A common name that looks like a DNS name and an e-mail address in the subject are held to
    the constraints on names, as OpenSSL and others will do.

    Args:
        names: the subject alternative names to be.
        subject: the subject to be.
        chain: the certificates above, from the issuer to the root.
        trace: where the decisions go.

    Raises:
        RequestRejected: a name is excluded, or not in a permitted subtree of its form.
    """
    for authority in chain:
        constraints = _constraints(authority)
        if constraints is not None:
            for name in _claimed(names, subject):
                _check(name, constraints, authority, trace)
            trace.allow(_RULE, _shown(authority), "all names are within its subtrees")


def name_constraints(usage: UsageRules) -> x509.Extension[x509.NameConstraints] | None:
    """Return the extension with a CA template's subtrees; it is always critical."""
    if not (usage.permitted_names or usage.excluded_names):
        return None
    value = x509.NameConstraints(
        [read_subtree(text) for text in usage.permitted_names] or None,
        [read_subtree(text) for text in usage.excluded_names] or None,
    )
    return x509.Extension(value.oid, critical=True, value=value)


def _constraints(authority: x509.Certificate) -> x509.NameConstraints | None:
    try:
        return authority.extensions.get_extension_for_class(x509.NameConstraints).value
    except x509.ExtensionNotFound:
        return None


def _claimed(names: Sequence[x509.GeneralName], subject: x509.Name) -> Iterator[x509.GeneralName]:
    yield from names
    if list(subject):
        yield x509.DirectoryName(subject)
    for attribute in subject.get_attributes_for_oid(NameOID.EMAIL_ADDRESS):
        yield x509.RFC822Name(str(attribute.value))
    for attribute in subject.get_attributes_for_oid(NameOID.COMMON_NAME):
        try:
            yield x509.DNSName(name_forms.dns_name(str(attribute.value), wildcards=True))
        except RequestRejected:
            continue  # it does not look like a DNS name: nobody will take it for one


def _check(
    name: x509.GeneralName,
    constraints: x509.NameConstraints,
    authority: x509.Certificate,
    trace: DecisionTrace,
) -> None:
    asked = general_name_text(name)
    excluded = constraints.excluded_subtrees or ()
    if any(same_form(name, base) and touches(name, base) for base in excluded):
        why = f"{asked} is excluded by the name constraints of {_shown(authority)}"
        trace.refuse(_RULE, asked, why)
    permitted = [base for base in constraints.permitted_subtrees or () if same_form(name, base)]
    if permitted and not any(within(name, base) for base in permitted):
        bases = ", ".join(general_name_text(base) for base in permitted)
        why = f"{asked} is outside the name constraints of {_shown(authority)}: {bases}"
        trace.refuse(_RULE, asked, why)


def _shown(authority: x509.Certificate) -> str:
    return quoted(authority.subject.rfc4514_string())
