"""May this requester ask this template for anything?  The core asks, not the door."""

import re
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta

from pikaserver.api.certificates import CertificateRecord, CertificateStatus
from pikaserver.api.errors import MalformedRequest, NotAllowed, NotAuthenticated, RequestRejected
from pikaserver.api.issuance import EnrollmentRequest, Requester, Validator
from pikaserver.api.templates import Template
from pikaserver.asn1.serials import write_serial
from pikaserver.authority.bindings import check_binding
from pikaserver.authority.decisions import DecisionTrace
from pikaserver.authority.templates.durations import write_duration

MayRenew = Callable[[CertificateRecord, datetime], bool]

_TRANSACTION = re.compile(r"[ -~]{1,200}")


def admit(request: EnrollmentRequest, template: Template, trace: DecisionTrace) -> None:
    """Check the template, the door and the proof that the template names.

    Raises:
        RequestRejected: the template is disabled or not served at this door.
        NotAllowed: the proof is of a kind, or for a template, that does not count here.
    """
    check_template(request, template, trace)
    _check_proof(request, template, trace)


def check_transaction(transaction: str) -> None:
    """Check what a client may choose as the name of its deed.

    Raises:
        MalformedRequest: it is empty, longer than any database takes, or not printable ASCII.
    """
    if not _TRANSACTION.fullmatch(transaction):
        raise MalformedRequest("a transaction is named by 1 to 200 printable ASCII characters")


def check_template(request: EnrollmentRequest, template: Template, trace: DecisionTrace) -> None:
    """Check that the template issues at all, and at this door.

    Raises:
        RequestRejected: it does not.
    """
    if not template.enabled:
        trace.refuse("template", template.name, f"template {template.name!r} is disabled")
    if request.door not in template.doors:
        why = f"template {template.name!r} does not issue by {request.door}"
        trace.refuse("door", request.door, why)
    trace.allow("door", request.door, f"template {template.name!r} allows it")


def _check_proof(request: EnrollmentRequest, template: Template, trace: DecisionTrace) -> None:
    requester = request.requester
    if requester.method not in template.proofs:
        why = (
            f"template {template.name!r} does not accept the proof {requester.method!r}; "
            f"it accepts: {', '.join(sorted(template.proofs))}"
        )
        trace.leave_out("proof", requester.name, why)
        raise NotAllowed(why)
    if requester.templates is not None and template.name not in requester.templates:
        why = f"this credential is not for template {template.name!r}"
        trace.leave_out("proof", requester.name, why)
        raise NotAllowed(why)
    if requester.method == "certificate":
        _check_certificate_authority(requester, template, trace)
    if requester.method == "code" and (requester.proof is None or requester.templates is None):
        raise NotAuthenticated("the enrolment code is missing, or what it is good for")
    check_binding(request, trace)
    trace.allow("proof", requester.name, f"{requester.method} counts for this template")


def _check_certificate_authority(
    requester: Requester, template: Template, trace: DecisionTrace
) -> None:
    certificate = requester.certificate
    if certificate is None:
        raise NotAuthenticated("the client certificate is missing")
    if certificate.template is None:
        # Made in a ceremony: who holds the key of an authority has no right to another one.
        raise NotAllowed("the certificate of an authority gives no right to ask")
    trusted = template.client_authorities or frozenset({template.authority})
    if certificate.authority not in trusted:
        why = (
            f"certificates of authority {certificate.authority!r} do not count "
            f"for template {template.name!r}"
        )
        trace.leave_out("proof", requester.name, why)
        raise NotAllowed(why)


def ask_validators(
    validators: Iterable[Validator],
    request: EnrollmentRequest,
    template: Template,
    trace: DecisionTrace,
) -> None:
    """Ask the plugins' rules; all must agree.

    Raises:
        RequestRejected: one does not.
    """
    for validator in validators:
        name = type(validator).__name__
        try:
            validator.check(request, template)
        except RequestRejected as refusal:
            trace.refuse("validator", name, str(refusal))
        trace.allow("validator", name, "agrees")


def check_renewal(
    old: CertificateRecord, template: Template, may_renew: MayRenew, trace: DecisionTrace
) -> None:
    """Check that this certificate may be followed by a new one now.

    ``may_renew`` tells whether the window that opens at a moment is open, or was pulled forward.

    Raises:
        RequestRejected: the template forbids it, or its window has not opened.
        NotAuthenticated: the old certificate is no longer valid.
    """
    asked = f"renewal of {write_serial(old.serial)}"
    if not template.renewal.allowed:
        why = f"template {template.name!r} does not allow renewal by certificate"
        trace.refuse("renewal", asked, why)
    if old.status is not CertificateStatus.VALID:
        trace.leave_out("renewal", asked, f"the certificate is {old.status}")
        raise NotAuthenticated(f"the certificate to be renewed is {old.status}")
    if old.template != template.name:
        why = f"that certificate is of template {old.template!r}, not {template.name!r}"
        trace.refuse("renewal", asked, why)
    window = template.renewal.window
    opens = old.not_after - (window or timedelta(0))
    if window is not None and not may_renew(old, opens):
        why = f"it is too early: the renewal window opens at {opens:%Y-%m-%d %H:%M} UTC"
        trace.refuse("renewal", asked, why)
    trace.allow("renewal", asked, "the certificate is valid and its window is open")


def lifetime(asked: timedelta | None, template: Template, trace: DecisionTrace) -> timedelta:
    """Return how long the certificate shall live, where ``asked`` was asked for.

    Raises:
        RequestRejected: another period was asked than the template lets anybody choose.
    """
    rules = template.validity
    if asked is None:
        return rules.period
    if not rules.overridable:
        why = f"template {template.name!r} fixes the validity: {write_duration(rules.period)}"
        trace.refuse("validity", str(asked), why)
    if asked <= timedelta(0):
        trace.refuse("validity", str(asked), "a certificate has to be valid for some time")
    if asked > rules.maximum:
        most = write_duration(rules.maximum)
        why = f"template {template.name!r} allows a validity of at most {most}"
        trace.refuse("validity", str(asked), why)
    trace.allow("validity", str(asked), f"the template allows up to {rules.maximum}")
    return asked
