"""The commands ``tsa stamp``, ``tsa verify`` and ``tsa accept-clock``."""

import hashlib
from collections.abc import Sequence
from http.client import HTTPException
from pathlib import Path
from urllib.request import Request, urlopen

import click

from pikaserver.api.commands import console
from pikaserver.api.errors import MalformedRequest, Unavailable
from pikaserver.asn1.chains import read_certificates
from pikaserver.asn1.digests import DIGEST_OIDS, python_name
from pikaserver.asn1.time_stamps import read_request, write_request
from pikaserver_tsa import storage
from pikaserver_tsa.station import station
from pikaserver_tsa.verifying import check_reply, trust_in, trust_of, verified

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_HASHES = [name for name in DIGEST_OIDS if name != "sha1"]
_QUERY = {"Content-Type": "application/timestamp-query"}
TIMEOUT = 30.0
_LARGEST = 1 << 20


@click.group()
def tsa() -> None:
    """Stamp files with the time, and verify such stamps."""


@tsa.command()
@click.argument("file", type=_FILE)
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="[default: FILE.tsr]")
@click.option("--url", metavar="URL", help="Ask this authority instead of the server's own.")
@click.option("--authority", metavar="NAME", help="Stamp by this authority of the server.")
@click.option(
    "--hash",
    "name",
    type=click.Choice(_HASHES),
    default="sha256",
    show_default=True,
    help="What of the file is stamped.",
)
@click.option("--policy", metavar="OID", help="The policy that is asked for.")
@click.option("--no-certificate", is_flag=True, help="Leave the certificates out of the stamp.")
def stamp(  # noqa: PLR0913 - one argument for each thing that a person decides
    file: Path,
    *,
    out: Path | None,
    url: str | None,
    authority: str | None,
    name: str,
    policy: str | None,
    no_certificate: bool,
) -> None:
    """Stamp a file with the time.

    Without --url the server's own data is used: no server has to run.
    """
    with console().server() as server:
        query = write_request(
            name,
            _digest(file, name),
            policy=policy,
            nonce=int.from_bytes(server.entropy(8), "big"),
            certificate_wanted=not no_certificate,
        )
        here = station(server)
        reply = _asked(url, query) if url else here.stamper.answer(query, here.unit(authority))[0]
    check_reply(read_request(query), reply)
    target = out or file.with_name(file.name + ".tsr")
    target.write_bytes(reply)
    click.echo(f"{target} holds the time-stamp", err=True)


@tsa.command()
@click.argument("file", type=_FILE)
@click.argument("stamp_file", metavar="STAMP", type=_FILE)
@click.option(
    "--ca",
    "anchors",
    type=_FILE,
    multiple=True,
    help="Certificates to trust.  [default: the authorities of this server]",
)
@click.option(
    "--untrusted",
    "others",
    type=_FILE,
    multiple=True,
    help="Further certificates of the path, where the stamp leaves them out.",
)
def verify(
    file: Path, stamp_file: Path, anchors: tuple[Path, ...], others: tuple[Path, ...]
) -> None:
    """Verify a time-stamp over a file.

    The digest, the signature, the certificate's purpose and its path are checked, as of the
    time that was stamped.  Revocations are known of this server's own certificates only.
    """

    def digest(name: str) -> bytes:
        return _digest(file, name)

    octets, known = stamp_file.read_bytes(), _certificates(others)
    if anchors:
        record = verified(digest, octets, trust_in(_certificates(anchors), known))
    else:
        with console().server() as server:
            record = verified(digest, octets, trust_of(server, known))
    console().write(record)


@tsa.command("accept-clock")
def accept_clock() -> None:
    """Go on from the present time, though a later one was stamped.

    For a clock that had run ahead and was put right.
    """
    with console().server() as server, server.database.transaction() as connection:
        before = storage.last_seen(connection)
        storage.forget(connection)
        server.audit.record(
            connection,
            "tsa.clock-accepted",
            console().actor,
            before=before.isoformat() if before else None,
        )


def _certificates(files: Sequence[Path]) -> list[bytes]:
    return [one for file in files for one in read_certificates(file.read_bytes())]


def _digest(file: Path, name: str) -> bytes:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, python_name(name)).digest()


def _asked(url: str, query: bytes) -> bytes:
    if not url.startswith(("http://", "https://")):
        raise MalformedRequest(f"{url!r} does not begin with http:// or https://")
    try:
        request = Request(url, query, _QUERY)  # noqa: S310 - checked above
        with urlopen(request, timeout=TIMEOUT) as answer:  # noqa: S310 - checked above
            return bytes(answer.read(_LARGEST))
    except (OSError, ValueError, HTTPException) as error:
        raise Unavailable(f"{url} does not answer: {error}") from error
