"""Keys from afar, their certificates, approvals over the line, the journal for the server."""

import hashlib
import threading

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from hsm_agent.journal.line import decode, line_hash
from hsm_agent.service.line_facts import LineFacts
from hsm_agent.stores.store import TokenAbsent, TokenFault
from hsm_agent.wire.messages import (
    Approve,
    Done,
    Generate,
    JournalLines,
    JournalRead,
    Mark,
    PutCertificate,
    Refused,
    Signed,
)
from pikaserver.testing.requirements import require_program
from tests.hsm_agent.authenticators import SecurityKey, SshKeygen, spki_of
from tests.hsm_agent.service_side import POLICY, WHY, MemoryStore, refused, service_side
from tests.hsm_agent.structures_to_sign import ANY_SPKI, authority_tbs, certificate, csr_tbs


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


def test_a_certificate_comes_back_once(side):
    """It is kept over restarts of the keyring; the identical one again is no news."""
    key = side.authority()
    [line] = side.lines("certificate")
    der = side.keyring.find(key).certificates[0]

    assert [hashlib.sha256(der).hexdigest()] == line["sha256"]
    assert isinstance(side.put(key, der), Done)
    assert 1 == len(side.lines("certificate"))
    announced = side.service.announce(side.keyring.find(key))
    assert hashlib.sha256(der).digest() == announced.certificate


def test_a_certificate_that_is_not_this_keys_is_refused(side):
    """Over another key, with another subject than the one before, or none at all."""
    key = side.authority()
    held = side.keyring.find(key)
    root = ec.generate_private_key(ec.SECP256R1())
    spki = held.stored.public_key
    now = side.clock()
    wrong = [
        (certificate(root, now, subject="CN=issuing", public_key=ANY_SPKI),),
        (certificate(root, now, subject="CN=renamed", public_key=spki),),
        (b"no certificate",),
        (),
        (held.certificates[0], certificate(root, now, subject="CN=x", public_key=ANY_SPKI)),
    ]

    for certificates in wrong:
        refused(side, side.put(key, *certificates), "policy")
    refused(side, side.put(bytes(32), held.certificates[0]), "unknown-key")
    late = PutCertificate(bytes(16), key, held.certificates, side.clock() - 1)
    refused(side, side.ask(late), "expired")
    assert held.certificates == side.keyring.find(key).certificates
    renewed = certificate(root, now, subject="CN=issuing", public_key=spki)
    assert isinstance(side.put(key, renewed), Done)


def test_a_certificate_that_the_policy_names_is_not_replaced_from_afar(side):
    """The operator has said which one it is: no server says otherwise."""
    [made] = side.generate("a").keys
    own = '[keys."soft/a"]\nprofile = "issuing"\ncertificate = "a.pem"\n'
    side.write_policy(POLICY + own)
    root = ec.generate_private_key(ec.SECP256R1())
    der = certificate(root, side.clock(), subject="CN=a", public_key=made.public_key)
    key = hashlib.sha256(made.public_key).digest()

    assert "a.pem" in refused(side, side.put(key, der), "policy")
    assert () == side.keyring.find(key).certificates


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


def test_the_server_reads_the_journal_line_by_line(side):
    """What is on disk, whole lines, as many as fit; the mark says how far it goes."""
    side.generate("a")
    side.journal.append("test")

    def read(first, last):
        return side.ask(JournalRead(bytes(16), first, last))

    answer = read(1, 1 << 62)
    assert isinstance(answer, JournalLines)
    assert list(range(1, answer.journal.index + 1)) == [decode(one)["i"] for one in answer.lines]
    assert answer.journal == Mark(len(answer.lines), line_hash(answer.lines[-1]))
    assert answer.lines[1:2] == read(2, 2).lines
    assert () == read(answer.journal.index + 1, 1 << 62).lines == read(0, 0).lines


def test_long_reads_are_cut(side):
    """An answer fits into a frame beside others."""
    for _ in range(30):
        side.journal.note("test", text="x" * 60_000)
    side.journal.append("test")

    answer = side.ask(JournalRead(bytes(16), 1, 1 << 62))

    assert 10 < len(answer.lines) < 20


def test_what_the_policy_lets_a_key_do_is_announced(tmp_path):
    """Its algorithms, and whether it has rules at all."""
    policy = POLICY.replace(
        "[profiles.issuing]", '[profiles.issuing]\nalgorithms = ["ecdsa-sha384"]'
    )
    with service_side(tmp_path, policy=policy) as side:
        [limited], [open_] = side.generate("a").keys, side.generate("b", "root").keys
        side.write_policy("version = 1\n")
        without = side.service.announce(side.keyring.keys()[0])

        assert () == limited.algorithms == without.algorithms
        assert ("ecdsa-sha256",) == open_.algorithms
        assert ("ready", "no-policy") == (limited.state, without.state)
        assert spki_of(side.store.private["a"]) == limited.public_key
