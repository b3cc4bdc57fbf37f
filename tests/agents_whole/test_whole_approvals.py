"""Two of three people agree to what a root signs, each with a key of their own."""

import base64
import hashlib
import subprocess

import pytest
from cryptography import x509

from pikaserver.testing.requirements import require_program
from tests.agents_whole.deeds import new_key
from tests.agents_whole.judging import Judge

NAMESPACE = "hsm-agent-approval"
THRESHOLD = 'approval = { need = 2, of = ["alice", "bob", "carol"] }'
ED25519_PREFIX = 12
"""Octets of a SubjectPublicKeyInfo before the 32 of an Ed25519 key."""


class SshApprover:
    """Signs with ssh-keygen."""

    kind = "ssh"

    def __init__(self, folder, name):
        self._folder = folder
        self._key = folder / name
        self._program = require_program("ssh-keygen", package="openssh-client")
        self._run("-q", "-t", "ed25519", "-N", "", "-C", f"{name}@example.com", "-f", self._key)

    @property
    def policy(self):
        return f'ssh = "{self._key.with_suffix(".pub").read_text().strip()}"'

    def sign(self, statement):
        """Return the file with a signature over a statement."""
        file = self._folder / f"{self._key.name}.statement"
        file.write_text(statement)
        file.with_suffix(".statement.sig").unlink(missing_ok=True)
        self._run("-q", "-Y", "sign", "-n", NAMESPACE, "-f", self._key, file)
        return file.with_suffix(".statement.sig")

    def _run(self, *words):
        subprocess.run([self._program, *map(str, words)], check=True, capture_output=True)


class OpensslApprover:
    """Signs with openssl."""

    kind = "ed25519"

    def __init__(self, judge, name):
        self._judge = judge
        self._key = judge.folder / f"{name}.pem"
        judge.run("genpkey", "-algorithm", "ed25519", "-out", self._key)

    @property
    def policy(self):
        out = self._judge.folder / "public.der"
        self._judge.run("pkey", "-in", self._key, "-pubout", "-outform", "DER", "-out", out)
        return f'ed25519 = "{base64.b64encode(out.read_bytes()[ED25519_PREFIX:]).decode()}"'

    def sign(self, statement):
        """Return the file with a signature over a statement."""
        file = self._judge.file("statement", statement)
        out = self._key.with_suffix(".sig")
        self._judge.run("pkeyutl", "-sign", "-rawin", "-inkey", self._key, "-in", file, "-out", out)
        return out


@pytest.fixture(scope="module")
def judge(tmp_path_factory):
    return Judge(tmp_path_factory.mktemp("people"))


@pytest.fixture(scope="module")
def people(judge):
    """Give three approvers, and one who is none."""
    ssh = {name: SshApprover(judge.folder, name) for name in ("alice", "bob", "mallory")}
    return {**ssh, "carol": OpensslApprover(judge, "carol")}


@pytest.fixture(scope="module")
def host(house, people):
    """Give an agent whose root signs nothing, not even for itself, without two of three."""
    made = house.host("vault-a")
    made.edit_policy(
        'max-validity = "7305d"            # no approval; every further one does\n'
        'approval = "local"',
        f'max-validity = "7305d"\nfirst-needs-approval = true\n{THRESHOLD}',
    )
    made.edit_policy('approval = "local"                # hsm-agent approve', f"{THRESHOLD} #")
    policy = made.data / "policy.toml"
    approvers = "".join(
        f"[approvers.{name}]\n{people[name].policy}\n" for name in ("alice", "bob", "carol")
    )
    policy.write_text(f"{policy.read_text()}\n{approvers}")
    made("policy", "check")
    house.start(made)
    return made


@pytest.fixture
def waiting(house, host, request):
    """Give what waits after a root was asked for, and the words that ask again."""
    name = (
        request.node.name.partition("[")[0].replace("test_", "").replace("_", "-")[:40].strip("-")
    )
    words = ("ca", "create", name, *new_key(name))
    answer = house.try_(*words)
    assert 8 == answer.code, answer.errors
    (found,) = [one for one in host.json("approvals") if one["key"].endswith(f"/{name}")]
    return found, words, answer


def given(house, people, name, found, statement=None):
    """Bring somebody's signature by way of the server."""
    approver = people[name]
    proof = approver.sign(statement or found["statement"])
    return house.try_(
        *("agent", "approve-signature", found["id"], "--kind", approver.kind, "--proof", proof)
    )


