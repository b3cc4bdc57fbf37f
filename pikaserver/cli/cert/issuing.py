"""Issuing at the command line: the operator is the requester, the road is the same."""

from pathlib import Path

import click

from pikaserver.api.errors import (
    Conflict,
    PikaserverError,
    RequestRejected,
    SignatureFaulty,
    StorageUnavailable,
)
from pikaserver.api.issuance import EnrollmentRequest, Issued, Pending, Requester
from pikaserver.asn1.csr import read_csr, read_csr_text
from pikaserver.asn1.serials import write_serial
from pikaserver.cli.cert.dry_runs import write_dry_run
from pikaserver.cli.cert.found import served_chain
from pikaserver.cli.cert.options import IssueOptions
from pikaserver.cli.cert.wished_names import WishedNames
from pikaserver.cli.exit_codes import WAITING
from pikaserver.cli.exports import certificates_as, pkcs12_of
from pikaserver.cli.files import new_passphrase, read_file, write_output, write_secret
from pikaserver.cli.invocation import Invocation
from pikaserver.cli.local_keys import LocalKey, make_local_key
from pikaserver.cli.opened import opened
from pikaserver.cli.records import certificate_pem, certificate_row
from pikaserver.server import PkiServer
from pikaserver.signing.private_keys import write_private_key

DOOR = "cli"
PROOF = "operator"


def issue_certificate(invocation: Invocation, wish: IssueOptions, names: WishedNames) -> None:
    """Issue, or try, and write what came of it.

    Raises:
        RequestRejected: a rule refused it, or the results cannot be written as asked.
        Conflict: a file that shall be written exists.
    """
    _check_files(wish)
    key = None if wish.csr else make_local_key(wish.key_type)
    csr = key.csr(names) if key else read_file(wish.csr or Path("-"))
    request = EnrollmentRequest(
        csr=read_csr(csr) if key else read_csr_text(csr),
        requester=Requester(invocation.actor, PROOF),
        template=wish.template,
        door=DOOR,
        validity=wish.validity,
    )
    with opened(invocation) as server:
        if wish.dry_run:
            write_dry_run(invocation, server.enrollment.dry_run(request))
            return
        passphrase = _passphrase(wish)
        outcome = _enroll(server, request, wish, key, passphrase)
    if isinstance(outcome, Pending):
        _write_pending(invocation, outcome)
        return
    if wish.out:
        write_output(certificates_as("pem", served_chain(outcome)), wish.out)
    if wish.p12_out and key and passphrase is not None:
        write_secret(wish.p12_out, pkcs12_of(outcome, key.pkcs8, passphrase))
    _write_issued(invocation, wish, outcome)


def _check_files(wish: IssueOptions) -> None:
    """Find out before anything is signed what could not be written afterwards."""
    for path in (wish.key_out, wish.p12_out):
        if path is not None and path.exists() and not wish.dry_run:
            raise Conflict(f"{path} exists already; it is not overwritten")
    if wish.p12_out and wish.key_type.startswith("ml-dsa"):
        raise RequestRejected("PKCS#12 has no place for ML-DSA keys yet: take --key-out and --out")


def _passphrase(wish: IssueOptions) -> bytes | None:
    if not (wish.p12_out or (wish.key_out and wish.encrypt_key)):
        return None
    return new_passphrase(wish.passphrase_file, str(wish.p12_out or wish.key_out))


def _enroll(
    server: PkiServer,
    request: EnrollmentRequest,
    wish: IssueOptions,
    key: LocalKey | None,
    passphrase: bytes | None,
) -> Issued | Pending:
    """Keep the key first: a certificate whose key is lost is of no use to anybody."""
    if key is None:
        return server.enroll(request)
    if wish.key_out is None:
        if server.templates.get(wish.template).approval:
            raise RequestRejected("somebody has to approve first: keep the key with --key-out")
        return server.enroll(request)
    text = write_private_key(key.pkcs8, passphrase if wish.encrypt_key else None)
    write_secret(wish.key_out, text)
    try:
        return server.enroll(request)
    except (StorageUnavailable, SignatureFaulty):
        # The certificate may be found later, and then its key is wanted.
        raise
    except PikaserverError:
        wish.key_out.unlink(missing_ok=True)
        raise


def _write_pending(invocation: Invocation, pending: Pending) -> None:
    number = pending.request_id
    if invocation.output == "table":
        click.echo(f"Request {number} waits for approval: 'pikaserver request approve {number}'.")
    else:
        invocation.write({"state": "pending", "request": number})
    click.get_current_context().exit(WAITING)


def _write_issued(invocation: Invocation, wish: IssueOptions, issued: Issued) -> None:
    files = {"out": wish.out, "key_out": wish.key_out, "p12_out": wish.p12_out}
    written = {name: str(path) for name, path in files.items() if path}
    row = {**certificate_row(issued.record), **written}
    invocation.write(row, pem=certificate_pem(served_chain(issued)))
    if not (wish.out or wish.p12_out) and invocation.output == "table":
        serial = write_serial(issued.record.serial)
        click.echo(f"Next: 'pikaserver cert export {serial} --out FILE' writes it.", err=True)
