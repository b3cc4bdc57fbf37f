"""What a credential is bound to: who holds it asks for exactly that, or gets nothing."""

from collections.abc import Iterable

from cryptography import x509
from cryptography.x509.oid import NameOID

from pikaserver.api.issuance import CertificationRequest, EnrollmentRequest
from pikaserver.asn1.names import general_name_text
from pikaserver.authority.decisions import DecisionTrace, shown
from pikaserver.authority.naming.names import name_text
from pikaserver.authority.naming.subject_text import write_subject


def check_binding(request: EnrollmentRequest, trace: DecisionTrace) -> None:
    """Check subject and names against those that the credential is good for.

    Alternative names that nothing was said of may repeat the common name, and a common name
    that nothing was said of may repeat an alternative name: a verifier may look at either.

    Raises:
        RequestRejected: the request is for somebody else.
    """
    requester, csr = request.requester, request.csr
    common_names = _common_names(csr.subject)
    if requester.bound_subject is not None and csr.subject != requester.bound_subject:
        _refuse(csr, write_subject(requester.bound_subject), trace)
    if requester.common_name is not None and common_names != [requester.common_name]:
        _refuse(csr, requester.common_name, trace)
    if requester.bound_names is not None:
        wanted = _forms(requester.bound_names)
        named = requester.bound_subject is not None or requester.common_name is not None
        bare = {form.partition(":")[2] for form in wanted}
        if _forms(csr.names) != wanted or not (named or bare.issuperset(_lower(common_names))):
            _refuse(csr, ", ".join(sorted(wanted)), trace)
    elif requester.bound_subject is not None or requester.common_name is not None:
        names = _lower(name_text(name) for name in csr.names)
        if not names <= _lower(common_names):
            _refuse(csr, ", ".join(common_names) or "no name", trace)


def _refuse(csr: CertificationRequest, bound: str, trace: DecisionTrace) -> None:
    asked = [write_subject(csr.subject), *map(general_name_text, csr.names)]
    trace.refuse("proof", shown(", ".join(asked)), f"this credential is for {bound!r} only")


def _common_names(subject: x509.Name) -> list[str]:
    return [str(one.value) for one in subject.get_attributes_for_oid(NameOID.COMMON_NAME)]


def _forms(names: Iterable[x509.GeneralName]) -> set[str]:
    """Return names as text that compares: case means nothing but before an @."""
    found = set()
    for name in names:
        kind, _, text = general_name_text(name).partition(":")
        mailbox, at, host = text.rpartition("@")
        found.add(f"{kind}:{mailbox}{at}{host.lower()}")
    return found


def _lower(texts: Iterable[str]) -> set[str]:
    return {text.lower() for text in texts}
