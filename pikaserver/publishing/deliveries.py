"""From an item that a target lacks to the call that pushes its newest version."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from pikaserver.api.errors import NotFound
from pikaserver.api.publishing import Publisher, Target
from pikaserver.publishing.ground import Ground
from pikaserver.publishing.items import certificate_version, is_newer
from pikaserver.storage.publications import CERTIFICATE, STATUSES, Item, Publication


@dataclass(frozen=True, slots=True)
class Delivery:
    """A push that is to be made, and what the target has once it is done."""

    version: str
    number: int
    push: Callable[[], None]


@dataclass(frozen=True, slots=True)
class Deliveries:
    """Makes the deliveries of one publisher."""

    publisher: Publisher
    target: Target
    ground: Ground

    def next(self, item: Item, row: Publication | None) -> Delivery | None:
        """Return what is to be pushed of an item now; nothing when the target has it."""
        try:
            found = self._newest(item, row)
        except NotFound:
            return None  # it was there a moment ago, and the next look knows better
        if found is None or (row and not is_newer(found.version, found.number, row)):
            return None
        return found

    def _newest(self, item: Item, row: Publication | None) -> Delivery | None:
        if item.kind == STATUSES:
            return self._statuses(item, row)
        if item.kind == CERTIFICATE:
            return self._certificate(item)
        crl = self.ground.crls.latest(item.authority, item.generation, item.scope)
        return Delivery(str(crl.number), crl.number, partial(self.publisher.publish, crl))

    def _certificate(self, item: Item) -> Delivery | None:
        authority = self.ground.authorities.get(item.authority)
        for generation in authority.generations:
            if generation.number == item.generation and self.target.certificate is not None:
                push = partial(self.target.certificate, authority, generation)
                return Delivery(certificate_version(generation), 0, push)
        return None

    def _statuses(self, item: Item, row: Publication | None) -> Delivery | None:
        authority = self.ground.authorities.get(item.authority)
        for generation in authority.generations:
            if generation.number == item.generation and self.target.statuses is not None:
                count = self.ground.count(generation.id)
                # What changed before the target was there is on the CRL.
                changed = self.ground.changed(generation.id, row.number) if row else None
                if changed is None:
                    return Delivery(str(count), count, _nothing)
                push = partial(self.target.statuses, changed.records)
                return Delivery(str(changed.number), changed.number, push)
        return None


def _nothing() -> None:
    """Leave the target as it is."""
