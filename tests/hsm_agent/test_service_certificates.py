"""Certificates that come back for a key, and what the server may read beside them."""

import hashlib

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from hsm_agent.journal.line import decode, line_hash
from hsm_agent.wire.messages import (
    Done,
    JournalLines,
    JournalRead,
    Mark,
    PutCertificate,
)
from tests.hsm_agent.authenticators import spki_of
from tests.hsm_agent.service_side import POLICY, refused, service_side
from tests.hsm_agent.structures_to_sign import ANY_SPKI, certificate


@pytest.fixture
def side(tmp_path):
    with service_side(tmp_path) as made:
        yield made


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
