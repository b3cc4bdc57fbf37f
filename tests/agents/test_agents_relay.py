"""Requests of processes without a line: by way of the database, sealed end to end."""

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from hsm_agent.wire.codec import from_map, to_map
from hsm_agent.wire.encoding import decode
from hsm_agent.wire.frames import Frame
from hsm_agent.wire.messages import Relay, Sign
from pikaserver.api.errors import KeyUnavailable, RequestRejected, SignatureFaulty, SignaturePending
from pikaserver.api.signing import KeyReference
from pikaserver.asn1.algorithms import verify
from pikaserver.testing.damage import altered
from pikaserver.testing.fake_agent_lies import flipped, silent
from pikaserver.testing.patience import until
from pikaserver_agents.storage import jobs


@pytest.fixture(autouse=True)
def patient(monkeypatch):
    """A node on a busy machine takes its time to take a request up."""
    monkeypatch.setattr("pikaserver_agents.relay_post.UNCLAIMED_SECONDS", 60.0)


@pytest.fixture
def serving(make, durable):
    """A node with a line."""
    return make(durable)


@pytest.fixture
def agent(serving):
    return serving.agent("vault-a", "issuing")


@pytest.fixture
def command(make, serving, agent):  # noqa: ARG001 - the agent is there first
    """A command beside it: the same node, another process, no line."""
    return make(next_to=serving, node=1, serves=False)


@pytest.fixture
def other_node(make, serving, agent):  # noqa: ARG001 - the agent is there first
    """Another node that no agent has dialled."""
    return make(next_to=serving, node=2, serves=True)


def count_jobs(site):
    with site.server.database.reading() as connection:
        return connection.exec_driver_sql("SELECT count(*) FROM agents_job").scalar()


def test_a_command_signs_through_the_node_that_has_the_line(command, agent, certificate_tbs):
    """Nothing of it is left in the database but the history."""
    signature = command.signer().sign(certificate_tbs)

    verify(agent.desk.keys["soft/issuing"].public_key, "ecdsa-sha256", signature, certificate_tbs)
    assert [("vault-a", "certificate", "signed")] == command.history()
    assert 0 == count_jobs(command)


def test_another_node_signs_too(other_node, agent, certificate_tbs):
    """The frame is sealed with its own key, which the agent learned from the server."""
    until(lambda: {1, 2} == {node.number for node in agent.nodes}, "news of the node")

    other_node.signer().sign(certificate_tbs)

    (relay,) = [one for one in agent.asked if isinstance(one, Relay)]
    assert 2 == relay.node
    assert other_node.office.identity.node.pin != agent.nodes[0].pin


def test_relayed_signatures_are_quick(command, certificate_tbs):
    """The database costs milliseconds, not heartbeats."""
    signer = command.signer()
    signer.sign(certificate_tbs)

    def usual_seconds():
        times = []
        for _ in range(10):
            began = time.monotonic()
            signer.sign(certificate_tbs)
            times.append(time.monotonic() - began)
        return sorted(times)[5]

    # Others may keep the machine busy for a while; heartbeats would never be so quick.
    until(lambda: usual_seconds() < 0.2, "ten quick signatures", 60)


def test_many_relayed_at_once_all_come_back(other_node, agent, certificate_tbs):
    """Each with its own number, in whatever order the agent gets them."""
    until(lambda: 2 == len(agent.nodes))
    signer = other_node.signer()

    with ThreadPoolExecutor(8) as pool:
        done = list(pool.map(signer.sign, [certificate_tbs] * 24))

    assert 24 == len(done)
    with other_node.server.database.reading() as connection:
        value = connection.exec_driver_sql("SELECT value FROM agents_counter").scalar()
    assert 24 == value


def test_refusals_and_approvals_are_relayed(command, agent, certificate_tbs):
    """With the agent's own words."""
    agent.tamper = agent.refusing("policy")
    with pytest.raises(RequestRejected, match="because"):
        command.signer().sign(certificate_tbs)
    agent.tamper = lambda _, answer: answer
    agent.desk.needs_approval = lambda _: True

    with pytest.raises(SignaturePending) as pending:
        command.signer().sign(certificate_tbs)

    assert [pending.value.approval] == [*command.office.directory.refresh().approvals]


def test_a_relayed_signature_is_verified_like_any(command, agent, certificate_tbs):
    """Neither agent nor node can slip in another one."""
    agent.tamper = flipped

    with pytest.raises(SignatureFaulty):
        command.signer().sign(certificate_tbs)


def test_keys_are_made_and_certificates_put_by_relay(command, agent):
    """What ``pikaserver ca create`` needs, beside a server that runs."""
    reference = KeyReference("agent", "vault-a/new")

    spki = command.office.backend.generate(reference, "ec-p256", exportable=False)
    command.signer("agent:vault-a/new").sign(b"\x30\x00")
    command.office.backend.keep_certificate(reference, [b"certificate", b"root"])

    assert spki == agent.desk.keys["soft/new"].public_key
    assert (b"certificate", b"root") == agent.desk.keys["soft/new"].certificates


