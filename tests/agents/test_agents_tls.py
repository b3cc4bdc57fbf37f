"""Who gets through the door: TLS 1.3, keys that are known, nobody else."""

import socket
import ssl
import threading
from datetime import timedelta

import pytest

from hsm_agent.wire.frames import with_length
from pikaserver.testing.fake_agent import FakeAgent
from pikaserver.testing.fake_agent_line import FakeIdentity, FakeLine, LineEnded
from pikaserver.testing.patience import until
from pikaserver_agents.door import MOST_UNKNOWN_PER_ADDRESS
from pikaserver_agents.node_identity import pin_of
from pikaserver_agents.storage.agents import AgentState


def complaints(site, reason):
    return site.office.complaints.counts()[reason]


def refused(site, reason):
    """Wait for a complaint, which the audit trail has as well, and that nothing was signed."""
    until(lambda: complaints(site, reason), f"a complaint about {reason}")
    until(lambda: [line for line in site.server.audit.lines if line[0] == "agent.refused"])
    event, _, fields = site.server.audit.lines[-1]
    assert ("agent.refused", reason) == (event, fields["reason"])
    assert [] == site.history()


def knock(site):
    """Connect without saying anything."""
    port = site.office.listener.works.door.port
    return socket.create_connection(("127.0.0.1", port), 5)


def test_tls_1_2_is_refused(site):
    """The handshake ends with an alert that names the version."""
    agent = site.agent(connect=False)

    with pytest.raises(ssl.SSLError, match="PROTOCOL_VERSION"):
        FakeLine(agent.nodes[0], agent.identity, agent.now_ms, version=ssl.TLSVersion.TLSv1_2)

    refused(site, "tls")


def test_a_key_that_nobody_registered_is_refused(site):
    """A certificate of another key does not get through TLS, whatever its name."""
    agent = site.agent(connect=False)
    stranger = FakeAgent(agent.name, clock=site.server.clock)
    site.agents.append(stranger)
    stranger.nodes = agent.nodes

    with pytest.raises((LineEnded, OSError)):
        stranger.connect()

    refused(site, "tls")


def test_a_line_without_a_client_certificate_may_only_enrol(site):
    """What else it says is not heard."""
    agent = site.agent(connect=False)
    line = FakeLine(agent.nodes[0], agent.identity, agent.now_ms, known=False)
    line.exchange_nonces(bytes(32))

    line.send(agent.hello())

    with pytest.raises(LineEnded):
        line.receive()
    line.close()
    refused(site, "frame")


def test_two_agents_of_one_name_in_their_certificates_are_told_apart(site):
    """Certificates are known as a whole, not by their subjects."""
    first, second = site.agent("vault-a", connect=False), site.agent("vault-b", connect=False)
    twin = FakeIdentity.make("vault-a", site.server.clock)
    second.identity.remove()
    second.identity = twin
    second.name = "vault-c"
    second.enroll(site.code("vault-c"))

    for agent in (first, second):
        site.connect(agent)

    assert {"vault-a", "vault-c"} == {*site.office.lines.present()}


def test_the_server_shows_the_key_that_the_code_pins(site):
    """The agent compares it before it says anything."""
    agent = site.agent(connect=False)
    line = agent.dial()

    shown = line.server_certificate()

    line.close()
    assert agent.nodes[0].pin == pin_of(shown) == site.office.identity.node.pin


def test_sessions_are_not_resumed(site):
    """Each connection proves both keys."""
    agent = site.agent(connect=False)
    line = agent.dial()

    assert not line.was_resumed_or_can_be()
    line.close()


def test_a_protocol_of_another_name_is_refused(site):
    """ALPN says what is spoken; a web client is turned away."""
    site.code("vault-a")
    site.open_door()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])

    with context.wrap_socket(knock(site)) as line:
        assert b"" == line.recv(1)

    refused(site, "tls")


def test_octets_that_are_no_tls_are_refused(site):
    """Somebody who speaks HTTP gets an alert."""
    site.code("vault-a")
    site.open_door()

    with knock(site) as line:
        line.sendall(b"GET / HTTP/1.1\r\n\r\n")
        while line.recv(100):
            pass

    refused(site, "tls")


