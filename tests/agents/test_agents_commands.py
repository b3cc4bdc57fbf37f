"""``pikaserver agent``, beside a server that runs."""

import json

import pytest

from hsm_agent.wire.bundles import ANSWERS, Bundle
from hsm_agent.wire.enrollment_code import EnrollmentCode
from hsm_agent.wire.messages import Approve
from pikaserver.testing.fake_agent import FakeAgent
from pikaserver.testing.fake_agent_lies import flipped
from pikaserver.testing.patience import until


def refused(house, *words):
    """Run a command that fails; return its exit code and its one line."""
    code, _, err = house.run(*words)
    assert 0 != code
    assert 1 == len(err.splitlines()), err
    return code, err


def test_enroll_gives_a_code_for_programs(house):
    """``-o json`` prints ``code`` first; it holds this server's address and keys."""
    found = house.json("agent", "enroll", "vault-a")

    code = EnrollmentCode.read(found["code"])
    assert ["code", "agent", "purpose", "expires_at", "addresses"] == [*found]
    node = house.office.identity.node
    assert ("vault-a", (node.pin,)) == (code.agent, code.pins)
    assert (f"127.0.0.1:{house.office.listener.works.door.port}",) == code.addresses


def test_enroll_shows_people_a_command_and_a_picture(house):
    """To be typed, or read by a camera; what to do next is said."""
    text = house("agent", "enroll", "vault-a")

    assert "hsm-agent enroll pika-agent-1." in text
    assert "█" in text
    assert "agent show vault-a" in text
    offline = house("agent", "enroll", "vault-o", "--offline")
    assert "--offline registration.bundle" in offline


@pytest.mark.parametrize("validity", ["0m", "15", "31d", "1w", "-1m", "999999999999999999999d"])
def test_durations_that_cannot_be_are_usage_errors(house, validity):
    """The sentence shows how one looks."""
    code, _, err = house.run("agent", "enroll", "vault-a", "--validity", validity)

    assert (2, True) == (code, "no duration like 15m" in err)


def test_an_agent_can_be_looked_at(house):
    """List, details with the digits to compare, and keys."""
    agent = house.agent("vault-a", "issuing")
    key = agent.desk.keys["soft/issuing"]

    (row,) = house.json("agent", "list")
    details = house.json("agent", "show", "vault-a")
    (found,) = house.json("agent", "keys", "vault-a")

    assert ("vault-a", "enrolled", True, 1) == (
        row["agent"],
        row["state"],
        row["connected"],
        row["keys"],
    )
    assert 29 == len(details["comparison_words"])
    assert ([1], [], None) == (details["nodes"], details["keys"][1:], details["why"])
    assert f"sha256:{agent.identity.pin.hex()}" == details["pin"]
    assert ("agent:vault-a/soft/issuing", "ready", "everybody", True) == (
        found["key"],
        found["state"],
        found["kept_for"],
        found["trial"],
    )
    assert f"sha256:{key.spki_hash.hex()}" == found["spki"]
    assert "vault-a" in house("agent", "list")
    assert "comparison words" in house("agent", "show", "vault-a")
    code, err = refused(house, "agent", "show", "vault-x")
    assert (3, True) == (code, "no agent 'vault-x'" in err)


def test_host_commands_know_the_keys(house):
    """``pikaserver key list`` shows them beside the software keys."""
    house.agent("vault-a", "issuing")

    found = {row["key"]: row["state"] for row in house.json("key", "list")}

    assert "ready" == found["agent:vault-a/soft/issuing"]


def test_an_agent_proves_that_it_has_its_keys(house):
    """The time of each signature, or why there is none; then the command ends with 1."""
    agent = house.agent("vault-a", "issuing", "other")

    results = house.json("agent", "test", "vault-a")

    assert ["signs", "signs"] == [row["result"] for row in results]
    assert all(row["milliseconds"] > 0 for row in results)
    assert all(one.tbs.startswith(b"hsm-agent key proof v1\0") for one in agent.asked_to_sign)
    agent.tamper = flipped
    code, out, _ = house.run("agent", "test", "vault-a", "issuing", "-o", "json")
    assert (1, True) == (code, "does not verify" in json.loads(out)[0]["result"])


