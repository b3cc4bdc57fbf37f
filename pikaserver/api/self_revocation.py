"""Holders who revoke their own certificates, and registration authorities that do it for them."""

from pikaserver.api.certificates import CertificateRecord, RevocationReason
from pikaserver.api.errors import NotAllowed, RequestRejected
from pikaserver.api.registrars import may_ask_for_others
from pikaserver.api.server import Server

REASONS = {
    reason.rfc_name: reason
    for reason in (
        RevocationReason.UNSPECIFIED,
        RevocationReason.KEY_COMPROMISE,
        RevocationReason.AFFILIATION_CHANGED,
        RevocationReason.SUPERSEDED,
        RevocationReason.CESSATION_OF_OPERATION,
    )
}
"""What somebody may say of the own certificate; a hold is for people, who can release it."""


def read_reason(asked: str) -> RevocationReason:
    """Return the reason of this name (RFC 5280 section 5.3.1).

    Raises:
        RequestRejected: it is none, or none that a holder may give.
    """
    if asked not in REASONS:
        known = ", ".join(REASONS)
        raise RequestRejected(f"that is not a reason that counts here; there are: {known}")
    return REASONS[asked]


def check_may_revoke(
    server: Server, door: str, shown: CertificateRecord, target: CertificateRecord
) -> None:
    """Return when the holder of one certificate may revoke another one, or the same, by a door.

    Raises:
        NotAllowed: the template does not let devices do so, or it is somebody else's.
    """
    if target.template is None:
        raise NotAllowed("the certificate of an authority is not revoked here")
    template = server.templates.get(target.template)
    if door not in template.doors or not template.est.self_revocation:
        raise NotAllowed(f"template {template.name!r} lets nobody revoke by {door}")
    same = (shown.authority, shown.template, shown.subject, shown.names)
    if same == (target.authority, target.template, target.subject, target.names):
        return
    if not may_ask_for_others(shown, template):
        raise NotAllowed("that certificate is somebody else's")
