"""Each challenge method through SCEP's own door: a device, a whole server, services elsewhere."""

import hashlib
import json
import re
from datetime import timedelta

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from cryptography import x509

from pikaserver.api.certificates import CertificateStatus
from pikaserver.clock import system_clock
from pikaserver.storage.database import open_database
from pikaserver.storage.migrations.environment import upgrade
from pikaserver.testing.client import ServiceClient
from pikaserver.testing.clock import FrozenClock
from pikaserver.testing.servers import make_server
from pikaserver_scep.challenges.accounts import NdesAccounts
from pikaserver_scep.challenges.building import challenges
from pikaserver_scep.challenges.static import Passphrases
from pikaserver_scep.plugin import register_migrations, register_services
from pikaserver_scep.settings import ScepSettings
from tests.scep.device import (
    BAD_REQUEST,
    CERT_POLL,
    FAILURE,
    PENDING,
    PKCS_REQ,
    SUCCESS,
    Device,
    House,
)
from tests.scep_challenges.elsewhere import environment_of
from tests.scep_challenges.intune_stand_in import IntuneState

BLOB = "intune-blob"


@pytest.fixture(scope="module")
def house(places, tls_file, tmp_path_factory):
    """Give a whole server; its templates ``by-...`` take one method each."""
    folder = tmp_path_factory.mktemp("door")
    rules = {
        "by-intune": {"methods": ["intune"], "intune": "contoso"},
        "by-webhook": {"methods": ["webhook"], "webhook": "inventory"},
        "by-person": {"methods": ["manual", "one-time"]},
        "by-page": {"methods": ["ndes"]},
        "by-network": {"networks": ["198.51.100.0/24"]},
    }
    environment = environment_of(rules, folder, places, tls_file)
    clock = FrozenClock(system_clock().replace(microsecond=0))
    with make_server(folder / "data", clock=clock, environment=environment) as server:
        made = House(server)
        made.clock = clock
        for name in rules:
            document = server.templates.document("device")
            server.templates.save(name, document, "test")
        yield made


@pytest.fixture
def intune(places):
    places[0].state = IntuneState()
    return places[0].state


@pytest.fixture(scope="module")
def keys():
    """Count devices, so that each has a name and a transaction of its own."""
    numbers = iter(range(1000))
    return lambda: next(numbers)


class Client:
    """A device before one template."""

    def __init__(self, house, template, number):
        self.house, self.path = house, f"/scep/{template}"
        self.device = Device(f"device-{number}", number=number % 3)
        self.transaction = f"door-{number}"

    def _sent(self, kind, content):
        house, device = self.house, self.device
        (recipient, *_) = house.ca_certificates(self.path)
        envelope = device.seal(content, recipient)
        message = device.message(kind, envelope, transaction=self.transaction)
        return house.post(message, self.path)

    def enrol(self, password):
        return self.device.read(self._sent(PKCS_REQ, self.device.csr(password)).content)

    def poll(self):
        return self.device.read(self._sent(CERT_POLL, b"who asks is in the signature").content)

    def status(self, password):
        return self._sent(PKCS_REQ, self.device.csr(password)).status_code


@pytest.fixture
def client(house, keys):
    return lambda template: Client(house, template, keys())


def run_job(house, name):
    server = house.server
    for job in challenges(server, server.settings(ScepSettings).challenges).jobs:
        if job.name == name:
            job.run()


def test_a_passphrase_and_a_one_time_challenge(house, client):
    """The usual two; a second use of the challenge is refused."""
    phrase = Passphrases(house.server).create("device", "test").passphrase
    secret = house.challenge()

    assert SUCCESS == client("device").enrol(phrase).status
    assert SUCCESS == client("device").enrol(secret).status
    refused = client("device").enrol(secret)
    assert (FAILURE, BAD_REQUEST) == refused.outcome


def test_a_password_from_the_ndes_page(house, client):
    """Fetched as Fleet does, used once."""
    service = register_services(house.server)[1]
    account = NdesAccounts(house.server).create("fleet", "test")
    page = ServiceClient(service).send(
        "GET", "/scep/by-page/mscep_admin/", user=("fleet", account.password)
    )
    found = re.search(r"challenge password is: <B> (\S*)", page.content.decode("utf-16"))

    assert SUCCESS == client("by-page").enrol(found[1]).status
    assert FAILURE == client("by-page").enrol(found[1]).status


def test_intune_says_yes(house, client, intune):
    """Validated, issued, told, ordered to be revoked, revoked, reported."""
    device = client("by-intune")
    reply = device.enrol(BLOB)
    run_job(house, "scep-intune-contoso")
    certificate = x509.load_der_x509_certificate(device.device.certificate_in(reply))
    (told,) = intune.successes
    intune.orders = [{"requestContext": "order", "serialNumber": told["certificateSerialNumber"]}]
    run_job(house, "scep-intune-contoso-revocations")

    record = house.server.certificates.by_certificate(device.device.certificate_in(reply))
    assert [device.transaction] == intune.validated
    assert f"{certificate.serial_number:X}" == told["certificateSerialNumber"]
    assert CertificateStatus.REVOKED is record.status
    assert [True] == [result["succeeded"] for result in intune.results]


