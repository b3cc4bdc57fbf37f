"""Kill -9 while a pair is issued: whoever asks again gets it whole, and never another one."""

import os
import signal
import subprocess
import sys

import pytest
from cryptography import x509

from pikaserver.api.certificates import CertificateQuery, CertificateStatus
from pikaserver.api.errors import NotAuthenticated
from pikaserver.asn1.related_certificates import related_hash
from pikaserver.authority.recovery import resolve_intents
from pikaserver.opening import open_server
from pikaserver.settings.loading import load
from pikaserver.testing.servers import make_server
from tests.road.pair_ground import document, first_der, prepare, second_der
from tests.road.pair_killed import AFTER, BETWEEN, ask

NAME = "plc-21.example.test"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("killed")
    with make_server(made / "data") as server:
        prepare(server)
    return made


@pytest.fixture(scope="module")
def server(folder):
    """Open the data beside the process that is killed."""
    with open_server(load({}, data=folder / "data"), {}) as opened:
        yield opened


@pytest.fixture
def killed(server, folder):
    """Ask in another process that dies at a moment; return a way to ask again."""

    def at(moment, *, approval=False):
        (folder / "first.csr").write_bytes(first_der())
        (folder / "second.csr").write_bytes(second_der())
        text = document('pair = "quantum"', mode="refused", approval=approval)
        server.templates.save("paired", text, "test")
        user = server.codes.create("paired", "test").user
        if approval:
            pending = ask(server, folder, user)
            server.requests.decide(pending.request_id, "officer", approve=True)
        program = [sys.executable, "-m", "tests.road.pair_killed", str(folder), moment, user]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        ended = subprocess.run(program, env=environment, capture_output=True, check=False)
        assert -signal.SIGKILL == ended.returncode, ended.stderr
        resolve_intents(server.database, server.audit, server.node)
        return lambda: ask(server, folder, user)

    return at


def valid(server):
    query = CertificateQuery(name=NAME, status=CertificateStatus.VALID)
    return {one.id for one in server.certificates.find(query)}


@pytest.mark.parametrize(
    ("moment", "approval"),
    [(BETWEEN, False), (BETWEEN, True), ("second signature", False), (AFTER, True)],
)
def test_the_second_follows_when_the_same_is_asked_again(server, killed, moment, approval):
    """The first is found, its code or approval is not asked for again, and no third is made."""
    ask_again = killed(moment, approval=approval)
    before = valid(server)

    pair, again = ask_again(), ask_again()

    made = {pair.first.record.id, pair.second.record.id}
    assert made == {again.first.record.id, again.second.record.id}
    assert pair.first.record.id in before
    assert before | made == valid(server)
    assert len(valid(server)) - len(before) == (0 if moment == AFTER else 1)
    leaf = x509.load_der_x509_certificate(pair.second.certificate)
    assert related_hash(leaf).fits(pair.first.certificate)


@pytest.mark.parametrize("approval", [False, True])
def test_before_the_first_is_there_it_is_as_with_one_certificate(server, killed, approval):
    """The code went with the intent; an approval is good until there is a certificate."""
    ask_again = killed("first signature", approval=approval)
    before = valid(server)

    if approval:
        pair = ask_again()
        assert valid(server) - before == {pair.first.record.id, pair.second.record.id}
    else:
        with pytest.raises(NotAuthenticated):
            ask_again()
