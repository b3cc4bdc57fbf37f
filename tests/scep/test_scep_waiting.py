"""What comes twice at once, waits for something that is away, or outlives a key."""

import threading
from datetime import timedelta

import pytest

from pikaserver.api.errors import KeyUnavailable, StorageUnavailable
from pikaserver.authority import issuance
from pikaserver.signing.sign import sign_tbs
from pikaserver.testing.servers import make_server
from pikaserver_scep.challenges.building import challenges
from pikaserver_scep.challenges.method import Postponed
from pikaserver_scep.challenges.static import Passphrases
from pikaserver_scep.enrolling import Enrolling
from pikaserver_scep.looking_up import LookingUp
from pikaserver_scep.operations import Operations
from pikaserver_scep.registrars import Registrars
from pikaserver_scep.settings import ScepSettings
from pikaserver_scep.station import station
from pikaserver_scep.transactions import Transactions
from tests.scep.conftest import ENABLED
from tests.scep.device import (
    CERT_POLL,
    PENDING,
    PKCS_REQ,
    SUCCESS,
    Device,
    House,
)
from tests.scep.openssl_device import OpensslDevice


class Moody:
    """Challenges that agree, but for as long as they are told to wait; they are asked for good."""

    def __init__(self, real):
        self._real, self.away, self.told = real, False, []

    def check(self, question):
        return Postponed("the service is away") if self.away else self._real.check(question)

    def check_address(self, template, address):
        self._real.check_address(template, address)

    def settled(self, question, outcome):
        self.told.append(type(outcome).__name__)


class Wilful:
    """A server whose key or database is away when a test says so."""

    def __init__(self, real):
        self._real, self.error = real, None

    def __getattr__(self, name):
        return getattr(self._real, name)

    def enroll(self, request):
        if self.error is not None:
            raise self.error
        return self._real.enroll(request)


class Desk:
    """The operations of a house with parts that may be away."""

    def __init__(self, house):
        self.house, settings = house, ScepSettings()
        self.server = Wilful(house.server)
        self.challenges = Moody(challenges(house.server, settings.challenges).desk)
        registrars = Registrars(house.server.services, house.server.authorities, settings)
        enrolling = Enrolling(self.server, self.challenges, Transactions(house.server, settings))
        self.operations = Operations(
            self.server, registrars, self.challenges, enrolling, LookingUp(house.server)
        )

    def ask(self, device, message):
        template = self.house.server.templates.get("device")
        return device.read(self.operations.answer(message, template, None).octets)

    def poll(self, device, transaction):
        envelope = device.seal(b"nobody looks", self.house.recipient)
        return self.ask(device, device.message(CERT_POLL, envelope, transaction=transaction))


def request(house, device, transaction, password=None):
    envelope = device.seal(device.csr(password or house.challenge()), house.recipient)
    return device.message(PKCS_REQ, envelope, transaction=transaction)


def test_the_same_message_many_times_at_once_is_one_certificate(house, device):
    """Whoever is given one is given the same; the challenge counts once."""
    message, before = request(house, device, "at once"), house.issued()
    replies, ready = [], threading.Barrier(6)

    def ask():
        ready.wait()
        replies.append(house.ask(device, message))

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    got = {device.certificate_in(reply) for reply in replies if reply.status == SUCCESS}
    assert 1 == len(got)
    assert {reply.status for reply in replies} <= {SUCCESS, PENDING}
    assert before + 1 == house.issued()
    assert got == {device.certificate_in(house.ask(device, message))}


def test_what_is_being_signed_is_waited_for(house, device, monkeypatch):
    """A slow token and an impatient device: PENDING, and then what the first message got.

    Whoever decided on it is not asked again: what let it in may not count any more.
    """
    passphrases = Passphrases(house.server)
    let_in = passphrases.create("device", "test")
    message = request(house, device, "slow token", let_in.passphrase)
    before = house.issued()
    begun, may_end, replies = threading.Event(), threading.Event(), []

    def slowly(*words):
        begun.set()
        assert may_end.wait(60)
        return sign_tbs(*words)

    with monkeypatch.context() as patched:
        patched.setattr(issuance, "sign_tbs", slowly)
        thread = threading.Thread(target=lambda: replies.append(house.ask(device, message)))
        thread.start()
        assert begun.wait(60)
        replies.append(house.ask(device, message))
        may_end.set()
        thread.join()
    passphrases.withdraw(let_in.id, "test")
    replies.append(house.ask(device, message))

    assert [PENDING, SUCCESS, SUCCESS] == [reply.status for reply in replies]
    assert device.certificate_in(replies[1]) == device.certificate_in(replies[2])
    assert before + 1 == house.issued()


