"""``pikaserver ocsp``: ask a responder as a client does, and check its answer."""

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import click
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from pikaserver.api.certificates import CertificateQuery, CertificateRecord
from pikaserver.api.commands import Record, console
from pikaserver.api.errors import (
    MalformedRequest,
    NotFound,
    SignatureFaulty,
)
from pikaserver.api.server import Server
from pikaserver.asn1.certificate import read_certificate
from pikaserver.asn1.chains import read_certificates
from pikaserver.asn1.ocsp import HASHES, ResponseStatus
from pikaserver.asn1.ocsp_reading import read_response
from pikaserver.asn1.ocsp_requests import write_request
from pikaserver.asn1.serials import read_serial, write_serial
from pikaserver_ocsp.asking import ask
from pikaserver_ocsp.checking import (
    Question,
    Verified,
    is_trusted_until_its_end,
    ocsp_urls,
    verify_answer,
)

NONCE_OCTETS = 32
"""RFC 9654 section 2.1: what a client sends."""

GOOD, REVOKED, UNKNOWN, UNAVAILABLE, FAULTY = 0, 1, 3, 4, 6
"""Exit codes: what the command found."""

_HASH_NAMES = [name for name, _ in HASHES]


@click.group()
def ocsp() -> None:
    """Ask OCSP responders for the status of certificates."""


@dataclass(frozen=True, slots=True)
class _Subject:
    """What is asked about, and where."""

    certificate: x509.Certificate
    issuer: x509.Certificate
    url: str


@ocsp.command()
@click.argument("cert")
@click.option(
    "--issuer",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Who issued it; not needed where it follows in the same file, or is ours.",
)
@click.option("--url", help="The responder; not needed where the certificate names it.")
@click.option(
    "--nonce/--no-nonce", default=True, show_default=True, help="Ask for an answer made just now."
)
@click.option(
    "--hash",
    "hash_name",
    type=click.Choice(_HASH_NAMES),
    default=_HASH_NAMES[0],
    show_default=True,
    help="By which hash the issuer is named.",
)
def check(cert: str, issuer: Path | None, url: str | None, *, nonce: bool, hash_name: str) -> None:
    """Ask for the status of a certificate, and verify the answer.

    CERT is a file, PEM or DER, or the serial of a certificate of ours.  Signature, delegation,
    times, nonce and the certificate that is meant are checked.

    Exit codes: 0 good; 1 revoked or on hold; 3 unknown to the responder; 4 no answer now;
    6 an answer that does not hold.
    """
    with console().server() as server:
        subject = _find(server, cert, issuer, url)
        fresh = server.entropy(NONCE_OCTETS) if nonce else None
        question = Question(subject.issuer, subject.certificate.serial_number, hash_name, fresh)
        octets = ask(subject.url, write_request(question.cert_ids()[:1], fresh))
        try:
            status, basic = read_response(octets)
            verified = None if basic is None else verify_answer(basic, question, server.clock())
        except (MalformedRequest, SignatureFaulty) as error:
            click.echo(f"pikaserver: the answer does not hold: {error}", err=True)
            click.get_current_context().exit(FAULTY)
    about = {
        "certificate": subject.certificate.subject.rfc4514_string(),
        "serial": write_serial(subject.certificate.serial_number),
    }
    if verified is None:
        console().write({**about, "status": status.rfc_name, "url": subject.url})
        unknown = status is ResponseStatus.UNAUTHORIZED
        click.get_current_context().exit(UNKNOWN if unknown else UNAVAILABLE)
    console().write({**about, **_record(verified, subject.url)})
    codes = {"good": GOOD, "revoked": REVOKED, "unknown": UNKNOWN}
    click.get_current_context().exit(codes[verified.single.status])


def _record(verified: Verified, url: str) -> Record:
    single, signer = verified.single, verified.signer
    revocation = single.revocation
    return {
        "status": single.status,
        "reason": revocation and revocation.reason.rfc_name,
        "revoked_at": revocation and revocation.at,
        "invalid_since": revocation and revocation.invalidity_at,
        "this_update": single.this_update,
        "next_update": single.next_update,
        "responder": signer.subject.rfc4514_string(),
        "responder_until": signer.not_valid_after_utc,
        "no_check": is_trusted_until_its_end(signer),
        "algorithm": verified.algorithm,
        "nonce": verified.nonce,
        "url": url,
    }


def _find(server: Server, cert: str, issuer: Path | None, url: str | None) -> _Subject:
    """Find certificate, issuer and responder in what was given, then among what is ours."""
    if Path(cert).is_file():
        found = [read_certificate(octets) for octets in _read(Path(cert))]
        certificate, above = found[0], found[1:]
        record = _ours(server, certificate)
    else:
        record = _by_serial(server, cert)
        certificate, above = read_certificate(record.certificate or b""), []
    if issuer is not None:
        above = [read_certificate(octets) for octets in _read(issuer)]
    elif record is not None:
        above = [*above, *_issuers(server, record)]
    issuers = [one for one in above if _issued(one, certificate)]
    if not issuers:
        raise NotFound("the issuer's certificate is not known: name it with --issuer FILE")
    return _Subject(certificate, issuers[0], url or _url(server, certificate, record))


def _read(path: Path) -> list[bytes]:
    try:
        return read_certificates(path.read_bytes())
    except MalformedRequest as error:
        raise MalformedRequest(f"{path}: {error}") from error


def _ours(server: Server, certificate: x509.Certificate) -> CertificateRecord | None:
    octets = certificate.public_bytes(Encoding.DER)
    with suppress(NotFound):
        return server.certificates.by_certificate(octets)
    return None


def _by_serial(server: Server, text: str) -> CertificateRecord:
    try:
        serial = read_serial(text)
    except MalformedRequest as error:
        raise NotFound(f"{text!a} is neither a file nor a serial number") from error
    found = server.certificates.find(CertificateQuery(serial=serial))
    issued = [one for one in found if one.certificate is not None]
    if len(issued) != 1:
        raise NotFound(f"{len(issued)} certificates of ours have the serial {write_serial(serial)}")
    return issued[0]


def _issuers(server: Server, record: CertificateRecord) -> list[x509.Certificate]:
    authority = server.authorities.get(record.authority)
    return [
        read_certificate(octets)
        for generation in authority.generations
        if generation.number == record.generation
        for octets in (generation.certificate, *generation.others)
    ]


def _issued(issuer: x509.Certificate, certificate: x509.Certificate) -> bool:
    return issuer.subject == certificate.issuer


def _url(server: Server, certificate: x509.Certificate, record: CertificateRecord | None) -> str:
    named = ocsp_urls(certificate)
    if named:
        return named[0]
    base = server.base_url("ocsp")
    if record is None or base is None:
        raise NotFound("the certificate names no responder: name one with --url URL")
    return f"{base}/ocsp/{record.authority}"
