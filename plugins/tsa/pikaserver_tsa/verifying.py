"""Verifying time-stamps: digest, binding, signature, purpose, path, as of the stamped time."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from cryptography import x509

from pikaserver.api.certificates import Revocation, RevocationReason
from pikaserver.api.commands import Record
from pikaserver.api.errors import MalformedRequest, NotFound, RequestRejected
from pikaserver.api.server import Server
from pikaserver.asn1.certificate import read_certificate
from pikaserver.asn1.elements import OID, members
from pikaserver.asn1.refusing import refusing
from pikaserver.asn1.serials import write_serial
from pikaserver.asn1.signed_data_reading import ReadSignedData, read_signed_data
from pikaserver.asn1.signing_certificates import check_binding
from pikaserver.asn1.time_stamp_responses import read_response
from pikaserver.asn1.time_stamps import TimeStampRequest, read_imprint
from pikaserver.asn1.tst_info import TST_INFO, Accuracy, TstInfo, read_tst_info
from pikaserver_tsa.paths import check_purpose, find_path

# RFC 3161 section 4: then what was stamped before the revocation stays good.
_HARMLESS = (
    RevocationReason.AFFILIATION_CHANGED,
    RevocationReason.SUPERSEDED,
    RevocationReason.CESSATION_OF_OPERATION,
)

Digest = Callable[[str], bytes]
"""Returns the digest of what was stamped, by the hash's name."""


@dataclass(frozen=True, slots=True)
class Trust:
    """Certificates that may end a path, others that may stand in one, and what is revoked."""

    anchors: Sequence[bytes]
    others: Sequence[bytes]
    revoked: Callable[[bytes], Revocation | None]


def trust_of(server: Server, others: Sequence[bytes]) -> Trust:
    """Return trust in the roots above a server's authorities, and what it knows is revoked."""

    def revoked(certificate: bytes) -> Revocation | None:
        try:
            return server.certificates.by_certificate(certificate).revocation
        except NotFound:
            return None

    paths = [
        (one.certificate, *one.chain)
        for name in server.authorities.names()
        for one in server.authorities.get(name).generations
    ]
    below = [certificate for path in paths for certificate in path[:-1]]
    return Trust([path[-1] for path in paths], [*below, *others], revoked)


def trust_in(anchors: Sequence[bytes], others: Sequence[bytes]) -> Trust:
    """Return trust in some certificates; nothing is known of revocations."""
    return Trust(anchors, others, lambda _certificate: None)


def verified(digest: Digest, octets: bytes, trust: Trust) -> Record:
    """Return what a good time-stamp says.

    Args:
        digest: of the stamped octets.
        octets: a TimeStampResp or a bare token.
        trust: whom the path may end at.

    Raises:
        MalformedRequest: it cannot be read, or is a refusal.
        RequestRejected: it is over other octets, or its certificate is not fit.
        SignatureFaulty: the signature does not hold.
    """
    token, info = read_token(octets)
    name, stamped = read_imprint(info.imprint)
    if digest(name) != stamped:
        raise RequestRejected("the time-stamp is over other octets")
    signer = token.signer([*trust.others, *trust.anchors])
    check_binding(token, signer)
    token.verify(signer)
    certificate = read_certificate(signer)
    check_purpose(certificate)
    for one in find_path(signer, [*token.certificates, *trust.others], trust.anchors, info.at):
        _check_revocation(one, trust, info)
    return {
        "at": info.at,
        "accuracy_seconds": _seconds(info.accuracy),
        "serial": write_serial(info.serial),
        "hash": name,
        "policy": info.policy,
        "authority": certificate.subject.rfc4514_string(),
        "ordering": info.ordering,
        "state": "good",
    }


def check_reply(request: TimeStampRequest, octets: bytes) -> None:
    """Return when a TimeStampResp answers this request (RFC 3161 section 2.2).

    Raises:
        MalformedRequest: it cannot be read, or is a refusal.
        RequestRejected: it answers another one.
    """
    token, info = read_token(octets)
    if read_imprint(info.imprint) != (request.hash, request.digest):
        raise RequestRejected("the time-stamp is over other octets")
    if info.nonce != request.nonce:
        raise RequestRejected("the time-stamp answers another request: its nonce is another one")
    if request.policy is not None and info.policy != request.policy:
        raise RequestRejected(f"the time-stamp is under the policy {info.policy}")
    if request.certificate_wanted:
        token.signer()


def read_token(octets: bytes) -> tuple[ReadSignedData, TstInfo]:
    """Read a TimeStampResp or a bare token; nothing is verified.

    Raises:
        MalformedRequest: it is neither, or a refusal.
    """
    with refusing("time-stamp"):
        first, *_ = members(octets, "a time-stamp")
    # A token begins with its type's OID, a response with its status.
    token = read_signed_data(octets if first.tag == OID else read_response(octets))
    if token.content_type != TST_INFO or token.content is None:
        raise MalformedRequest("not a time-stamp token")
    return token, read_tst_info(token.content)


def _check_revocation(certificate: bytes, trust: Trust, info: TstInfo) -> None:
    revocation = trust.revoked(certificate)
    if revocation is None or (revocation.reason in _HARMLESS and info.at < revocation.at):
        return
    who = x509.load_der_x509_certificate(certificate).subject.rfc4514_string()
    when = f"{revocation.at:%Y-%m-%d %H:%M} UTC"
    raise RequestRejected(
        f"the certificate of {who!r} was revoked at {when} ({revocation.reason.rfc_name})"
    )


def _seconds(accuracy: Accuracy | None) -> float | None:
    if accuracy is None:
        return None
    return accuracy.seconds + accuracy.millis / 1e3 + accuracy.micros / 1e6
