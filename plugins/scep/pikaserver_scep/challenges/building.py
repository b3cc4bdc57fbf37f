"""Builds the desk with its methods, and the jobs of those that have some."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from weakref import WeakKeyDictionary

from pikaserver.api.operations import Job
from pikaserver.api.outgoing import HttpClient, read_secret
from pikaserver.api.server import Server
from pikaserver_scep.challenges.desk import ChallengeDesk
from pikaserver_scep.challenges.intune import revoking, telling
from pikaserver_scep.challenges.intune.asking import Intune
from pikaserver_scep.challenges.intune.revoking import Revocations
from pikaserver_scep.challenges.intune.service import IntuneService
from pikaserver_scep.challenges.intune.states import IntuneRequests
from pikaserver_scep.challenges.intune.telling import Notifications
from pikaserver_scep.challenges.intune.validation import Validation
from pikaserver_scep.challenges.manual import Manual
from pikaserver_scep.challenges.method import ChallengeMethod
from pikaserver_scep.challenges.one_time import OneTime
from pikaserver_scep.challenges.settings import ChallengeSettings
from pikaserver_scep.challenges.static import Static
from pikaserver_scep.challenges.webhook import Webhook


@dataclass(frozen=True, slots=True)
class Built:
    """What one server has of challenges."""

    desk: ChallengeDesk
    jobs: tuple[Job, ...]


_built: WeakKeyDictionary[Server, Built] = WeakKeyDictionary()


def challenges(server: Server, settings: ChallengeSettings) -> Built:
    """Return the desk and the jobs of a server; each hook of one server works with the same.

    Raises:
        ConfigurationError: a file that the settings name cannot be used.
    """
    if server not in _built:
        _built[server] = _build(server, settings)
    return _built[server]


def _build(server: Server, settings: ChallengeSettings) -> Built:
    methods: dict[str, ChallengeMethod] = {
        "one-time": OneTime(server, "one-time"),
        "ndes": OneTime(server, "ndes"),
        "static": Static(server),
        "manual": Manual(),
    }
    for name, webhook in settings.webhooks.items():
        HttpClient(webhook.route).check_files()
        read_secret(webhook.secret_file)
        methods[f"webhook/{name}"] = Webhook(name, webhook, server.clock)
    jobs: list[Job] = []
    for name in settings.intune:
        method, more = _intune(server, settings, name)
        methods[f"intune/{name}"] = method
        jobs += more
    return Built(ChallengeDesk(settings, methods, server.lockouts), tuple(jobs))


def _intune(server: Server, settings: ChallengeSettings, name: str) -> tuple[Intune, Iterator[Job]]:
    own = settings.intune[name]
    HttpClient(own.route).check_files()
    read_secret(own.secret_file)
    service = IntuneService(own, server.clock, server.entropy)
    validation, requests = Validation(service), IntuneRequests(server)
    give_up = timedelta(hours=own.give_up_hours)
    method = Intune(name, validation, requests, server.clock, give_up)

    def jobs() -> Iterator[Job]:
        told = Notifications(name, server, requests, validation, give_up)
        yield Job(f"scep-intune-{name}", telling.EVERY, told.run)
        if own.revocations:
            templates = {t for t, rules in settings.templates.items() if rules.intune == name}
            revoked = Revocations(name, server, service, templates)
            yield Job(f"scep-intune-{name}-revocations", revoking.EVERY, revoked.run)

    return method, jobs()
