"""Signing: every step in its order, every refusal with its line, and no key used before it."""

import errno
import hashlib
import os
import threading

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hsm_agent.journal.verify import verify
from hsm_agent.service.line_facts import LineFacts
from hsm_agent.wire.messages import Context, Refused, Sign, Signed
from tests.hsm_agent.service_side import refused, service_side
from tests.hsm_agent.structures_to_sign import authority_tbs, crl_tbs, csr_tbs, leaf_tbs


@pytest.fixture
def side(tmp_path):
    with service_side(tmp_path) as made:
        yield made


@pytest.fixture
def key(side):
    return side.authority()


def test_a_signature_has_its_line_on_disk_before_the_key_is_used(side, key):
    """Index and head in the answer are those of that line; the outcome follows it."""
    tbs = leaf_tbs(side.clock())
    before = []
    side.store.before = lambda: before.append((side.journal.mark(), side.journal.lines(1, 99)[-1]))

    answer = side.sign(key, tbs)

    assert isinstance(answer, Signed)
    side.store.private["issuing"].public_key().verify(
        answer.signature, tbs, ec.ECDSA(hashes.SHA256())
    )
    [(mark, line)] = before
    assert answer.journal == mark
    assert b'"event":"sign"' in line
    sign, signed = side.lines("sign", "signed")
    assert (mark.index, mark.index) == (sign["i"], signed["of"])
    assert {
        "alg": "ecdsa-sha256",
        "authority": "issuing",
        "actor": "ra-1",
        "key": key.hex(),
        "kind": "cert",
        "name": "soft/issuing",
        "node": 1,
        "purpose": "leaf",
        "serial": "7",
        "way": "line",
    }.items() <= sign.items()
    assert verify(side.folder / "journal").sound


def test_the_identical_octets_are_signed_again(side, key):
    """That is what makes a retry safe; also after a restart, also at another time."""
    tbs = leaf_tbs(side.clock())

    first, second = side.sign(key, tbs), side.sign(key, tbs)

    assert isinstance(first, Signed)
    assert isinstance(second, Signed)
    assert 2 == len(side.lines("sign"))


def test_a_serial_is_used_for_one_certificate_only(side, key):
    """RFC 5280 section 4.1.2.2, whatever the server says."""
    side.sign(key, leaf_tbs(side.clock(), serial=77))

    answer = side.sign(key, leaf_tbs(side.clock(), serial=77, name="other.example.com"))

    assert "serial" in refused(side, answer, "policy")
    assert 1 == len(side.store.signed)


def test_a_serial_is_used_once_by_threads_too(side, key):
    """Sixteen at once with one serial: one signature, whatever the order."""
    requests = [leaf_tbs(side.clock(), serial=5, name=f"n{n}.example.com") for n in range(16)]
    start, answers = threading.Barrier(16), []

    def ask(tbs):
        start.wait()
        answers.append(side.sign(key, tbs))

    threads = [threading.Thread(target=ask, args=(tbs,)) for tbs in requests]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert 1 == sum(isinstance(answer, Signed) for answer in answers)
    assert 1 == len(side.store.signed) == len(side.lines("sign"))


@pytest.mark.parametrize(
    ("tbs", "code", "why"),
    [
        (lambda now: leaf_tbs(now, name="www.evilexample.com"), "policy", "evilexample"),
        (lambda now: leaf_tbs(now, days=3650), "policy", ""),
        (lambda now: leaf_tbs(now, issuer="CN=foreign"), "policy", "issuer"),
        (lambda now: leaf_tbs(now, ca=True), "kind", "ca-cert"),
        (lambda now: authority_tbs(now, issuer="CN=issuing"), "kind", "ca-cert"),
        (lambda now: crl_tbs(now, issuer="CN=foreign"), "policy", "issuer"),
        (lambda _: b"\x11" * 32, "kind", "raw"),
        (lambda now: leaf_tbs(now) + b"\0", "malformed", ""),
        (lambda now: leaf_tbs(now)[:-1], "malformed", ""),
        (lambda _: b"", "malformed", ""),
    ],
)
def test_what_the_policy_forbids_is_not_signed(side, key, tbs, code, why):
    """Nothing is signed, and the journal says why."""
    answer = side.sign(key, tbs(side.clock()))

    assert why in refused(side, answer, code)
    assert [] == side.store.signed
    assert [] == side.lines("sign")


