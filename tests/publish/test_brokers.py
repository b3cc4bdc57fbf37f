"""A revoked client is refused by a real mosquitto within seconds; the others go on."""

import contextlib
import os
import select
import subprocess

import pytest

from pikaserver.testing.servers import free_port
from tests.publish.message_brokers import broker
from tests.publish.plant import FOLLOW, SECONDS, plant, seconds_until
from tests.publish.programs import program


@pytest.fixture(scope="module")
def ports():
    return {"file": free_port(), "mqtt": free_port()}


@pytest.fixture(scope="module")
def house(tmp_path_factory, ports):
    """A server that publishes to the second broker, from before that is there."""
    folder = tmp_path_factory.mktemp("plant")
    target = f"""
[plugins.publish.targets.broker]
kind = "mqtt"
host = "localhost"
port = {ports["mqtt"]}
crl = "pki/crl/{{authority}}{{part}}"
status = "pki/news/{{authority}}"
authorities = ["issuing"]
ca-file = "{folder}/chain.pem"
client-certificate = "{folder}/publisher.pem"
client-key = "{folder}/publisher.key"
"""
    with plant(folder, target) as found:
        found.identity("publisher")
        found.identity("reader")
        found.identity("localhost", "web")
        yield found


@pytest.fixture
def brokers(house, ports, tmp_path):
    """Start a broker that checks its clients against a file of CRLs."""

    @contextlib.contextmanager
    def start(name):
        folder = tmp_path / name
        folder.mkdir()
        crl, identity = (
            folder / "crl.pem",
            (house.folder / "localhost.pem", house.folder / "localhost.key"),
        )
        once = ("--once", "--pem", "--out", crl, "--issuer", house.chain)
        url = f"{house.server.http.replace('pki.example.test', '127.0.0.1')}/crl/issuing.crl"
        subprocess.run([str(word) for word in (*FOLLOW, url, *once)], check=True)
        with broker(folder, identity, house.chain, f"crlfile {crl}", port=ports[name]):
            yield crl, ("--signal", "HUP", "--pid-file", folder / "mosquitto.pid"), url

    return start


def publishes(port, house, name):
    """Tell whether a machine can send a message."""
    tool = program("mosquitto_pub", "mosquitto-clients")
    line = ["-h", "localhost", "-p", str(port), "--cafile", house.chain, "-q", "1"]
    own = ["--cert", house.folder / f"{name}.pem", "--key", house.folder / f"{name}.key"]
    done = subprocess.run(
        [tool, *line, *own, "-t", f"plant/{name}", "-m", "x"], capture_output=True, check=False
    )
    return done.returncode == 0


@contextlib.contextmanager
def staying(port, house, name, topic):
    """Give a machine that listens all the time."""
    tool = program("mosquitto_sub", "mosquitto-clients")
    line = ["-h", "localhost", "-p", str(port), "--cafile", house.chain, "-F", "%p", "-N"]
    own = ["--cert", house.folder / f"{name}.pem", "--key", house.folder / f"{name}.key"]
    command = [tool, *line, *own, "-t", topic]
    with subprocess.Popen(command, stdout=subprocess.PIPE, bufsize=0) as process:
        try:
            yield process
        finally:
            process.terminate()


def hears(listener, port, house, name, seconds):
    """Tell whether a listener gets what a machine sends now; it may not have subscribed yet."""
    while select.select([listener.stdout], [], [], 0)[0]:
        assert os.read(listener.stdout.fileno(), 4096), "the listener has ended"
    assert publishes(port, house, name)
    return bool(select.select([listener.stdout], [], [], seconds)[0])


def check_refusal(house, port, names):
    """Revoke the first machine: it is refused within seconds, the second one goes on."""
    revoked, good = names
    with staying(port, house, "reader", f"plant/{good}") as listener:
        for name in (revoked, good):
            house.identity(name)
            seconds_until(lambda name=name: publishes(port, house, name))
        seconds_until(lambda: hears(listener, port, house, good, 1))

        house.revoke(house.folder / f"{revoked}.pem")
        seconds = seconds_until(lambda: not publishes(port, house, revoked))

        assert hears(listener, port, house, good, SECONDS)
        assert listener.poll() is None
    assert seconds < SECONDS


def test_a_broker_whose_file_is_fed_by_crl_follow(house, ports, brokers):
    """Over HTTP, asked every second, told by SIGHUP."""
    with brokers("file") as (crl, tell, url):
        words = ("--pem", "--out", crl, "--issuer", house.chain, *tell)
        with house.following(url, *words):
            check_refusal(house, ports["file"], ("plc-1", "plc-2"))


def test_a_broker_that_is_fed_by_its_own_messages(house, ports, brokers):
    """The server sends it the CRL; beside it a follower puts that into its file."""
    with brokers("mqtt") as (crl, tell, _):
        url = f"mqtts://localhost:{ports['mqtt']}/pki/crl/issuing"
        own = ("--client-certificate", house.folder / "reader.pem")
        own += ("--client-key", house.folder / "reader.key", "--ca-file", house.chain)
        words = ("--pem", "--out", crl, "--issuer", house.chain, *tell, *own)
        with house.following(url, *words):
            check_refusal(house, ports["mqtt"], ("plc-3", "plc-4"))

    assert "published" == house.targets()["broker", "crl full issuing"]["state"]
