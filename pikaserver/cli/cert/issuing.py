"""Issuing at the command line: the operator is the requester, the road is the same."""

from dataclasses import replace

import click

from pikaserver.api.errors import Conflict
from pikaserver.api.issuance import (
    CertificationRequest,
    EnrollmentRequest,
    Issued,
    Pending,
    Requester,
)
from pikaserver.api.pairs import IssuedPair
from pikaserver.asn1.csr import read_csr, read_csr_text
from pikaserver.asn1.kem_keys import KEM_KEY_TYPES
from pikaserver.asn1.serials import write_serial
from pikaserver.cli.cert.dry_runs import write_dry_run
from pikaserver.cli.cert.enrolling import check_approval, dry_run, enroll, keys_to_keep
from pikaserver.cli.cert.found import served_chain
from pikaserver.cli.cert.options import IssueOptions
from pikaserver.cli.cert.pair_options import PairOptions
from pikaserver.cli.cert.pairing import check_files, second_wish
from pikaserver.cli.cert.wished_names import WishedNames
from pikaserver.cli.exit_codes import WAITING
from pikaserver.cli.exports import certificates_as, pkcs12_of
from pikaserver.cli.files import new_passphrase, read_file, write_output, write_secret
from pikaserver.cli.invocation import Invocation
from pikaserver.cli.local_keys import make_local_key
from pikaserver.cli.opened import opened
from pikaserver.cli.options import DEFAULT_KEY_TYPE
from pikaserver.cli.records import certificate_pem, certificate_row
from pikaserver.server import PkiServer

DOOR = "cli"
PROOF = "operator"


def issue_certificate(
    invocation: Invocation, wish: IssueOptions, pairing: PairOptions, names: WishedNames
) -> None:
    """Issue, or try, and write what came of it.

    Raises:
        RequestRejected: a rule refused it, or the results cannot be written as asked.
        Conflict: a file that shall be written exists.
    """
    _check_files(wish)
    check_files(pairing)
    key, csr = (None, read_csr_text(read_file(wish.csr))) if wish.csr else _made(wish, names)
    second = second_wish(pairing, names)
    request = EnrollmentRequest(
        csr=csr,
        requester=Requester(invocation.actor, PROOF),
        template=wish.template,
        door=DOOR,
        validity=wish.validity,
    )
    with opened(invocation) as server:
        if key is None and not wish.csr:
            key, request = _made_there(server, wish, request)
        if wish.dry_run:
            write_dry_run(invocation, dry_run(server, request, second))
            return
        check_approval(server, wish, second)
        passphrase = _passphrase(wish)
        keys = keys_to_keep(wish, pairing, (key, request.csr), second, passphrase)
        outcome = enroll(server, request, second, keys)
    if isinstance(outcome, Pending):
        _write_pending(invocation, outcome)
        return
    first = outcome.first if isinstance(outcome, IssuedPair) else outcome
    _write_files(wish, first, key, passphrase)
    if isinstance(outcome, IssuedPair):
        _write_pair(invocation, pairing, outcome)
    else:
        _write_issued(invocation, wish, outcome)


def _write_files(
    wish: IssueOptions, issued: Issued, key: bytes | None, passphrase: bytes | None
) -> None:
    if wish.out:
        write_output(certificates_as("pem", served_chain(issued)), wish.out)
    if wish.p12_out and key and passphrase is not None:
        write_secret(wish.p12_out, pkcs12_of(issued, key, passphrase))


def _write_pair(invocation: Invocation, pairing: PairOptions, pair: IssuedPair) -> None:
    if pairing.pair_out:
        write_output(certificates_as("pem", served_chain(pair.second)), pairing.pair_out)
    both = (pair.first, pair.second)
    rows = [certificate_row(one.record) for one in both]
    invocation.write(rows, pem=certificate_pem([one.certificate for one in both]))


def _made(wish: IssueOptions, names: WishedNames) -> tuple[bytes | None, CertificationRequest]:
    """Return a new key (PKCS#8 DER) with its request; of one that cannot sign only the wish."""
    signs = wish.key_type not in KEM_KEY_TYPES
    key = make_local_key(wish.key_type if signs else DEFAULT_KEY_TYPE)
    return key.pkcs8 if signs else None, read_csr(key.csr(names))


def _made_there(
    server: PkiServer, wish: IssueOptions, request: EnrollmentRequest
) -> tuple[bytes, EnrollmentRequest]:
    """Have a key made that cannot sign: its possession is proved by an answered challenge."""
    made = server.key_generator.generate(wish.key_type, request.csr)
    return made.pkcs8, replace(request, csr=made.csr, answer=made.answer)


def _check_files(wish: IssueOptions) -> None:
    """Find out before anything is signed what could not be written afterwards."""
    for path in (wish.key_out, wish.p12_out):
        if path is not None and path.exists() and not wish.dry_run:
            raise Conflict(f"{path} exists already; it is not overwritten")


def _passphrase(wish: IssueOptions) -> bytes | None:
    if not (wish.p12_out or (wish.key_out and wish.encrypt_key)):
        return None
    return new_passphrase(wish.passphrase_file, str(wish.p12_out or wish.key_out))


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
