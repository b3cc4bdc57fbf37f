"""What an operator can say about an authority: its key, its certificate, its URLs and CRLs."""

from dataclasses import dataclass
from datetime import timedelta

import click

from pikaserver.cli.options import (
    DEFAULT_KEY_TYPE,
    DURATION,
    HASHES,
    KEY_TYPES,
    PAGE_URL,
    POINTER_URL,
    bundle,
)


@dataclass(frozen=True, slots=True)
class KeyOptions:
    """Which key, and how it signs."""

    key: str | None
    key_ref: str | None
    hash: str | None
    pss: bool


@dataclass(frozen=True, slots=True)
class ImportedKeyOptions:
    """Where a key from elsewhere is put, and how it signs."""

    key_ref: str | None
    hash: str | None
    pss: bool


@dataclass(frozen=True, slots=True)
class ContentOptions:
    """What the authority's own certificate says."""

    subject: str
    validity: timedelta | None
    path_length: int | None
    permit: tuple[str, ...]
    exclude: tuple[str, ...]
    policy: tuple[str, ...]
    digital_signature: bool


@dataclass(frozen=True, slots=True)
class PointerOptions:
    """What the certificates below point to, and how often CRLs come."""

    issuer_url: tuple[str, ...]
    crl_url: tuple[str, ...]
    ocsp_url: tuple[str, ...]
    cps: str | None
    crl_every: timedelta | None
    crl_validity: timedelta | None


_key = click.option(
    "--key",
    type=click.Choice(KEY_TYPES),
    metavar="TYPE",
    help=f"Its type, {DEFAULT_KEY_TYPE} unless told otherwise: {', '.join(KEY_TYPES)}.",
)
_key_ref = click.option(
    "--key-ref",
    metavar="SCHEME:NAME",
    help="Where the key lives, by default software:NAME-1; one that is there is taken.",
)
_hash = click.option(
    "--hash", type=click.Choice(HASHES), help="Hash of its RSA or ECDSA signatures."
)
_pss = click.option("--pss", is_flag=True, help="Sign with RSA-PSS instead of PKCS#1 v1.5.")

key_options = bundle("key", KeyOptions, _key, _key_ref, _hash, _pss)
imported_key_options = bundle("key", ImportedKeyOptions, _key_ref, _hash, _pss)

content_options = bundle(
    "content",
    ContentOptions,
    click.option(
        "--subject",
        required=True,
        metavar="NAME",
        help="Its subject, like 'CN=Example Root,O=Example,C=CH'.",
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

pointer_options = bundle(
    "pointers",
    PointerOptions,
    click.option(
        "--issuer-url",
        type=POINTER_URL,
        multiple=True,
        help="Where its certificate is found, instead of on this server.  Repeatable.",
    ),
    click.option(
        "--crl-url",
        type=POINTER_URL,
        multiple=True,
        help="Where its CRL is found, instead of on this server.  Repeatable.",
    ),
    click.option(
        "--ocsp-url",
        type=POINTER_URL,
        multiple=True,
        help="Where OCSP answers, instead of on this server.  Repeatable.",
    ),
    click.option("--cps", type=PAGE_URL, help="The page with its practice statement."),
    click.option("--crl-every", type=DURATION, help="How often a CRL is signed.  [default: 1d]"),
    click.option("--crl-validity", type=DURATION, help="How long a CRL holds.  [default: 1w]"),
)