def test_an_authority_is_made_by_one_command(house):
    """The key at the agent, the certificate there as well, the CRL at once."""
    agent = house.agent("vault-a")

    made = house.json("ca", "create", "site", "--parent", "root", "--key", "agent:vault-a/site")

    assert "agent:vault-a/site" == made["key"]
    key = agent.desk.keys["soft/site"]
    assert 2 == len(key.certificates)
    assert {"crl"} == {one.context.purpose for one in agent.asked_to_sign}
    (row,) = house.json("agent", "keys")
    assert ["site"] == row["authorities"]


def test_confirmed_agents_wait(house):
    """``enroll --confirm`` and ``approve``."""
    agent = FakeAgent("vault-a")
    house.agents.append(agent)
    code = house.code("vault-a", "--confirm")
    house.office.listener.works.keeper.look_again()
    agent.enroll(code)
    (row,) = house.json("agent", "list")
    assert "waiting" == row["state"]

    approved = house.json("agent", "approve", "vault-a")

    assert ("enrolled", 29) == (approved["state"], len(approved["comparison_words"]))
    house.office.listener.works.keeper.look_again()
    house.connect(agent)
    code, err = refused(house, "agent", "approve", "vault-a")
    assert (7, True) == (code, "cannot be approved now" in err)


def test_drain_and_retire(house):
    """A drained agent keeps its line; a retired one is gone for good."""
    agent = house.agent("vault-a", "issuing")

    assert "draining" == house.json("agent", "drain", "vault-a")["state"]
    until(lambda: house.office.lines.present()["vault-a"].held)
    assert 7 == refused(house, "agent", "drain", "vault-a")[0]
    assert "enrolled" == house.json("agent", "drain", "vault-a", "--off")["state"]
    assert "retired" == house.json("agent", "retire", "vault-a", "--yes")["state"]

    until(lambda: agent.ended)
    assert 7 == refused(house, "agent", "retire", "vault-a", "--yes")[0]
    assert 7 == refused(house, "agent", "enroll", "vault-a")[0]
    events = [row["event"] for row in house.json("audit", "list")]
    assert {"agent.drained", "agent.resumed", "agent.retired", "agent.enrolled"} <= {*events}


def test_keys_are_kept_for_authorities(house):
    """``allow`` and ``deny``; one of ``--authority`` and ``--any``."""
    agent = house.agent("vault-a", "issuing")
    spki = f"sha256:{agent.desk.keys['soft/issuing'].spki_hash.hex()}"

    assert ["root"] == house.json("agent", "allow", spki, "--authority", "root")["kept_for"]
    both = house.json("agent", "allow", "vault-a/issuing", "--authority", "issuing")
    assert ["issuing", "root"] == both["kept_for"]
    left = house.json("agent", "deny", "agent:vault-a/soft/issuing", "--authority", "root")
    assert ["issuing"] == left["kept_for"]
    assert "everybody" == house.json("agent", "allow", "vault-a/issuing", "--any")["kept_for"]
    assert 2 == house.run("agent", "allow", "vault-a/issuing")[0]
    assert 3 == refused(house, "agent", "allow", "vault-a/other", "--any")[0]
    assert 3 == refused(house, "agent", "allow", spki, "--authority", "no-such")[0]


def test_approvals_are_listed_and_handed_over(house, tmp_path):
    """The agent decides whether a proof counts; the same wish then goes on."""
    agent = house.agent("vault-a")
    agent.desk.needs_approval = lambda request: request.context.purpose == "certificate"
    create = ("ca", "create", "far", "--key", "agent:vault-a/far?profile=root")
    code, err = house.run(*create)[::2]
    assert (8, True) == (code, "agent vault-a waits for approvals" in err)
    (row,) = house.json("agent", "approvals")
    assert ("vault-a", "certificate") == (row["agent"], row["purpose"])
    proof = tmp_path / "proof.sig"
    proof.write_bytes(b"-----BEGIN SSH SIGNATURE-----")

    taken = house.json(
        "agent", "approve-signature", row["approval"], "--kind", "ssh", "--proof", proof
    )

    assert "taken" == taken["state"]
    (request,) = [one for one in agent.asked if isinstance(one, Approve)]
    assert (bytes.fromhex(row["approval"]), "ssh") == (request.approval, request.kind)
    assert proof.read_bytes() == request.proof
    house(*create)
    assert [] == house.json("agent", "approvals")