def test_intune_says_no(house, client, intune):
    """Refused with its word; nothing is issued and nothing told."""
    intune.refuse["validateRequest"] = "ChallengeExpired"

    reply = client("by-intune").enrol(BLOB)
    run_job(house, "scep-intune-contoso")

    assert (FAILURE, BAD_REQUEST) == reply.outcome
    assert "ChallengeExpired" in reply.text
    assert ([], []) == (intune.successes, intune.failures)


def test_intune_is_down_and_comes_back(house, client, intune):
    """PENDING until then, by poll; then the certificate and one notification."""
    device = client("by-intune")
    intune.down = True
    waiting = [device.enrol(BLOB).status, device.poll().status]
    intune.down = False
    reply = device.poll()
    run_job(house, "scep-intune-contoso")

    assert [PENDING, PENDING] == waiting
    assert SUCCESS == reply.status
    assert 1 == len(intune.successes)


def test_intune_is_down_for_too_long(house, client, intune):
    """PENDING, then FAILURE; the failure is told once the service is back."""
    device = client("by-intune")
    intune.down = True
    waiting = device.enrol(BLOB)
    house.clock.advance(timedelta(hours=24))
    refused = device.poll()
    intune.down = False
    run_job(house, "scep-intune-contoso")

    assert (PENDING, FAILURE) == (waiting.status, refused.status)
    assert "could not be asked" in refused.text
    assert [device.transaction] == [told["transactionId"] for told in intune.failures]


def test_what_the_template_refuses_is_told_to_intune(house, client, intune):
    """A rule of ours: the device hears FAILURE, Intune the reason."""
    house.set(
        "subject.required=['CN', 'O']", "subject.from-request=['CN', 'O']", template="by-intune"
    )
    try:
        reply = client("by-intune").enrol(BLOB)
    finally:
        house.set(
            "subject.required=['CN']",
            "subject.from-request=['CN', 'serialNumber']",
            template="by-intune",
        )
    run_job(house, "scep-intune-contoso")

    assert FAILURE == reply.status
    assert [0xA0070001] == [told["hResult"] for told in intune.failures]


def test_a_webhook_decides(client, places):
    """Yes, no, and not now."""
    webhook = places[1]
    outcomes = []
    for status, answer in ((200, {"allow": True}), (200, {"allow": False}), (503, {})):
        webhook.answer = status, json.dumps(answer).encode()
        outcomes.append(client("by-webhook").enrol("asset").status)

    assert [SUCCESS, FAILURE, PENDING] == outcomes


def test_a_person_decides(house, client):
    """The template wants no approval, the method does; the device polls."""
    device = client("by-person")
    waiting = device.enrol(None)
    (stored,) = [one for one in house.server.requests.list() if one.template == "by-person"]
    still = device.poll()
    house.server.requests.decide(stored.id, "officer", approve=True)
    reply = device.poll()

    assert [PENDING, PENDING, SUCCESS] == [waiting.status, still.status, reply.status]
    assert FAILURE == client("by-person").enrol("guess-guess").status


def test_addresses_that_are_not_listed_get_no_answer_at_all(client):
    """Not even a signature."""
    assert 403 == client("by-network").status("whatever")


def test_a_guesser_is_locked_out_and_told_so_in_http(house, client):
    """SCEP has no word for it: 429, and when to come again."""
    house.server.lockouts.named("scep-challenge", 20)
    statuses = [client("by-page").status(f"guess-{n}") for n in range(21)]

    assert [200] * 20 + [429] == statuses
    house.clock.advance(timedelta(minutes=16))


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_the_revisions_make_the_tables_that_the_code_knows(request, tmp_path, kind):
    """Alembic finds nothing to add, to drop or to change."""
    url = f"sqlite:///{tmp_path}/pikaserver.db"
    if kind == "postgresql":
        cluster = request.getfixturevalue("postgres")
        url = cluster.url(cluster.create_database())
    branch = register_migrations()
    opened = open_database(url)
    upgrade(opened.engine, [branch])

    options = {"include_name": lambda name, kind, _: kind != "table" or name.startswith("scep_")}
    with opened.engine.connect() as connection:
        context = MigrationContext.configure(
            connection, opts=options | {"version_table": "scep_alembic_version"}
        )
        assert [] == compare_metadata(context, branch.metadata)
    opened.close()


def test_the_password_is_in_no_table_in_clear(house, intune, client):
    """Neither while a request waits for Intune nor afterwards."""
    intune.down = True
    client("by-intune").enrol(BLOB)
    secret = house.challenge()
    client("device").enrol(secret)

    with house.server.database.reading() as connection:
        tables = connection.exec_driver_sql(
            "SELECT name FROM sqlite_master WHERE type = 'table'"
        ).scalars()
        everything = [
            repr(row).encode()
            for table in list(tables)
            if table.startswith("scep_")
            for row in connection.exec_driver_sql(f"SELECT * FROM {table}")  # noqa: S608 - ours
        ]
    assert everything
    for hidden in (BLOB, secret):
        assert not [row for row in everything if hidden.encode() in row]
    assert hashlib.sha256(secret.encode()).digest()
