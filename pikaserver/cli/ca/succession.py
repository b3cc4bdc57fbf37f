"""``pikaserver ca csr | renew | rekey | cross-sign``: what follows a certificate or a key."""

import functools
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import click

from pikaserver.api.certificates import AuthorityRecord
from pikaserver.cli.ca.options import (
    KeyOptions,
    TakeOverOptions,
    key_options,
    patience_option,
    take_over_options,
)
from pikaserver.cli.files import write_output
from pikaserver.cli.invocation import Invocation, command_options, place_options
from pikaserver.cli.options import DURATION, INPUT_FILE, out_option

_validity = click.option(
    "--validity", type=DURATION, help="How long the new certificate lives.  [default: as before]"
)


@click.command()
@click.argument("name")
@out_option
@place_options
def csr(invocation: Invocation, name: str, out: Path | None) -> None:
    """Print a CSR for an authority's key.

    Another CA certifies the key by it, for the first time or once more.
    """
    from pikaserver.asn1.pem import write_pem
    from pikaserver.cli.opened import opened

    with opened(invocation) as server:
        request = server.authorities.get(name).waiting_csr
        request = request or server.succession.csr(name, invocation.actor)
    write_output(write_pem("CERTIFICATE REQUEST", request), out)


@click.command()
@click.argument("name")
@_validity
@patience_option
@command_options
def renew(
    invocation: Invocation, name: str, validity: timedelta | None, wait: timedelta | None
) -> None:
    """Give an authority a new certificate over its key."""
    from pikaserver.cli.ca.patience import patiently
    from pikaserver.cli.ca.records import authority_details
    from pikaserver.cli.opened import opened
    from pikaserver.cli.records import certificate_pem

    with opened(invocation) as server:
        deed = functools.partial(server.succession.renew, name, invocation.actor, validity)
        record = patiently(deed, wait)
        pem = certificate_pem([server.authorities.key(name).generation.certificate])
        invocation.write(authority_details(server, record), pem=pem)


@click.command()
@click.argument("name")
@_validity
@key_options
@take_over_options
@patience_option
@command_options
def rekey(
    invocation: Invocation,
    name: str,
    *,
    validity: timedelta | None,
    key: KeyOptions,
    take_over: TakeOverOptions,
    wait: timedelta | None,
) -> None:
    """Give an authority a new key and a certificate over it.

    The old ones are still served: CRLs go on, and certificates below stay valid.  Where
    another CA signs, the new key waits with its CSR, and the old one issues until then.

    With --prepare clients can learn and trust the new certificate (SCEP GetNextCACert, EST
    cacerts) while the old key still issues; --activate, or the day of --on, changes over.
    """
    from pikaserver.cli.ca.patience import patiently, tell
    from pikaserver.cli.ca.plans import key_plan
    from pikaserver.cli.ca.records import authority_details
    from pikaserver.cli.opened import opened
    from pikaserver.cli.records import certificate_pem

    _check(take_over, key, validity)
    with opened(invocation) as server:
        if take_over.prepare or not take_over.activate:
            default = _next_name(server.authorities.get(name))
            plan = replace(key_plan(server, default, key), tell=tell)
            rekey = functools.partial(
                server.succession.rekey, name, plan, invocation.actor, validity
            )
            patiently(functools.partial(rekey, prepare=take_over.prepare), wait)
        elif take_over.on is None:
            patiently(functools.partial(server.taking_over.now, name, invocation.actor), wait)
        record = server.authorities.get(name)
        if record.waiting_csr is not None:
            click.echo(f"Next: have 'ca csr {name}' signed, then 'ca import-signed'.", err=True)
        elif take_over.on is not None:
            record = server.taking_over.on(name, take_over.on, invocation.actor)
        server.crls.issue_due()  # a CRL that is there from the first moment
        shown = record.prepared or server.authorities.key(name).generation
        pem = certificate_pem([shown.certificate])
        invocation.write(authority_details(server, record), pem=pem)


def _next_name(record: AuthorityRecord) -> str:
    """Return what the next key is called: that of a prepared one, which may lack its links."""
    newest = max(one.number for one in record.generations)
    return f"{record.name}-{newest if record.prepared else newest + 1}"


def _check(take_over: TakeOverOptions, key: KeyOptions, validity: timedelta | None) -> None:
    """Refuse options that do not go together."""
    if take_over.prepare and take_over.activate:
        raise click.UsageError("--prepare makes a key, --activate lets it take over: name one")
    if take_over.on is not None and not (take_over.prepare or take_over.activate):
        raise click.UsageError("--on goes with --prepare or --activate")
    if take_over.activate and (validity or key != KeyOptions(None, None, None, pss=False)):
        raise click.UsageError("--activate takes the key that is prepared")


@click.command("cross-sign")
@click.argument("issuer")
@click.option(
    "--certificate", "file", type=INPUT_FILE, metavar="FILE", help="The other CA's certificate."
)
@click.option("--authority", metavar="NAME", help="An authority of this server instead.")
@_validity
@patience_option
@out_option
@place_options
def cross_sign(  # noqa: PLR0913 - one argument for each thing that an operator decides
    invocation: Invocation,
    issuer: str,
    file: Path | None,
    authority: str | None,
    *,
    validity: timedelta | None,
    wait: timedelta | None,
    out: Path | None,
) -> None:
    """Certify another CA's key by ISSUER.

    Who trusts ISSUER trusts the other CA from then on, too.
    """
    from pikaserver.asn1.pem import write_pem
    from pikaserver.cli.ca.patience import patiently
    from pikaserver.cli.ca.plans import certificates_in
    from pikaserver.cli.opened import opened

    if (file is None) == (authority is None):
        raise click.UsageError("name either --certificate or --authority")
    with opened(invocation) as server:
        other = (
            certificates_in((file,))[0]
            if file
            else server.authorities.key(authority or "").certificate
        )
        deed = functools.partial(
            server.succession.cross_sign, other, issuer, invocation.actor, validity
        )
        cross = patiently(deed, wait)
    write_output(write_pem("CERTIFICATE", cross), out)