def test_approvals_that_nobody_waits_for(house, tmp_path):
    """A hash that is none, one that nobody knows, a proof that is refused."""
    agent = house.agent("vault-a", "issuing")
    proof = tmp_path / "proof"
    proof.write_bytes(bytes(64))
    words = ("--kind", "ed25519", "--proof", proof)
    unknown = "ab" * 32

    assert 2 == house.run("agent", "approve-signature", "abc", *words)[0]
    assert "add --agent NAME" in refused(house, "agent", "approve-signature", unknown, *words)[1]
    agent.tamper = lambda request, answer: (
        agent.desk.refuse(request, "policy", "no such approver")
        if isinstance(request, Approve)
        else answer
    )
    code, err = refused(
        house, "agent", "approve-signature", f"sha256:{unknown}", *words, "--agent", "vault-a"
    )
    assert (1, True) == (code, "no such approver" in err)


def test_an_authority_at_an_agent_without_a_line(house, tmp_path):
    """Everything by files: registration, the key, the certificate's signature."""
    agent = FakeAgent("vault-o")
    house.agents.append(agent)
    files = {name: tmp_path / name for name in ("registration", "requests", "answers")}
    code = house.code("vault-o", "--offline")
    files["registration"].write_bytes(agent.registration(code))
    registered = house.json("agent", "register", files["registration"])
    assert ("offline", 29) == (registered["state"], len(registered["comparison_words"]))

    def carry():
        count = house.json("agent", "bundle", "export", "vault-o", "--out", files["requests"])
        files["answers"].write_bytes(agent.answer_bundle(files["requests"].read_bytes()))
        return count["requests"], house.json("agent", "bundle", "import", files["answers"])

    create = ("ca", "create", "far", "--key", "agent:vault-o/far?profile=root")
    for _ in range(2):
        code, _, err = house.run(*create)
        assert (8, True) == (code, "bundle export vault-o" in err)
        requests, done = carry()
        assert (1, 1, []) == (requests, done["answers"], done["faults"])

    assert "agent:vault-o/far?profile=root" == house.json(*create)["key"]

    assert 0o600 == files["requests"].stat().st_mode & 0o777
    (row,) = house.json("agent", "keys", "vault-o")
    assert ["far"] == row["authorities"]
    assert 8 == house.run("crl", "generate", "far")[0]
    carry()
    house("crl", "generate", "far")
    (key,) = agent.desk.keys.values()
    assert 1 == len(key.certificates)


def test_bundles_that_are_none(house, tmp_path):
    """A file of something else, one with a fault, and an agent that has a line."""
    house.agent("vault-a", "issuing")
    file = tmp_path / "file"
    file.write_bytes(b"something else")
    assert 1 == refused(house, "agent", "bundle", "import", file)[0]
    assert 1 == refused(house, "agent", "register", file)[0]
    assert 7 == refused(house, "agent", "bundle", "export", "vault-a", "--out", file)[0]
    file.write_bytes(Bundle(ANSWERS, "vault-a", ((bytes(32), b"frame"),)).octets())

    code, out, _ = house.run("agent", "bundle", "import", file, "-o", "json")

    assert (6, 1) == (code, len(json.loads(out)["faults"]))


def test_new_keys_by_a_code(house):
    """``rotate`` is for an agent that is known."""
    house.agent("vault-a")

    found = house.json("agent", "rotate", "vault-a", "--validity", "1h")

    assert "rotate" == found["purpose"]
    assert 3 == refused(house, "agent", "rotate", "vault-x")[0]