def test_the_same_command_goes_on_when_two_of_three_have_signed(
    house, host, people, waiting, judge
):
    """One signature comes by the server, one at the agent's host; openssl has the last word."""
    found, words, first = waiting

    by_server = given(house, people, "alice", found)
    second = house.try_(*words)
    proof = people["carol"].sign(found["statement"])
    host("approve", found["id"], "--proof", proof, "--kind", "ed25519")
    done = house.try_(*words)

    assert found["id"] in first.errors
    assert "0 of 2 approvals" in first.errors
    assert 0 == by_server.code, by_server.errors
    assert 8 == second.code
    assert "1 of 2 approvals" in second.errors
    assert 0 == done.code, done.errors
    root = house.pem(words[2])
    assert judge.trusts(root, root)
    tbs = x509.load_pem_x509_certificate(root.encode()).tbs_certificate_bytes
    assert found["id"] == hashlib.sha256(tbs).hexdigest()
    (line,) = [one for one in host.journal("sign") if one["tbs"] == found["id"]]
    assert ["alice", "carol"] == line["approved-by"]


def test_what_waits_is_told_to_those_who_decide(house, host, waiting):
    """At the server the hash; at the agent's host the octets, decoded by the agent itself."""
    found, words, _ = waiting

    at_server = [one for one in house.json("agent", "approvals") if one["approval"] == found["id"]]
    octets = host.data.parent / "octets"
    shown = host("approvals", "show", found["id"], "--octets", octets).text

    assert [("vault-a", "certificate")] == [(one["agent"], one["purpose"]) for one in at_server]
    assert f"subject: CN={words[2]}" in shown
    assert "what the server says, unchecked" in shown
    assert found["id"] == hashlib.sha256(octets.read_bytes()).hexdigest()
    assert found["statement"] == host("approvals", "show", found["id"], "--statement").text


def test_a_stranger_approves_nothing(house, people, waiting):
    found, words, _ = waiting

    answer = given(house, people, "mallory", found)

    assert 1 == answer.code
    assert "refuses it (policy)" in answer.errors
    assert "0 of 2 approvals" in house.try_(*words).errors


def test_one_person_counts_once(house, people, waiting):
    """However often they sign, and by whichever way."""
    found, words, _ = waiting

    for _ in range(3):
        given(house, people, "bob", found)

    assert "1 of 2 approvals" in house.try_(*words).errors


def test_a_signature_over_other_octets_is_no_approval(house, people, waiting):
    """Of another hash, another key or another kind: the statement names all three."""
    found, words, _ = waiting
    other = hashlib.sha256(b"other").hexdigest()

    answers = [
        given(house, people, name, found, found["statement"].replace(before, after))
        for name, before, after in (
            ("alice", found["id"], other),
            ("carol", "kind: self-signed", "kind: ca-cert"),
            ("bob", "agent: vault-a", "agent: vault-b"),
        )
    ]

    assert {1} == {answer.code for answer in answers}
    assert "0 of 2 approvals" in house.try_(*words).errors


def test_a_signature_made_for_something_else_is_no_approval(house, people, waiting):
    """What ssh signs is for a purpose: that of git or of a file does not count."""
    found, words, _ = waiting
    proof = people["alice"].sign(found["statement"])
    key = proof.with_name("alice")
    proof.unlink()
    subprocess.run(
        ["ssh-keygen", "-q", "-Y", "sign", "-n", "git", "-f", key, proof.with_suffix("")],
        check=True,
        capture_output=True,
    )

    answer = house.try_(
        *("agent", "approve-signature", found["id"], "--kind", "ssh", "--proof", proof)
    )

    assert 1 == answer.code
    assert "0 of 2 approvals" in house.try_(*words).errors


def test_the_operator_at_the_host_is_none_of_the_three(host, house, waiting):
    """Who may approve is what the policy says, also at its own host."""
    found, words, _ = waiting

    host.try_("approve", found["id"], "--yes")

    assert "0 of 2 approvals" in house.try_(*words).errors


def test_what_a_person_declined_is_not_signed(host, house, people, waiting):
    """Approvals that come later change nothing."""
    found, words, _ = waiting
    given(house, people, "alice", found)

    host("decline", found["id"])
    late = given(house, people, "bob", found)

    assert 0 != late.code
    refused = house.try_(*words)
    assert 1 == refused.code
    assert "declined" in refused.errors


def test_approvals_outlive_a_restart_of_the_agent(host, house, people, waiting):
    """They lie on its disk, and are verified again when they are counted."""
    found, words, _ = waiting
    given(house, people, "alice", found)

    host.stop()
    house.start(host)
    given(house, people, "bob", found)

    assert 0 == house.try_(*words).code


def test_an_approver_who_left_does_not_count_any_more(host, house, people, waiting):
    """The policy of the moment decides, not that of the signature."""
    found, words, _ = waiting
    given(house, people, "alice", found)
    given(house, people, "bob", found)

    host.edit_policy(people["bob"].policy, people["mallory"].policy)
    host.reload()
    left = house.try_(*words)
    host.edit_policy(people["mallory"].policy, people["bob"].policy)
    host.reload()

    assert 8 == left.code
    assert "1 of 2 approvals" in left.errors
    assert 0 == house.try_(*words).code
