"""Which CRLs a key signs: the full one, a delta beside it, and the parts of a partition."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from cryptography import x509
from sqlalchemy import Connection

from pikaserver.api.crls import DELTA_CRL, FULL_CRL, shard_scope
from pikaserver.api.errors import Conflict, NotFound
from pikaserver.authority.authorities import AuthoritySettings, AuthorityView, IssuingKey
from pikaserver.authority.urls import AuthorityUrls, point
from pikaserver.storage import authorities as authorities_storage
from pikaserver.storage import crl_history, revocations
from pikaserver.storage import crls as storage

_SHARD = "shard-"


def scopes_of(connection: Connection, key: IssuingKey) -> Iterator[str]:
    """Yield the scopes of a key, the full one first.

    A delta or a shard that was signed once is signed for ever: certificates point to it.
    """
    known = storage.scopes(connection, key.generation.id)
    yield FULL_CRL
    if key.settings.crl_deltas or DELTA_CRL in known:
        yield DELTA_CRL
    for shard in range(
        1, max([key.settings.crl_shards, *(shard_of(one) or 0 for one in known)]) + 1
    ):
        yield shard_scope(shard)


def shard_of(scope: str) -> int | None:
    """Return the number of a shard's scope, ``None`` for any other."""
    return int(scope.removeprefix(_SHARD)) if scope.startswith(_SHARD) else None


def leaves_parts(settings: AuthoritySettings) -> bool:
    """Tell whether the full CRL and its delta leave the parts of a partition to themselves."""
    return bool(settings.crl_shards) and not settings.crl_full


def every(settings: AuthoritySettings, scope: str) -> timedelta:
    """Return how often the CRL of a scope comes, revocations aside."""
    delta = scope == DELTA_CRL
    return timedelta(
        seconds=settings.crl_delta_every_seconds if delta else settings.crl_every_seconds
    )


def validity(settings: AuthoritySettings, scope: str) -> timedelta:
    """Return how long the CRL of a scope holds."""
    delta = scope == DELTA_CRL
    return timedelta(
        seconds=settings.crl_delta_validity_seconds if delta else settings.crl_validity_seconds
    )


def is_due(connection: Connection, key: IssuingKey, scope: str, now: datetime) -> bool:
    """Tell whether a CRL is missing, over or outdated, or something was revoked since."""
    settings, generation_id = key.settings, key.generation.id
    try:
        last = storage.latest(connection, generation_id, scope)
    except NotFound:
        return True
    outdated = last.number <= settings.crl_outdated.get(generation_id, 0)
    if outdated or now >= last.this_update + every(settings, scope):
        return True
    if scope == DELTA_CRL:
        full = storage.latest(connection, generation_id)
        if last.base_number != full.number:
            return True
    # Where there are deltas, the full one keeps to its hours: it may be large.
    waits = scope == FULL_CRL and settings.crl_deltas
    if waits or not settings.crl_on_revocation:
        return False
    if authorities_storage.revocations(connection, generation_id) == last.revocations:
        return False
    shard = shard_of(scope)
    return shard is None or revocations.shard_changed(
        connection, generation_id, shard, last.revocations
    )


def outdating(
    connection: Connection, view: AuthorityView, name: str, settings: AuthoritySettings
) -> AuthoritySettings:
    """Return new settings of an authority that make its CRLs due where these say otherwise.

    A full CRL that does not point to its delta yet hides from verifiers what the delta tells,
    and a delta of another scope than its full CRL is none (RFC 5280 section 5.2.4).
    """
    before = view.settings[view.get(name).name]
    outdated = before.crl_outdated
    if _said(before) != _said(settings):
        ids = [one.id for one in view.get(name).generations]
        outdated = {one: crl_history.highest_number(connection, one) for one in ids}
    return settings.model_copy(update={"crl_outdated": outdated})


def _said(settings: AuthoritySettings) -> tuple[object, ...]:
    """Return what of the settings shows in a CRL beside its entries and times."""
    deltas = settings.crl_deltas, settings.crl_delta_urls
    return *deltas, settings.crl_urls, leaves_parts(settings), settings.crl_keep_expired


def distribution_point(
    urls: AuthorityUrls, key: IssuingKey, scope: str
) -> x509.IssuingDistributionPoint | None:
    """Return what says that a CRL is not about everything (RFC 5280 section 5.2.5).

    Its names are those to which the certificates of that part point.  A delta has that of its
    full CRL (section 5.2.4).

    Raises:
        Conflict: nothing points to that part, because no URL leads to it.
    """
    shard = shard_of(scope)
    if shard is None and not leaves_parts(key.settings):
        return None
    names = urls.of(key, shard).crl
    if not names:
        raise Conflict(
            f"authority {key.authority!r} has no URL for the parts of its CRL: let a listener"
            " without tls serve 'crl', or set --crl-url with {shard} in it"
        )
    return x509.IssuingDistributionPoint(
        full_name=[x509.UniformResourceIdentifier(name) for name in names],
        relative_name=None,
        only_contains_user_certs=False,
        only_contains_ca_certs=False,
        only_some_reasons=None,
        indirect_crl=False,
        only_contains_attribute_certs=False,
    )


def freshest(urls: AuthorityUrls, key: IssuingKey, scope: str) -> x509.FreshestCRL | None:
    """Return the pointer from a full CRL to its delta (RFC 5280 section 5.2.6)."""
    names = urls.of(key).delta
    if scope != FULL_CRL or not names:
        return None
    return x509.FreshestCRL([point(names)])