def test_another_algorithm_than_inside_is_refused(side, key):
    """The request, the structure and the key have to agree."""
    refused(side, side.sign(key, leaf_tbs(side.clock()), "ecdsa-sha384"), "unsupported")
    refused(side, side.sign(key, leaf_tbs(side.clock()), "nonsense\n"), "unsupported")

    assert [] == side.store.signed


def test_a_key_without_rules_signs_nothing(side, key):
    """Its profile is gone from the policy."""
    side.write_policy("version = 1\n")

    assert "no rules" in refused(side, side.sign(key, leaf_tbs(side.clock())), "policy")


def test_a_stale_request_is_not_signed(side, key):
    """After ``expires`` another agent has answered."""
    refused(side, side.sign(key, leaf_tbs(side.clock()), life=-1), "expired")

    assert [] == side.store.signed


def test_a_silent_line_gets_no_signature(side, key):
    """The lease of a line is asked for each request."""
    line = LineFacts(1, "line", lambda: False)

    refused(side, side.sign(key, leaf_tbs(side.clock()), line=line), "expired")
    assert [] == side.store.signed


def test_a_journal_that_cannot_be_written_stops_signing(tmp_path):
    """Code ``journal``, another agent may do it; with room again this one does."""
    full = []

    def sync(file):
        if full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        os.fdatasync(file)

    with service_side(tmp_path) as side:
        key = side.authority()
        side.sync = sync
        full.append(True)
        answer = side.sign(key, leaf_tbs(side.clock()))
        mark = side.journal.mark()
        full.clear()

        assert ("journal", True, mark) == (answer.code, answer.retry, answer.journal)
        assert [] == side.store.signed
        assert isinstance(side.sign(key, leaf_tbs(side.clock(), name="a.example.com")), Signed)
        assert verify(tmp_path / "journal").sound


def test_marks_are_of_lines_that_are_on_disk(side, key):
    """A mark that power could take back would look like a journal that was cut."""
    answers = [
        side.sign(key, leaf_tbs(side.clock(), serial=serial, days=days))
        for serial, days in ((1, 30), (2, 9999), (3, 30))
    ]
    lines = side.journal.lines(1, 1 << 30)

    for answer in answers:
        assert answer.journal.index <= len(lines)
    assert answers[1].journal.index == answers[0].journal.index


def test_a_key_without_a_certificate_signs_only_for_itself(side):
    """A request for its own certificate, before it has one."""
    [made] = side.generate().keys
    key = side.keyring.keys()[0]
    spki_hash = hashlib.sha256(made.public_key).digest()

    assert "certificate" in refused(side, side.sign(spki_hash, leaf_tbs(side.clock())), "policy")
    private = side.store.private["issuing"]
    assert isinstance(side.sign(spki_hash, csr_tbs(private)), Signed)
    assert () == key.certificates


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.binary(max_size=200),
    st.text(max_size=40),
    st.binary(max_size=40),
    st.text(max_size=300),
    st.booleans(),
)
def test_no_request_makes_the_service_raise(side, tbs, algorithm, content, words, known):
    """Whatever it is, it has an answer, and no key is used."""
    key = side.keyring.keys()[0].spki_hash if known and side.keyring.keys() else bytes(32)
    if not side.keyring.keys():
        side.authority()
    context = Context(words, words, words, words)
    life = side.clock() + 1000
    for name in (algorithm, "ecdsa-sha256"):
        answer = side.ask(Sign(bytes(16), key, name, tbs, life, context, content))
        assert isinstance(answer, Refused)
    assert [] == side.store.signed
