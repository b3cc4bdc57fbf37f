"""What an operator can say about an authority's URLs, CRLs and services."""

from dataclasses import dataclass
from datetime import timedelta

import click

from pikaserver.cli.options import DURATION, PAGE_URL, POINTER_URL, bundle


@dataclass(frozen=True, slots=True)
class PointerOptions:
    """What the certificates below point to, and how often CRLs come."""

    issuer_url: tuple[str, ...]
    crl_url: tuple[str, ...]
    ocsp_url: tuple[str, ...]
    cps: str | None
    crl_every: timedelta | None
    crl_validity: timedelta | None
    crl_overlap: timedelta | None
    crl_at_once: bool | None
    crl_deltas: bool | None
    crl_delta_every: timedelta | None
    crl_delta_validity: timedelta | None
    crl_delta_url: tuple[str, ...]
    crl_shards: int | None
    crl_full: bool | None
    crl_keep_expired: bool | None
    service: tuple[str, ...]


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
    click.option(
        "--crl-overlap",
        type=DURATION,
        help="How long a CRL holds beyond the next one, instead of --crl-validity.",
    ),
    click.option(
        "--crl-at-once/--no-crl-at-once",
        default=None,
        help="Sign one at once after a revocation, or at its hours only.  [default: at once]",
    ),
    click.option(
        "--crl-deltas/--no-crl-deltas",
        default=None,
        help="Sign deltas beside full CRLs; the full ones keep to their hours then.",
    ),
    click.option("--crl-delta-every", type=DURATION, help="How often a delta.  [default: 1h]"),
    click.option("--crl-delta-validity", type=DURATION, help="How long it holds.  [default: 1d]"),
    click.option(
        "--crl-delta-url",
        type=POINTER_URL,
        multiple=True,
        help="Where its delta CRL is found, instead of on this server.  Repeatable.",
    ),
    click.option(
        "--crl-shards",
        type=click.IntRange(0, 1000),
        metavar="N",
        help="Into how many parts the CRL is divided for what is issued from now on.",
    ),
    click.option(
        "--crl-full/--no-crl-full",
        default=None,
        help="Whether the full CRL lists what is on the parts, too.  [default: it does]",
    ),
    click.option(
        "--crl-keep-expired/--no-crl-keep-expired",
        default=None,
        help="Leave expired certificates on the CRL for ever.",
    ),
    click.option(
        "--service",
        multiple=True,
        metavar="SERVICE.KEY=VALUE",
        help="How a service's certificate is: ocsp.key-type=ec-p384, tsa.validity=3y, "
        "ocsp.key=agent:vault-a/ocsp; also hash, pss, subject, template.  Repeatable.",
    ),
)
