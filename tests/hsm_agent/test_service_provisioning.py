"""Keys from afar, their certificates, approvals over the line, the journal for the server."""

import hashlib
import threading

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from hsm_agent.service.line_facts import LineFacts
from hsm_agent.stores.store import TokenAbsent, TokenFault
from hsm_agent.wire.messages import (
    Approve,
    Done,
    Generate,
    Refused,
    Signed,
)
from pikaserver.testing.requirements import require_program
from tests.hsm_agent.authenticators import SecurityKey, SshKeygen
from tests.hsm_agent.service_side import POLICY, WHY, MemoryStore, refused, service_side
from tests.hsm_agent.structures_to_sign import authority_tbs, csr_tbs


@pytest.fixture
def side(tmp_path):
    with service_side(tmp_path) as made:
        yield made


def test_a_key_is_made_and_its_profile_remembered(tmp_path):
    """First the journal says that it is made, then which it was; its rules outlive a restart."""
    with service_side(tmp_path) as side:
        answer = side.generate("issuing-1")

        assert isinstance(answer, Done)
        [key] = answer.keys
        assert ("soft/issuing-1", "ec-p256", "ready", True) == (
            key.name,
            key.key_type,
            key.state,
            key.trial,
        )
        generate, generated = side.lines("generate", "generated")
        digest = hashlib.sha256(key.public_key)
        assert ("issuing", "ec-p256", digest.hexdigest()) == (
            generate["profile"],
            generate["key-type"],
            generated["key"],
        )
        store = side.store
    with service_side(tmp_path, store=store) as side:
        private = store.private["issuing-1"]
        assert isinstance(side.sign(digest.digest(), csr_tbs(private)), Signed)


def test_the_same_request_again_makes_no_second_key(side):
    """Resumable: what is there already, of that name, type and profile, is done."""
    first = side.generate("issuing-1", pin_policy="once")
    for name in ("issuing-1", "soft/issuing-1"):
        again = side.generate(name)
        assert isinstance(again, Done)
        assert first.keys[0].public_key == again.keys[0].public_key

    assert 1 == len(side.store.made)
    assert "once" == side.store.made[0].pin_policy


@pytest.mark.parametrize(
    "other", [{"profile": "root"}, {"key_type": "ed25519"}], ids=["profile", "type"]
)
def test_a_name_that_is_taken_is_told(side, other):
    """Another profile would give a key rules that it was not made under."""
    side.generate("issuing-1")

    assert "another key" in refused(side, side.generate("issuing-1", **other), "exists")


def test_a_key_that_the_operator_made_is_not_taken_over(side):
    """Nobody gives it a profile from afar."""
    side.store.private["mine"] = ec.generate_private_key(ec.SECP256R1())
    side.keyring.refresh()

    refused(side, side.generate("mine"), "exists")


def test_a_key_whose_agent_died_is_found_again(tmp_path):
    """Made, and killed before it could be journaled: the same request again finds it."""
    store = MemoryStore()

    def die():
        raise SystemExit

    with service_side(tmp_path, store=store) as side:
        store.after_making = die
        with pytest.raises(SystemExit):
            side.generate("issuing-1")
    store.after_making = lambda: None
    with service_side(tmp_path, store=store) as side:
        assert "no-policy" == side.service.announce(side.keyring.keys()[0]).state
        refused(side, side.generate("issuing-1", profile="root"), "exists")

        answer = side.generate("issuing-1")

        assert isinstance(answer, Done)
        assert 1 == len(store.made)
        assert "issuing" == side.lines("generated")[-1]["profile"]
        assert "ready" == side.service.announce(side.keyring.keys()[0]).state


@pytest.mark.parametrize(
    ("error", "code", "clear"),
    [(TokenAbsent("pulled"), "token-absent", True), (TokenFault("?"), "token-error", False)],
)
def test_a_store_that_makes_no_key_is_told(side, error, code, clear):
    """Where nothing was made for certain, a key of that name that comes later is another one."""

    def fail(_wanted):
        raise error

    generate, side.store.generate = side.store.generate, fail
    refused(side, side.generate("issuing-1"), code)
    side.store.generate = generate
    side.store.private["issuing-1"] = ec.generate_private_key(ec.SECP256R1())
    side.keyring.refresh()

    answer = side.generate("issuing-1")

    assert isinstance(answer, Refused if clear else Done)
    assert clear == bool(side.lines("not-generated"))


@pytest.mark.parametrize(
    ("label", "fields", "why"),
    [
        ("x", {"profile": "unheard"}, "profiles"),
        ("x", {"key_type": "rsa-2048"}, "key-types"),
        ("soft/../../x", {}, "no name"),
        ("soft/x\n", {}, "no name"),
        ("soft/", {}, "no name"),
        ("soft/" + "x" * 65, {}, "no name"),
    ],
)
def test_what_provision_does_not_allow_is_not_made(tmp_path, label, fields, why):
    """Profiles, types, names: each is refused with the key of the policy that says so."""
    policy = POLICY.replace("[provision]", '[provision]\nkey-types = ["ec-p256", "ed25519"]')
    with service_side(tmp_path, policy=policy) as side:
        assert why in refused(side, side.generate(label, **fields), "policy")
        assert [] == side.store.made