def test_without_any_line_the_caller_is_told(command, serving, agent):
    """No job is left that an agent would sign days later."""
    agent.die()
    until(lambda: not serving.office.lines.present())
    until(lambda: not command.office.whereabouts.linked())

    with pytest.raises(KeyUnavailable, match="vault-a is away since"):
        command.signer()

    assert 0 == count_jobs(command)


def test_a_node_that_crashed_takes_up_nothing(
    command, serving, agent, certificate_tbs, monkeypatch
):
    """Its rows say that it has a line; nobody claims the job, and it is withdrawn."""
    monkeypatch.setattr("pikaserver_agents.relay_post.UNCLAIMED_SECONDS", 0.2)
    signer = command.signer()
    serving.office.listener.works.relay.stop()

    with pytest.raises(KeyUnavailable, match="no node that runs has a line to agent vault-a"):
        signer.sign(certificate_tbs)

    assert 0 == count_jobs(command)
    assert [] == agent.asked_to_sign
    command.server.clock.advance(timedelta(seconds=30))
    until(lambda: not command.office.whereabouts.linked(), "the end of what the node said")


def test_an_agent_that_does_not_answer_is_given_up(make, serving, agent, certificate_tbs):
    """The deadline is the asker's; the job goes with it."""
    command = make(next_to=serving, node=1, serves=False, deadline=1)
    agent.tamper = silent

    with pytest.raises(KeyUnavailable, match="did not answer in time"):
        command.signer().sign(certificate_tbs)

    assert 0 == count_jobs(command)


def test_a_line_that_breaks_under_way_is_told(command, agent, certificate_tbs):
    """The asker goes to the next agent, or asks again."""
    agent.tamper = lambda *_: agent.die_soon()

    with pytest.raises(KeyUnavailable, match="line of the node that relayed it broke"):
        command.signer().sign(certificate_tbs)

    assert ("vault-a", "certificate", "lost") in command.history()


def test_a_database_from_a_backup_does_not_fall_silent(command, agent, certificate_tbs):
    """Its numbers lie behind those that the agent has seen; it leaves out enough of them."""
    signer = command.signer()
    for _ in range(3):
        signer.sign(certificate_tbs)
    with command.server.database.transaction() as connection:
        connection.exec_driver_sql("UPDATE agents_counter SET value = 1")

    assert signer.sign(certificate_tbs)
    assert 4 == len(agent.asked_to_sign)


def test_a_frame_that_was_altered_on_the_way_is_refused(command, agent, certificate_tbs):
    """Whoever can write into the database cannot write requests."""
    original = jobs.add

    def altering(connection, row):
        frame = Frame.of(row.frame)
        octets = Frame(altered(frame.payload), frame.signature).octets()
        original(connection, jobs.JobRow(row.id, row.agent, row.way, row.node, row.created_at,
                                         row.deadline, frame=octets))  # fmt: skip

    signer = command.signer()
    jobs.add = altering
    try:
        with pytest.raises(KeyUnavailable, match="vault-a refuses our frames: "):
            signer.sign(certificate_tbs)
    finally:
        jobs.add = original

    assert [] == agent.asked_to_sign


def test_an_answer_from_somebody_else_is_refused(command, serving, certificate_tbs):
    """The agent's own frame key has to have sealed it."""
    original, stranger = jobs.answer, serving.office.identity

    def forging(connection, job_id, octets):
        frame = Frame.of(octets)
        return original(connection, job_id, Frame(frame.payload, stranger.sign(b"x")).octets())

    jobs.answer = forging
    try:
        with pytest.raises(KeyUnavailable, match="went away"):
            command.signer().sign(certificate_tbs)
    finally:
        jobs.answer = original

    assert 1 == command.office.complaints.counts()["answer"]


def test_a_job_that_nobody_fetched_is_removed(command, monkeypatch):
    """An asker that was killed leaves nothing for ever."""
    monkeypatch.setattr("pikaserver_agents.relay_desk.CLEAN_SECONDS", 0.0)
    now = command.office.now()
    with command.server.database.transaction() as connection:
        old = now - 10 * 60_000
        jobs.add(connection, jobs.JobRow(bytes(16), "vault-a", jobs.Way.RELAY, 1, old, old))

    until(lambda: 0 == count_jobs(command), "the removal")


def test_the_frame_of_a_job_holds_the_request(command):
    """The database knows the octets anyway: what counts is who sealed them."""
    seen = []
    original = jobs.add
    jobs.add = lambda connection, row: (seen.append(row), original(connection, row))
    try:
        command.signer().sign(b"\x30\x00")
    finally:
        jobs.add = original

    payload = decode(Frame.of(seen[0].frame).payload)
    message = from_map(payload["m"][0])
    assert isinstance(message, Sign)
    assert (b"\x30\x00", payload["m"][0]) == (message.tbs, to_map(message))
