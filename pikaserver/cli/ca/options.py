"""What an operator can say about an authority: its key, its certificate, its URLs and CRLs."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import click

from pikaserver.cli.options import (
    DEFAULT_KEY_TYPE,
    DURATION,
    HASHES,
    KEY_TYPES,
    MOMENT,
    KeyType,
    bundle,
)


@dataclass(frozen=True, slots=True)
class KeyOptions:
    """Which key, and how it signs."""

    key: str | None
    key_type: str | None
    hash: str | None
    pss: bool


@dataclass(frozen=True, slots=True)
class ImportedKeyOptions:
    """Where a key from elsewhere is put, and how it signs."""

    key: str | None
    hash: str | None
    pss: bool


@dataclass(frozen=True, slots=True)
class TakeOverOptions:
    """Whether a new key is only prepared, and when it takes over."""

    prepare: bool
    activate: bool
    on: datetime | None


@dataclass(frozen=True, slots=True)
class ContentOptions:
    """What the authority's own certificate says."""

    subject: str | None
    validity: timedelta | None
    path_length: int | None
    permit: tuple[str, ...]
    exclude: tuple[str, ...]
    policy: tuple[str, ...]
    digital_signature: bool


def _refuse_a_type(_: click.Context, __: click.Parameter, value: str | None) -> str | None:
    if value in KEY_TYPES:
        raise click.UsageError(f"{value} is a type: --key-type {value}; --key says where it lives")
    return value


_key_type = click.option(
    "--key-type",
    type=KeyType(),
    metavar="TYPE",
    help=f"Its type, {DEFAULT_KEY_TYPE} unless told otherwise: {', '.join(KEY_TYPES)}.",
)
_key = click.option(
    "--key",
    metavar="SCHEME:NAME",
    callback=_refuse_a_type,
    help="Where the key lives, by default software:NAME-1; one that is there is taken.  "
    "agent:AGENT/LABEL is a key that a signing agent keeps, or makes now; openssl:NAME one that "
    "OpenSSL signs with, such as SLH-DSA.",
)
_hash = click.option(
    "--hash", type=click.Choice(HASHES), help="Hash of its RSA or ECDSA signatures."
)
_pss = click.option("--pss", is_flag=True, help="Sign with RSA-PSS instead of PKCS#1 v1.5.")

key_options = bundle("key", KeyOptions, _key, _key_type, _hash, _pss)
imported_key_options = bundle("key", ImportedKeyOptions, _key, _hash, _pss)

content_options = bundle(
    "content",
    ContentOptions,
    click.option(
        "--subject",
        metavar="NAME",
        help="Its subject, like 'CN=Example Root,O=Example,C=CH'.  "
        "[default: its name, and the rest as its parent's]",
    ),
    click.option(
        "--validity",
        type=DURATION,
        help="How long its certificate lives: 10y.  [default: root 20y, others 10y]",
    ),
    click.option(
        "--path-length",
        type=click.IntRange(min=0),
        metavar="N",
        help="How many authorities may stand below each other under it; 0: none.",
    ),
    click.option(
        "--permit",
        multiple=True,
        metavar="KIND:BASE",
        help="Certify nothing of this kind outside: dns:example.com, ip:10.0.0.0/8, "
        "email:.example.com.  Repeatable.",
    ),
    click.option(
        "--exclude", multiple=True, metavar="KIND:BASE", help="Certify nothing inside.  Repeatable."
    ),
    click.option(
        "--policy",
        multiple=True,
        metavar="OID",
        help="A certificate policy that a subordinate stands for.  Repeatable.",
    ),
    click.option(
        "--digital-signature",
        is_flag=True,
        help="Let its key sign more than certificates and CRLs, like OCSP answers.",
    ),
)

take_over_options = bundle(
    "take_over",
    TakeOverOptions,
    click.option(
        "--prepare",
        is_flag=True,
        help="Certify the new key and tell it to clients; it issues nothing before --activate.",
    ),
    click.option("--activate", is_flag=True, help="Let the prepared key take over, now or --on."),
    click.option(
        "--on",
        type=MOMENT,
        metavar="TIME",
        help="When the prepared key takes over by itself: 2027-03-01.",
    ),
)

patience_option = click.option(
    "--wait",
    type=DURATION,
    help="How long to wait where somebody has to approve the signature: 10m.  [default: not]",
)
