"""Signatures: who is asked, what the answers mean, and what happens when it gets crowded."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from hsm_agent.wire.messages import Refused, Sign
from hsm_agent.wire.refusals import REFUSALS
from pikaserver.api.errors import (
    Conflict,
    KeyUnavailable,
    NotAllowed,
    NotFound,
    RequestRejected,
    SignaturePending,
)
from pikaserver.api.signing import ContentSigner, KeyReference
from pikaserver.asn1 import der
from pikaserver.asn1.algorithms import verify
from pikaserver.signing.sign import sign_tbs
from pikaserver.testing.fake_agent_lies import silent
from pikaserver.testing.patience import until
from pikaserver_agents.deeds import find_key
from pikaserver_agents.dispatch import LARGEST_TBS

ISSUING = "soft/issuing"


@pytest.mark.parametrize(
    ("key_type", "algorithm"),
    [
        ("ec-p256", "ecdsa-sha256"),
        ("ec-p384", "ecdsa-sha384"),
        ("rsa-2048", "rsa-sha256"),
        ("rsa-2048", "rsa-pss-sha256"),
        ("ed25519", "ed25519"),
        ("ml-dsa-65", "ml-dsa-65"),
    ],
)
def test_an_agents_key_signs_like_any_other(site, certificate_tbs, key_type, algorithm):
    """The whole structure goes to the agent; what comes back verifies."""
    agent = site.agent(connect=False)
    key = agent.desk.make_key("issuing", key_type)
    site.connect(agent)

    signature = sign_tbs(site.signer(algorithm=algorithm), certificate_tbs, key.public_key)

    verify(key.public_key, algorithm, signature, certificate_tbs)
    (request,) = agent.asked_to_sign
    assert (certificate_tbs, algorithm) == (request.tbs, request.algorithm)
    assert "certificate" == request.context.purpose
    assert [("vault-a", "certificate", "signed")] == site.history()


def test_signed_attributes_come_with_what_they_stand_for(site):
    """RFC 5652: the agent sees the content, too."""
    agent = site.agent("vault-a", "issuing")
    attributes, signer = der.set_of(der.integer(1)), site.signer()
    assert isinstance(signer, ContentSigner)

    signer.sign_attributes(attributes, b"content")

    (request,) = agent.asked_to_sign
    assert (attributes, b"content") == (request.tbs, request.content)
    assert [("vault-a", "attributes", "signed")] == site.history()


def test_structures_of_many_megabytes_are_signed(make):
    """CRLs with hundreds of thousands of entries fit one frame; what does not is refused."""
    site = make(heartbeat=500, dead=20_000)  # a busy machine reads so much slowly
    agent = site.agent("vault-a", "issuing")
    tbs = der.sequence(bytes(10 * 1024 * 1024))

    signature = site.signer().sign(tbs)

    verify(agent.desk.keys[ISSUING].public_key, "ecdsa-sha256", signature, tbs)
    with pytest.raises(RequestRejected, match="too many for one frame"):
        site.signer().sign(bytes(LARGEST_TBS + 1))


def test_a_key_that_is_not_there_is_named(site):
    """The sentence says what there is to do."""
    site.agent("vault-a", "issuing")

    with pytest.raises(NotFound, match="there is no agent 'vault-x'; there are: vault-a"):
        site.signer("agent:vault-x/issuing")
    with pytest.raises(NotFound, match="agent vault-a has no key 'other'"):
        site.signer("agent:vault-a/other")
    with pytest.raises(RequestRejected, match="only ecdsa-sha256, ecdsa-sha384, ecdsa-sha512, not"):
        site.signer(algorithm="rsa-sha256")


def test_an_agent_that_is_away_is_named_before_anything_is_stored(site):
    """`open` says since when, and what helps: no serial is wasted."""
    agent = site.agent("vault-a", "issuing")
    agent.die()
    until(lambda: not site.office.lines.present())
    until(lambda: not site.office.whereabouts.linked())

    with pytest.raises(KeyUnavailable, match="vault-a is away since 2026-01-02 12:00:00 UTC: is"):
        site.signer()


@pytest.mark.parametrize("state", ["absent", "pin-needed", "pin-locked", "no-policy"])
def test_a_key_that_is_not_ready_is_named_with_its_state(site, state):
    """A token that was pulled, a PIN that is missing."""
    agent = site.agent("vault-a", "issuing")
    agent.desk.keys[ISSUING].state = state
    agent.tell_inventory()
    until(lambda: state == site.office.directory.refresh().keys[0].told.state)

    with pytest.raises(KeyUnavailable, match=f"key soft/issuing of agent vault-a is {state}"):
        site.signer()


@pytest.mark.parametrize("code", [code for code in REFUSALS if code != "approval-needed"])
def test_refusals_keep_their_meaning(site, certificate_tbs, code):
    """What a rule refused is final; everything else may be asked again."""
    agent = site.agent("vault-a", "issuing")
    agent.tamper = agent.refusing(code, after=60_000)
    final = {"exists": Conflict}.get(code, RequestRejected)

    with pytest.raises(KeyUnavailable if REFUSALS[code] else final, match=r"vault-a.*because"):
        site.signer().sign(certificate_tbs)

    assert ("vault-a", "certificate", code) in site.history()
    assert 1 == len(agent.asked_to_sign)
    assert {("vault-a", code): 1} == site.office.figures.read().refusals


def test_a_refusal_by_rule_is_not_taken_to_another_agent(site, certificate_tbs):
    """It would be a way to look for the weakest policy."""
    first, second = site.pair()
    first.tamper = first.refusing("policy")

    with pytest.raises(RequestRejected, match="vault-a refuses it"):
        site.signer().sign(certificate_tbs)

    assert [] == second.asked_to_sign


def test_a_token_that_failed_is_no_end_while_another_agent_has_the_key(site, certificate_tbs):
    """The same octets go to the next one."""
    first, second = site.pair()
    first.tamper = first.refusing("token-error")

    site.signer().sign(certificate_tbs)

    assert first.asked_to_sign[0].tbs == second.asked_to_sign[0].tbs
    assert first.asked_to_sign[0].id != second.asked_to_sign[0].id
    assert 1 == site.office.figures.read().failovers


def test_an_agent_that_is_busy_is_asked_again(site, certificate_tbs):
    """It says when."""
    agent = site.agent("vault-a", "issuing")
    agent.tamper = agent.refusing("busy", after=60, times=2)

    site.signer().sign(certificate_tbs)

    assert 3 == len(agent.asked_to_sign)


def test_octets_that_wait_for_approval_are_found_again(site, certificate_tbs):
    """The asker learns the hash; the same octets asked again get their signature."""
    agent = site.agent("vault-a", "issuing")
    agent.desk.needs_approval = lambda _: True

    with pytest.raises(SignaturePending, match="one person has to agree") as pending:
        site.signer().sign(certificate_tbs)

    approval = pending.value.approval
    assert [approval] == [*site.office.directory.refresh().approvals]
    agent.desk.approved.add(approval)
    site.signer().sign(certificate_tbs)
    assert {} == site.office.directory.refresh().approvals


def test_approvals_gather_at_one_agent(make, certificate_tbs):
    """What waits at one is asked there again, even where agents share the work."""
    site = make(several="shared")
    first, second = site.pair()
    for agent in (first, second):
        agent.desk.needs_approval = lambda _: True
    for _ in range(4):
        with pytest.raises(SignaturePending):
            site.signer().sign(certificate_tbs)

    assert {0, 4} == {len(first.asked_to_sign), len(second.asked_to_sign)}


def test_the_named_agent_signs_and_others_stand_by(site, certificate_tbs):
    """Unless the settings say that they share."""
    first, second = site.pair()

    for _ in range(3):
        site.signer("agent:vault-b/issuing").sign(certificate_tbs)

    assert (0, 3) == (len(first.asked_to_sign), len(second.asked_to_sign))


def test_equals_share_the_work(make, certificate_tbs):
    """The one with the least in flight is next; CRLs stay with one agent all the same."""
    site = make(several="shared")
    first, second = site.pair()
    gate = threading.Event()

    first.tamper = lambda _, answer: gate.wait(10) and answer
    crl = der.sequence(
        der.integer(1), der.sequence(), der.sequence(), der.time(site.server.clock())
    )
    with ThreadPoolExecutor(2) as pool:
        held = pool.submit(site.signer().sign, certificate_tbs)
        until(lambda: first.asked_to_sign)
        for _ in range(3):
            site.signer().sign(certificate_tbs)
        gate.set()
        held.result()
    assert (1, 3) == (len(first.asked_to_sign), len(second.asked_to_sign))

    for _ in range(3):
        site.signer().sign(crl)

    assert (4, 3) == (len(first.asked_to_sign), len(second.asked_to_sign))


def test_many_at_once_share_frames(site, certificate_tbs):
    """16 threads wait on nothing but their own answers."""
    agent = site.agent("vault-a", "issuing")
    signer, key = site.signer(), agent.desk.keys[ISSUING].public_key

    def work(_):
        for _ in range(20):
            verify(key, "ecdsa-sha256", signer.sign(certificate_tbs), certificate_tbs)

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(work, range(16)))

    assert 320 == len(agent.asked_to_sign)
    assert 320 == len(site.history())
    assert 0 == site.office.lines.present()["vault-a"].in_flight


def test_nobody_waits_for_another_key(site, certificate_tbs):
    """A slow token holds up its own requests alone."""
    slow, quick = site.agent("vault-a", "slow"), site.agent("vault-b", "quick")
    slow.tamper = silent
    with ThreadPoolExecutor(1) as pool:
        held = pool.submit(site.signer("agent:vault-a/slow").sign, certificate_tbs)
        until(lambda: slow.asked_to_sign)

        site.signer("agent:vault-b/quick").sign(certificate_tbs)

        assert not held.done()
        slow.die()
        with pytest.raises(KeyUnavailable, match="went away"):
            held.result()
    assert 1 == len(quick.asked_to_sign)


def test_a_full_queue_answers_at_once(make, certificate_tbs):
    """More would only wait for longer than anybody waits: 503 with Retry-After."""
    site = make(queue=1, deadline=10)
    agent = site.agent(connect=False)
    agent.window = 2
    agent.desk.make_key("issuing")
    site.connect(agent)
    agent.tamper = silent
    signer = site.signer()
    with ThreadPoolExecutor(4) as pool:
        held = [pool.submit(signer.sign, certificate_tbs) for _ in range(3)]
        until(lambda: 2 == len(agent.asked_to_sign))
        until(lambda: 1 == sum(site.office.lines.waiting().values()))

        with pytest.raises(KeyUnavailable, match="too many requests wait") as full:
            signer.sign(certificate_tbs)

        assert 0 < full.value.retry_after < 30
        agent.die()
        for one in held:
            with pytest.raises(KeyUnavailable):
                one.result()


def test_a_place_that_gets_free_is_taken(make, certificate_tbs):
    """Whoever waits in the queue goes on when another one is done."""
    site = make(queue=8)
    agent = site.agent(connect=False)
    agent.window = 1
    agent.desk.make_key("issuing")
    site.connect(agent)

    with ThreadPoolExecutor(8) as pool:
        done = list(pool.map(site.signer().sign, [certificate_tbs] * 8))

    assert 8 == len(done)
    assert {} == site.office.lines.waiting()


def test_a_deadline_is_kept(make, certificate_tbs):
    """The agent is alive and does not answer: the caller is told in time."""
    site = make(deadline=1)
    agent = site.agent("vault-a", "issuing")
    agent.tamper = silent

    began = time.monotonic()
    with pytest.raises(KeyUnavailable, match="did not answer within 1 s"):
        site.signer().sign(certificate_tbs)

    assert 0.9 < time.monotonic() - began < 10
    assert [("vault-a", "certificate", "late")] == site.history()


def test_late_answers_are_ignored(make, certificate_tbs):
    """They belong to nobody any more, and end nothing."""
    site = make(deadline=1)
    agent = site.agent("vault-a", "issuing")
    agent.tamper = agent.late(1.3)
    with pytest.raises(KeyUnavailable):
        site.signer().sign(certificate_tbs)
    agent.tamper = lambda _, answer: answer
    until(lambda: agent.late_ones == 1)

    site.signer().sign(certificate_tbs)

    assert 0 == sum(site.office.complaints.counts().values())


def test_requests_expire_at_the_agent(site, certificate_tbs):
    """What lay in a buffer too long is not signed any more."""
    agent = site.agent("vault-a", "issuing")

    site.signer().sign(certificate_tbs)

    (request,) = agent.asked_to_sign
    assert 0 < request.expires - agent.now_ms() <= 30_000


def test_a_drained_agent_is_asked_for_nothing(site, certificate_tbs):
    """Its line stays; another one signs, or the caller is told."""
    first, second = site.pair()
    site.office.deeds.drain("vault-a", "cli:tester", off=False)
    site.open_door()

    site.signer().sign(certificate_tbs)
    assert (0, 1) == (len(first.asked_to_sign), len(second.asked_to_sign))

    second.die()
    until(lambda: "vault-b" not in site.office.lines.present())
    with pytest.raises(KeyUnavailable, match="vault-a is drained; 'pikaserver agent drain vault-a"):
        site.signer()
    site.office.deeds.drain("vault-a", "cli:tester", off=True)
    site.open_door()
    site.signer().sign(certificate_tbs)
    assert 1 == len(first.asked_to_sign)


def test_an_agent_that_is_about_to_stop_is_asked_for_nothing(site, certificate_tbs):
    """It said so itself; what runs still ends."""
    first, second = site.pair()
    first.drain()
    until(lambda: site.office.lines.present()["vault-a"].draining)

    site.signer().sign(certificate_tbs)

    assert (0, 1) == (len(first.asked_to_sign), len(second.asked_to_sign))


def test_a_key_can_be_kept_for_an_authority(site):
    """Nobody else may use it, also where it does not exist yet for them."""
    site.agent("vault-a", "issuing")
    backend, reference = site.office.backend, KeyReference("agent", "vault-a/issuing")
    backend.check_authority(reference, "issuing")
    row = find_key(site.office.directory.view(), "vault-a/issuing")

    site.office.deeds.allow(row, ["root"], "cli:tester")

    backend.check_authority(reference, "root")
    with pytest.raises(NotAllowed, match="kept for root, not for 'issuing'"):
        backend.check_authority(reference, "issuing")
    site.office.deeds.deny(row, "root", "cli:tester")
    with pytest.raises(NotAllowed, match="kept for nobody"):
        backend.check_authority(reference, "root")
    site.office.deeds.allow_all(row, "cli:tester")
    backend.check_authority(reference, "issuing")
    with pytest.raises(NotFound):
        site.office.deeds.allow(row, ["no-such"], "cli:tester")


def test_keys_are_made_at_the_agent(site):
    """In its one store, under the rules for issuing keys unless the reference says otherwise."""
    agent = site.agent("vault-a")
    backend = site.office.backend

    reference = KeyReference("agent", "vault-a/new")
    spki = backend.generate(reference, "ec-p256", exportable=False)

    assert spki == agent.desk.keys["soft/new"].public_key == backend.find(reference).public_key
    root = KeyReference("agent", "vault-a/root?profile=root")
    backend.generate(root, "ec-p384", exportable=False)
    assert [("soft/new", "issuing"), ("soft/root", "root")] == [
        (one.name, one.profile) for one in agent.asked if hasattr(one, "profile")
    ]
    site.signer("agent:vault-a/new").sign(b"\x30\x00")
    with pytest.raises(RequestRejected, match="never leave"):
        backend.generate(reference, "ec-p256", exportable=True)
    with pytest.raises(Conflict, match="there is a key soft/new"):
        backend.generate(reference, "ec-p256", exportable=False)
    with pytest.raises(RequestRejected, match="unsupported"):
        backend.generate(KeyReference("agent", "vault-a/x"), "ed448", exportable=False)
    assert ["agent:vault-a/soft/new", "agent:vault-a/soft/root"] == [
        str(key.reference) for key in backend.keys()
    ]


def test_a_key_whose_answer_was_lost_is_found(site):
    """The agent made it and died: the same deed finds it and goes on."""
    agent = site.agent("vault-a")
    reference = KeyReference("agent", "vault-a/new")
    agent.tamper = lambda *_: agent.die_soon()
    with pytest.raises(KeyUnavailable):
        site.office.backend.generate(reference, "ec-p256", exportable=False)
    agent.tamper = lambda _, answer: answer
    until(lambda: not site.office.lines.present())

    site.connect(agent)

    assert agent.desk.keys["soft/new"].public_key == site.office.backend.find(reference).public_key


def test_refusals_name_the_codes_of_the_protocol(site, certificate_tbs):
    """A code that is not known yet means what its ``retry`` says."""
    agent = site.agent("vault-a", "issuing")

    def novel(request, answer):
        if not isinstance(request, Sign):
            return answer
        fields = {"code": "novel", "why": b"\xff\x1b[2J", "retry": False, "after": 0}
        return Refused(request.id, answer.request, journal=answer.journal, **fields)

    agent.tamper = novel

    with pytest.raises(RequestRejected) as refused:
        site.signer().sign(certificate_tbs)

    assert str(refused.value).isprintable()