def test_a_look_at_the_port_is_no_complaint(site):
    """Load balancers look whether it is open."""
    site.code("vault-a")
    site.open_door()

    knock(site).close()
    site.agent("vault-a", connect=False)

    assert 0 == sum(site.office.complaints.counts().values())


def test_the_door_is_open_while_somebody_may_come(site):
    """No agent and no code: no socket."""
    door = site.office.listener.works.door
    site.open_door()
    assert not door.is_open
    with pytest.raises(ConnectionRefusedError):
        knock(site)

    agent = site.agent()
    assert door.is_open
    site.office.deeds.retire(agent.name, "cli:tester")
    site.open_door()

    assert not door.is_open
    with pytest.raises(ConnectionRefusedError):
        knock(site)


def test_the_door_closes_when_a_code_is_too_old(site):
    """It was open for somebody who did not come."""
    site.code("vault-a", validity=timedelta(minutes=5))
    site.open_door()
    assert site.office.listener.works.door.is_open

    site.server.clock.advance(timedelta(minutes=6))
    site.open_door()

    assert not site.office.listener.works.door.is_open


def test_strangers_cannot_take_all_places(site):
    """Only so many connections from one address may stand about; a known agent comes in."""
    agent = site.agent(connect=False)
    idle = [knock(site) for _ in range(MOST_UNKNOWN_PER_ADDRESS)]
    until(lambda: site.office.listener.works.door.unknown() == MOST_UNKNOWN_PER_ADDRESS)

    with knock(site) as turned:
        assert b"" == turned.recv(1)
    refused(site, "crowd")
    idle.pop().close()
    until(lambda: site.office.listener.works.door.unknown() < MOST_UNKNOWN_PER_ADDRESS)
    site.connect(agent)

    for one in idle:
        one.close()
    assert 0 == sum(line.in_flight for line in site.office.lines.present().values())


def test_who_says_nothing_is_sent_away(site, monkeypatch):
    """A handshake has a deadline, and octets that trickle do not move it."""
    monkeypatch.setattr("pikaserver_agents.reception.GREETING_SECONDS", 0.3)
    site.code("vault-a")
    site.open_door()
    stop = threading.Event()
    with knock(site) as line:

        def trickle():
            hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(600)
            for octet in hello:
                if stop.wait(0.02):
                    return
                try:
                    line.send(bytes([octet]))
                except OSError:
                    return

        thread = threading.Thread(target=trickle)
        thread.start()
        refused(site, "slow")
        stop.set()
        thread.join()


def test_a_retired_agent_is_cut_off_and_stays_out(site):
    """At once here, and on every node within a second or two."""
    agent = site.agent("vault-a", "issuing")

    site.office.deeds.retire("vault-a", "cli:tester")
    site.open_door()

    until(lambda: agent.ended)
    assert "retired: this agent is retired" in agent.ended[0]
    site.code("vault-b")
    site.open_door()
    with pytest.raises((LineEnded, OSError)):
        agent.connect()
    refused(site, "tls")
    assert AgentState.RETIRED == site.office.directory.refresh().agent("vault-a").state


def test_an_agent_that_waits_for_approval_stays_out(site):
    """``agent enroll --confirm``: its keys are known, and do not open the door yet."""
    agent = FakeAgent("vault-a", clock=site.server.clock)
    site.agents.append(agent)
    code = site.code("vault-a", confirm=True)
    site.open_door()
    agent.enroll(code)
    site.code("vault-b")
    site.open_door()
    with pytest.raises((LineEnded, OSError)):
        agent.connect()

    site.office.deeds.approve("vault-a", "cli:tester")
    site.open_door()

    site.connect(agent)


def test_a_length_of_nothing_is_refused(site):
    """The nonce has 32 octets; neither more nor less."""
    agent = site.agent(connect=False)
    line = FakeLine(agent.nodes[0], agent.identity, agent.now_ms)

    line.send_octets(with_length(bytes(31)))

    with pytest.raises(LineEnded):
        line.receive_octets(1000)
    line.close()
    refused(site, "frame")
