"""Brokers that are mosquitto: retained CRLs and news, over TLS with a client certificate."""

import contextlib
import json
import socket
import threading
from dataclasses import replace

import pytest
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

from pikaserver.api.certificates import Revocation, RevocationReason
from pikaserver.api.errors import RequestRejected, Unavailable
from pikaserver.asn1.csr import read_csr
from pikaserver.testing.patience import SECONDS
from pikaserver.testing.throw_away import throw_away_key, throw_away_request
from tests.publish.certificates import TinyPki
from tests.publish.message_brokers import broker, subscribed
from tests.publish.programs import wait_for

TOPICS = 'crl="pki/crl/{authority}{part}"\ncertificate="pki/ca/{authority}.cer"'


@pytest.fixture(scope="module")
def pki(tmp_path_factory):
    return TinyPki(tmp_path_factory.mktemp("pki"))


@pytest.fixture
def mosquitto(tmp_path, pki):
    with broker(tmp_path, pki.identity("broker"), pki.ca) as port:
        yield port


@pytest.fixture
def publisher(house, pki):
    """Make publishers that sign in with a certificate."""

    def make(port, *lines, name="publisher", topics=TOPICS):
        certificate, key = pki.identity(name)
        signed = f'client-certificate="{certificate}"\nclient-key="{key}"\nca-file="{pki.ca}"'
        place = f'kind="mqtt"\nhost="localhost"\nport={port}'
        return house.publisher("\n".join([place, signed, topics, *lines]))

    return make


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_whoever_subscribes_later_gets_the_newest_crl(house, mosquitto, publisher, pki, protocol):
    """The broker keeps the message."""
    one = publisher(mosquitto, f'protocol="{protocol}"')
    one.publish(house.issue())
    crl = house.issue()

    one.publish(crl)
    one.target.certificate(*house.certificate())

    assert [(True, "pki/crl/issuing", crl.crl)] == subscribed(mosquitto, pki, "pki/crl/+")
    certificate = house.certificate()[1].certificate
    assert [(True, "pki/ca/issuing.cer", certificate)] == subscribed(mosquitto, pki, "pki/ca/+")


def test_news_tell_of_crls_and_certificates(house, mosquitto, publisher, pki):
    """Small messages for those who do not want the list; nobody gets them later."""
    one = publisher(mosquitto, 'status="pki/news/{authority}"')
    key = throw_away_key(house.server.entropy)
    record = house.server.issue(read_csr(throw_away_request(key, "plc-21")))
    hold = Revocation(house.clock(), RevocationReason.CERTIFICATE_HOLD)
    held = house.server.revoke(record, hold, "test")
    final = Revocation(house.clock(), RevocationReason.KEY_COMPROMISE)
    revoked = replace(held, revocation=final, status="revoked")
    with listening(mosquitto, pki, "pki/news/#") as heard:
        one.target.statuses([held, record, revoked])
        one.publish(house.issue())
        wait_for(lambda: len(heard) == 4)

    told = [json.loads(octets) for octets in heard]
    assert ["held", "released", "revoked", "crl"] == [one["event"] for one in told]
    assert f"{record.serial:x}" == told[0]["serial"].replace(":", "").lower().lstrip("0")
    assert ["certificateHold", "keyCompromise"] == [
        one["reason"] for one in told if "reason" in one
    ]
    assert (1, "pki/crl/issuing") == (told[3]["number"], told[3]["topic"])


@contextlib.contextmanager
def listening(port, pki, topic):
    """Give the messages that come from now on."""
    certificate, key = pki.identity("reader")
    client = Client(CallbackAPIVersion.VERSION2)
    client.tls_set(str(pki.ca), str(certificate), str(key))
    heard, subscribed_ = [], threading.Event()
    client.on_message = lambda _client, _data, message: heard.append(message.payload)
    client.on_subscribe = lambda *_: subscribed_.set()
    client.connect("localhost", port)
    client.loop_start()
    client.subscribe(topic)
    assert subscribed_.wait(SECONDS)
    yield heard
    client.disconnect()
    client.loop_stop()


@pytest.mark.parametrize("topics", ['crl="plant/{authority}"', 'crl="other/{authority}"'])
def test_a_topic_that_is_not_ours_is_refused(house, mosquitto, publisher, topics):
    """In MQTT 5 a broker says so; in 3.1.1 it throws the message away and says nothing."""
    with pytest.raises(RequestRejected, match="Not authorized"):
        publisher(mosquitto, topics=topics).publish(house.issue())


def test_a_client_of_another_ca_is_refused(house, mosquitto, tmp_path, pki):
    """In the handshake, on either side."""
    (tmp_path / "other").mkdir()
    other = TinyPki(tmp_path / "other", "Other CA")
    certificate, key = other.identity("publisher")
    place = f'kind="mqtt"\nhost="localhost"\nport={mosquitto}\n{TOPICS}'
    signed = f'client-certificate="{certificate}"\nclient-key="{key}"'
    for ca in (pki.ca, other.ca):
        with pytest.raises(Unavailable):
            house.publisher(f'{place}\n{signed}\nca-file="{ca}"').publish(house.issue())


def test_a_message_that_is_too_large_is_refused_at_once(house, publisher, pki, tmp_path):
    """The broker has said what it takes; others go on."""
    identity = pki.identity("broker")
    with broker(tmp_path, identity, pki.ca, "max_packet_size 100000") as port:
        with pytest.raises(RequestRejected, match="takes no message of"):
            publisher(port).publish(house.large(10_000))
        publisher(port).publish(house.issue())


def test_a_large_crl_goes_through(house, mosquitto, publisher, pki):
    """Several megabytes in one message."""
    crl = house.large(100_000)

    publisher(mosquitto).publish(crl)

    ((_, _, octets),) = subscribed(mosquitto, pki, "pki/crl/issuing")
    assert crl.crl == octets


def test_a_broker_that_is_away_or_silent_is_unavailable(house, publisher):
    """Nobody at the port, and a port that never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        for port in (9, silent.getsockname()[1]):
            with pytest.raises(Unavailable):
                publisher(port, "timeout-seconds=0.5").publish(house.issue())


def test_a_probe_signs_in(mosquitto, publisher):
    """And sends nothing."""
    assert f"signed in at localhost:{mosquitto}" == publisher(mosquitto).target.probe()


def test_nothing_to_tell_is_no_connection(publisher):
    """Certificates of authorities that nobody asked for."""
    publisher(9, 'status="pki/news/{authority}"').target.statuses([])
