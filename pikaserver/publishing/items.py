"""What there is to push now, and what of it a target does not have yet; pure."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from pikaserver.api.certificates import AuthorityRecord, Generation
from pikaserver.api.crls import DELTA_CRL, FULL_CRL, CrlSummary
from pikaserver.api.publishing import Target
from pikaserver.storage.publications import (
    CERTIFICATE,
    CRL,
    STATUSES,
    WHOLE_TARGET,
    Item,
    Publication,
)


@dataclass(frozen=True, slots=True)
class Supply:
    """The newest of everything; ``counts`` are revocations and releases by generation's id."""

    crls: Sequence[CrlSummary]
    authorities: Sequence[AuthorityRecord]
    counts: Mapping[int, int]


@dataclass(frozen=True, slots=True)
class Wanted:
    """One item in its newest version."""

    item: Item
    version: str
    number: int = 0


@dataclass(frozen=True, slots=True)
class Agenda:
    """What is to be pushed now, in this order, and when to look again at what failed."""

    due: tuple[Wanted, ...]
    retry_at: datetime | None = None


def wanted(supply: Supply, target: Target) -> Iterator[Wanted]:
    """Yield what a target should have: certificates, then CRLs, deltas after all others."""
    for authority, generation in _generations(supply):
        if target.certificate is not None and target.wants_certificate(authority, generation):
            item = Item(CERTIFICATE, authority.name, generation.number)
            yield Wanted(item, certificate_version(generation))
    for crl in sorted(supply.crls, key=lambda one: one.scope == DELTA_CRL):
        if target.wants(crl):
            item = Item(CRL, crl.authority, crl.generation, crl.scope)
            yield Wanted(item, str(crl.number), crl.number)
    for authority, generation in _generations(supply):
        if target.statuses is not None:
            count = supply.counts.get(generation.id, 0)
            yield Wanted(Item(STATUSES, authority.name, generation.number), str(count), count)


def agenda(
    everything: Iterable[Wanted],
    known: Mapping[Item, Publication],
    now: datetime,
    longest_wait: timedelta,
) -> Agenda:
    """Choose what is to be pushed: what is new, and not waiting after a failure.

    A time beyond the longest wait means a clock that was set back: it counts for nothing.
    """

    def waits(row: Publication | None) -> bool:
        retry_at = None if row is None else row.retry_at
        return retry_at is not None and now < retry_at <= now + longest_wait

    whole = known.get(WHOLE_TARGET)
    lacking = missing(everything, known)
    if whole is not None and waits(whole):
        return Agenda((), whole.retry_at if lacking else None)
    due: list[Wanted] = []
    waiting: list[Publication] = []
    for one in lacking:
        row = known.get(one.item)
        if row is not None and waits(row):
            waiting.append(row)
        elif not any(comes_before(held.item, one.item) for held in waiting):
            due.append(one)
    return Agenda(tuple(due), min((row.retry_at for row in waiting if row.retry_at), default=None))


def missing(everything: Iterable[Wanted], known: Mapping[Item, Publication]) -> list[Wanted]:
    """Return what a target lacks."""
    return [
        one
        for one in everything
        if one.item not in known or is_newer(one.version, one.number, known[one.item])
    ]


def is_newer(version: str, number: int, row: Publication) -> bool:
    """Tell whether a version should take the place of what a target has; never an older CRL."""
    return row.version != version and number >= row.number


def comes_before(first: Item, second: Item) -> bool:
    """Tell whether an item is of no use to a target that lacks another one: its full CRL."""
    return (first.kind, first.scope, second.scope) == (CRL, FULL_CRL, DELTA_CRL) and (
        first.authority,
        first.generation,
    ) == (second.authority, second.generation)


def certificate_version(generation: Generation) -> str:
    """Return what changes when an authority's certificate, or one beside it, does."""
    digest = hashlib.sha256()
    for der in (generation.certificate, *generation.chain, *generation.others):
        digest.update(hashlib.sha256(der).digest())
    return digest.hexdigest()


def place_version(place: str) -> str:
    """Return what changes when a target is another one than before."""
    return hashlib.sha256(place.encode()).hexdigest()


def _generations(supply: Supply) -> Iterator[tuple[AuthorityRecord, Generation]]:
    for authority in supply.authorities:
        for generation in authority.generations:
            yield authority, generation