def test_a_challenge_service_that_is_away_is_waited_for(house, device):
    """The password is kept sealed, and asked about again at each poll."""
    desk, password = Desk(house), house.challenge()
    desk.challenges.away = True
    message = request(house, device, "postponed", password)

    assert PENDING == desk.ask(device, message).status
    assert PENDING == desk.poll(device, "postponed").status
    assert not any(password.encode() in octets for octets in stored(house))
    desk.challenges.away = False
    reply = desk.poll(device, "postponed")

    assert SUCCESS == reply.status
    assert device.certificate_in(reply) == device.certificate_in(desk.ask(device, message))
    assert ["Issued"] == desk.challenges.told


def stored(house):
    """Yield the octets of all files of the server's data."""
    folder = house.folder
    return [path.read_bytes() for path in folder.rglob("*") if path.is_file()]


def test_a_key_that_is_away_is_waited_for(house, device):
    """As RFC 8894 lets a client wait; the challenge method hears of both."""
    desk = Desk(house)
    desk.server.error = KeyUnavailable("the agent's line is down")

    assert PENDING == desk.ask(device, request(house, device, "no key")).status
    desk.server.error = None

    assert SUCCESS == desk.poll(device, "no key").status
    assert ["KeyUnavailable", "Issued"] == desk.challenges.told


def test_a_database_that_is_away_is_told_in_http(house, device):
    """Nothing could be kept, so the client shall come again with the same."""
    desk = Desk(house)
    desk.server.error = StorageUnavailable("disk full")

    with pytest.raises(StorageUnavailable):
        desk.ask(device, request(house, device, "no database"))


def test_an_approval_after_a_wait_is_waited_for_as_well(house, device):
    """First the service is away, then a person has to decide."""
    desk = Desk(house)
    desk.challenges.away = True
    house.set("approval=true")
    try:
        assert PENDING == desk.ask(device, request(house, device, "both")).status
        desk.challenges.away = False
        assert PENDING == desk.poll(device, "both").status
        waiting = house.server.requests.list()[0]
        house.server.requests.decide(waiting.id, "boss", approve=True)
        reply = desk.poll(device, "both")
    finally:
        house.set("approval=false")

    assert SUCCESS == reply.status


def test_weak_algorithms_are_logged(house, device, caplog):
    """Each use, so that somebody can see when the switch may go."""
    house.set('scep.compatibility=["sha1", "3des"]')
    try:
        envelope = device.seal(device.csr(house.challenge()), house.recipient, "3des")
        message = device.message(PKCS_REQ, envelope, transaction="log", hash_name="sha1")
        with caplog.at_level("WARNING"):
            assert SUCCESS == house.ask(device, message).status
    finally:
        house.set("scep.compatibility=[]")

    (record,) = [one for one in caplog.records if one.message == "weak algorithms in a message"]
    assert "3des, sha1" == record.algorithms


def test_a_weak_hash_of_the_request_alone_is_logged(house, openssl, tmp_path, caplog):
    """What is around it may be of today."""
    device = OpensslDevice(openssl, tmp_path)
    house.set('scep.compatibility=["md5"]')
    try:
        envelope = device.seal(device.csr(house.challenge(), "-md5"), house.recipient)
        with caplog.at_level("WARNING"):
            device.opened(
                device.verified(
                    house.post(device.message(PKCS_REQ, envelope)).content, house.ca_certificates()
                )
            )
    finally:
        house.set("scep.compatibility=[]")

    (record,) = [one for one in caplog.records if one.message == "weak algorithms in a request"]
    assert ("md5", "device") == (record.algorithms, record.template)


def test_a_registration_authority_is_replaced_in_time(tmp_path):
    """Clients keep its certificate: the one before decrypts until it expires."""
    with make_server(tmp_path / "data", environment=ENABLED) as server:
        house = House(server)
        before = house.recipient
        server.clock.advance(timedelta(days=300))
        after, device = house.recipient, Device()
        envelope = device.seal(device.csr(house.challenge()), before)
        reply = house.ask(device, device.message(PKCS_REQ, envelope, transaction="old"))

    assert before != after
    assert SUCCESS == reply.status
    assert after == reply.signer


def test_a_station_is_made_once(house):
    """All hooks of a server work with the same."""
    assert station(house.server) is station(house.server)
