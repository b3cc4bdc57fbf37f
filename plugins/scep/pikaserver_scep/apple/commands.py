"""The command ``scep profile``."""

from datetime import timedelta
from pathlib import Path

import click
from cryptography import x509
from cryptography.x509.oid import NameOID

from pikaserver.api.commands import console
from pikaserver_scep.apple.links import ProfileLinks
from pikaserver_scep.apple.payloads import Names
from pikaserver_scep.apple.profiles import Profiles, ProfileWish
from pikaserver_scep.durations import DURATION
from pikaserver_scep.settings import ScepSettings


class _Subject(click.ParamType[x509.Name]):
    """A distinguished name of RFC 4514; a word without ``=`` is a common name."""

    name = "subject"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> x509.Name:
        """See click."""
        text = str(value)
        try:
            if "=" not in text:
                return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])
            return x509.Name.from_rfc4514_string(text)
        except ValueError as error:
            self.fail(f"{text!r} is not a distinguished name: {error}", param, ctx)


@click.group()
def profile() -> None:
    """Make configuration profiles for Apple devices."""


@profile.command("create")
@click.option("--template", default="device", show_default=True, help="By whose rules.")
@click.option("--subject", type=_Subject(), required=True, help="CN=..., or just a common name.")
@click.option("--dns", help="A DNS name in the certificate.")
@click.option("--email", help="A mail address in the certificate.")
@click.option("--key-bits", type=int, default=2048, show_default=True, help="Of the RSA key.")
@click.option("--lifetime", type=DURATION, default="24h", show_default=True, help="For how long.")
@click.option("--acme-directory", metavar="URL", help="Enrol by ACME there instead of by SCEP.")
@click.option("--client-identifier", metavar="TEXT", help="What ACME knows the device by.")
@click.option("--no-attest", is_flag=True, help="Without an attestation of the key, for ACME.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Write it here.")
@click.option("--link", is_flag=True, help="Keep it behind a link, to be sent by mail.")
def create_profile(  # noqa: PLR0913 - one argument for each thing that a person decides
    *,
    template: str,
    subject: x509.Name,
    dns: str | None,
    email: str | None,
    key_bits: int,
    lifetime: timedelta,
    acme_directory: str | None,
    client_identifier: str | None,
    no_attest: bool,
    out: Path | None,
    link: bool,
) -> None:
    """Make a signed profile with a challenge inside."""
    if out is None and not link:
        raise click.UsageError("say --out FILE, --link, or both")
    wish = ProfileWish(
        template=template,
        subject=subject,
        names=Names(dns=dns, email=email),
        key_bits=key_bits,
        lifetime=lifetime,
        acme_directory=acme_directory,
        client_identifier=client_identifier,
        attest=not no_attest,
    )
    _write(wish, out, link=link)


def _write(wish: ProfileWish, out: Path | None, *, link: bool) -> None:
    """Make a profile, put it where it is wanted, and say where that is."""
    with console().server() as server:
        made = Profiles(server, server.settings(ScepSettings).profiles).make(wish, console().actor)
        url = ProfileLinks(server).create(made, console().actor) if link else None
    if out is not None:
        # The challenge inside is a secret.
        out.touch(mode=0o600)
        out.write_bytes(made.file)
    console().write(
        {
            "file": str(out) if out else None,
            "link": url,
            "template": wish.template,
            "subject": wish.subject.rfc4514_string(),
            "challenge_id": made.challenge_id,
            "expires_at": made.expires_at,
        }
    )
