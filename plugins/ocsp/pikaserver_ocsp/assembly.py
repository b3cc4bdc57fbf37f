"""Puts the parts of the responder together, once for each server."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from itertools import chain
from weakref import ref

from pikaserver.api.operations import Clock, Event
from pikaserver.api.server import Server
from pikaserver_ocsp.counting import Counts
from pikaserver_ocsp.door import Door
from pikaserver_ocsp.issuers import Issuers
from pikaserver_ocsp.keeper import Keeper
from pikaserver_ocsp.keys import ResponderKeys
from pikaserver_ocsp.presigned import Presigned
from pikaserver_ocsp.requestors import Requestors
from pikaserver_ocsp.responder import Responder
from pikaserver_ocsp.settings import OcspSettings
from pikaserver_ocsp.shortcut import OcspShortcut
from pikaserver_ocsp.signing import AnswerSigning
from pikaserver_ocsp.store import AnswerStore
from pikaserver_ocsp.sweeping import Sweep
from pikaserver_ocsp.tripwire import Tripwire
from pikaserver_ocsp.warming import Warming

MOST = 5000
LONGEST = timedelta(seconds=5)
"""One run of the job makes so many answers, or takes so long: a server that stops waits for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ocsp:
    """All that hooks speak of."""

    settings: OcspSettings
    responder: Responder
    door: Door
    shortcut: OcspShortcut
    store: AnswerStore
    keeper: Keeper
    sweep: Sweep
    warming: Warming
    counts: Counts
    clock: Clock

    def refresh(self) -> None:
        """Do a piece of what is due: renew answers, then make missing ones."""
        end, left = self.clock() + LONGEST, MOST
        for done in chain(self.sweep.run(), self.warming.run()):
            left -= done
            if left <= 0 or self.clock() >= end:
                return


def assemble(server: Server) -> Ocsp:
    """Build the parts; none of them keeps the server itself alive."""
    settings, clock = server.settings(OcspSettings), server.clock
    database, certificates = server.database, server.certificates
    counts = Counts()
    issuers = Issuers(server.authorities, database)
    keys = ResponderKeys(server.services, certificates, settings)
    signing = AnswerSigning(keys, settings, counts, clock)
    store = AnswerStore(database, certificates, clock, settings.answers_in_memory)
    presigned = Presigned(store, signing, certificates, issuers, clock)
    keeper = Keeper(store, presigned, database, server.authorities, clock)
    responder = Responder(
        settings=settings,
        issuers=issuers,
        keys=keys,
        signing=signing,
        presigned=presigned,
        certificates=certificates,
        requestors=Requestors(certificates, settings),
        tripwire=Tripwire(_announcing(server), counts, clock),
        counts=counts,
        later=keeper.later,
    )
    door = Door(responder, issuers)
    sweep, warming = _jobs(server, responder, store)
    return Ocsp(
        settings=settings,
        responder=responder,
        door=door,
        shortcut=OcspShortcut(door, responder, store, database, clock),
        store=store,
        keeper=keeper,
        sweep=sweep,
        warming=warming,
        counts=counts,
        clock=clock,
    )


def _jobs(server: Server, responder: Responder, store: AnswerStore) -> tuple[Sweep, Warming]:
    sweep = Sweep(
        settings=responder.settings,
        database=server.database,
        issuers=responder.issuers,
        presigned=responder.presigned,
        store=store,
        clock=server.clock,
    )
    warming = Warming(
        settings=responder.settings,
        database=server.database,
        authorities=server.authorities,
        certificates=server.certificates,
        presigned=responder.presigned,
        store=store,
        clock=server.clock,
    )
    return sweep, warming


def _announcing(server: Server) -> Callable[[Event], None]:
    weak = ref(server)

    def announce(event: Event) -> None:
        there = weak()
        if there is not None:
            there.announce(event)

    return announce