def test_a_store_that_is_not_named_is_told(side):
    """The agent has no such store."""
    refused(side, side.generate("hsm/x"), "unknown-key")


def test_a_store_that_provision_does_not_name_makes_nothing(tmp_path):
    """``stores`` limits where keys are made."""
    policy = POLICY.replace("[provision]", '[provision]\nstores = ["hsm"]')
    with service_side(tmp_path, policy=policy) as side:
        assert "stores" in refused(side, side.generate("x"), "policy")


def test_only_so_many_keys_are_made(tmp_path):
    """``max-keys`` counts those made from afar, over restarts."""
    policy = POLICY.replace("max-keys = 20", "max-keys = 2")
    with service_side(tmp_path, policy=policy) as side:
        side.generate("a")
        side.generate("b")
        store = side.store
    with service_side(tmp_path, policy=policy, store=store) as side:
        assert "max-keys" in refused(side, side.generate("c"), "policy")
        assert isinstance(side.generate("b"), Done)


def test_a_person_can_have_to_approve_each_key(tmp_path):
    """The same list, the same proofs; what is approved is this name, type and profile."""
    policy = POLICY.replace('approval = "none"     ', 'approval = "local"     ', 1)
    with service_side(tmp_path, policy=policy) as side:
        first = side.generate("a")
        refused(side, first, "approval-needed")
        [record] = side.approvals.pending()
        assert first.approval == record.approval
        for told in ("kind: generate", "key: soft/a", "profile: issuing", "key-type: ec-p256"):
            assert told in record.text
        side.approvals.add_proof(record.approval, "local", b"")

        assert "approval-needed" == side.generate("b").code
        assert isinstance(side.generate("a"), Done)
        assert ["soft/b"] == [one.key_name for one in side.approvals.pending()]
        assert isinstance(side.generate("a"), Done)


def test_one_key_is_made_at_a_time(side):
    """Two requests at once could both pass ``max-keys``."""
    gate, inside = threading.Event(), threading.Event()

    def hold():
        inside.set()
        gate.wait(20)

    side.store.after_making = hold
    answers = []
    thread = threading.Thread(target=lambda: answers.append(side.generate("a")))
    thread.start()
    assert inside.wait(20)
    second = side.generate("b")
    gate.set()
    thread.join()

    refused(side, second, "busy")
    assert second.after > 0
    assert isinstance(answers[0], Done)


def test_no_key_is_made_for_a_stale_request_or_a_silent_line(side):
    """As no signature is."""
    silent = LineFacts(1, "line", lambda: False)
    request = Generate(bytes(16), "a", "ec-p256", "issuing", side.clock() + 1000, WHY)

    refused(side, side.generate("a", life=-1), "expired")
    refused(side, side.ask(request, silent), "expired")
    assert [] == side.store.made


def approvers_policy(*lines):
    tables = "".join(
        f'[approvers.{name}]\nssh = "{line}"\n' for name, line in zip("ab", lines, strict=True)
    )
    rule = 'approval = "local"                # hsm-agent approve  at this host, or some'
    assert rule in POLICY
    two = 'approval = { need = 2, of = ["a", "b"] } # some'
    return POLICY.replace(rule, two) + tables


def test_approvals_come_over_the_line_and_convince_the_agent_alone(tmp_path):
    """Two of two: a key of OpenSSH and a security key; the server only carries them."""
    program = require_program("ssh-keygen", package="openssh-client")
    one, two = SshKeygen(program, tmp_path, "ed25519"), SecurityKey("ecdsa")
    with service_side(tmp_path / "agent", policy=approvers_policy(one.line, two.line)) as side:
        key, tbs = side.root(), authority_tbs(side.clock())
        approval = side.sign(key, tbs).approval
        [record] = side.approvals.pending()

        def approve(kind, proof, life=1000):
            return side.ask(Approve(side.number(), approval, kind, proof, side.clock() + life))

        assert isinstance(approve("ssh", one.sign(record.statement)), Done)
        assert "1 of 2" in side.sign(key, tbs).why.decode()
        refused(side, approve("local", b""), "policy")
        refused(side, approve("ssh", two.sign(b"something else")), "policy")
        refused(side, approve("ssh", two.sign(record.statement), life=-1), "expired")
        refused(side, approve("nonsense", b""), "policy")
        assert "approval-needed" == side.sign(key, tbs).code
        assert isinstance(approve("ssh", two.sign(record.statement)), Done)

        assert isinstance(side.sign(key, tbs), Signed)
        assert ["a", "b"] == side.lines("sign")[-1]["approved-by"]
        assert "unknown-key" == approve("ssh", one.sign(record.statement)).code
