"""A whole server whose authorities have their keys at agents: certificates, CRLs, CSRs."""

import base64
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7

from hsm_agent.wire.messages import Generate, Sign
from pikaserver.api.errors import KeyUnavailable, SignaturePending
from pikaserver.api.operations import HealthState
from pikaserver.api.signing import KeyReference
from pikaserver.testing.fake_agent_lies import silent
from pikaserver.testing.patience import until
from pikaserver.testing.requirements import require_program
from pikaserver_agents.watching import Watch


def issued(answer):
    """Return the certificate of an EST answer."""
    assert 200 == answer.status_code, answer.text
    (certificate,) = pkcs7.load_der_pkcs7_certificates(base64.b64decode(answer.content))
    return certificate


def test_an_authority_with_its_key_at_an_agent(house):
    """The key is made there, the certificate comes back to it, and everything is signed by it."""
    agent = house.agent()

    record = house.issuing()
    own = x509.load_der_x509_certificate(record.generations[0].certificate)
    leaf = issued(house.certify())
    (crl,) = house.server.crls.issue("site")
    loaded = x509.load_der_x509_crl(crl.crl)

    key = agent.desk.keys["soft/site"]
    leaf.verify_directly_issued_by(own)
    assert loaded.is_signature_valid(own.public_key())
    root = house.server.authorities.get("root").generations[0].certificate
    assert (record.generations[0].certificate, root) == key.certificates
    assert {"certificate", "crl"} == {one.context.purpose for one in agent.asked_to_sign}
    assert {"site"} == {one.context.authority for one in agent.asked_to_sign}


def test_a_root_and_a_request_with_keys_at_an_agent(house):
    """Self-signed, and a CSR that another CA shall sign."""
    house.agent()

    root = house.server.ceremony.create_root(
        house.plan("far-root", "agent:vault-a/far?profile=root", root=True), "tester"
    )
    csr = house.server.ceremony.create_waiting(
        house.plan("waiting", "agent:vault-a/waiting"), "tester"
    )

    certificate = x509.load_der_x509_certificate(root.generations[0].certificate)
    certificate.verify_directly_issued_by(certificate)
    assert x509.load_der_x509_csr(csr).is_signature_valid
    assert house.server.crls.issue("far-root")


def test_making_a_key_is_finished_by_the_same_deed(house):
    """The agent died after it had made the key."""
    agent = house.agent()
    agent.tamper = lambda request, answer: (
        agent.die_soon() if isinstance(request, Generate) else answer
    )
    with pytest.raises(KeyUnavailable):
        house.issuing()
    agent.tamper = lambda _, answer: answer
    until(lambda: not house.office.lines.present())
    house.connect(agent)

    house.issuing()

    assert 1 == len([one for one in agent.asked if isinstance(one, Generate)])
    issued(house.certify())


def test_certificates_are_put_by_themselves(house):
    """An agent that was set up anew, or one that holds the same key, gets what it lacks."""
    agent = house.agent()
    house.issuing()
    key = agent.desk.keys["soft/site"]
    agent.die()
    held, key.certificates = key.certificates, ()

    house.connect(agent)
    until(lambda: key.certificates == held, "the certificate")

    twin = house.agent("vault-b")
    twin.desk.keys["usb/9c"] = type(key)("usb/9c", key.key_type, key.private)
    twin.tell_inventory()
    until(lambda: twin.desk.keys["usb/9c"].certificates == held, "the certificate there")


def test_a_certificate_waits_for_approvals_with_the_same_octets(house):
    """What people approve are octets: the draft is kept, and its serial with it."""
    agent = house.agent()
    agent.desk.needs_approval = lambda request: request.context.purpose == "certificate"
    plan = house.plan("far-root", "agent:vault-a/far", root=True)
    with pytest.raises(SignaturePending) as pending:
        house.server.ceremony.create_root(plan, "tester")

    agent.desk.approved.add(pending.value.approval)
    house.server.ceremony.create_root(plan, "tester")

    first, second = (one for one in agent.asked_to_sign if one.context.purpose == "certificate")
    assert first.tbs == second.tbs


def test_doors_answer_503_and_when_to_come_again(house):
    """The agent is gone, or has too much to do: EST says so in HTTP's words."""
    agent = house.agent()
    house.issuing()
    agent.window = 1
    agent.die()
    until(lambda: not house.office.lines.present())

    away = house.certify()

    assert (503, True) == (away.status_code, int(away.headers["retry-after"]) > 0)
    assert "vault-a is away since" in away.text
    house.connect(agent)
    agent.tamper = silent
    with ThreadPoolExecutor(12) as pool:
        held = [pool.submit(house.certify, "site", f"plc-{n}") for n in range(10)]
        until(lambda: any(one.done() for one in held), "an answer")
        full = next(one.result() for one in held if one.done())
        agent.die()
        answers = [one.result() for one in held]
    assert (503, "2") == (full.status_code, full.headers["retry-after"])
    assert {503} == {one.status_code for one in answers}
    house.connect(agent)
    agent.tamper = lambda _, answer: answer
    issued(house.certify("site", "plc-0"))


def test_status_goes_on_without_the_agent(house):
    """CRLs that are signed are served; the health names who is away and whom that concerns."""
    agent = house.agent()
    house.issuing()
    house.server.crls.issue("site")
    watch = Watch(house.office)
    assert HealthState.OK is watch.health().state
    agent.die()
    until(lambda: not house.office.lines.present())

    health = until(lambda: watch.health().state is HealthState.DEGRADED and watch.health())

    assert "agent vault-a is away since" in health.detail
    assert "authority site cannot sign" in health.detail
    client, _ = house.door("site")
    assert 200 == client.get("/crl/site.crl").status_code


def test_a_second_agent_keeps_an_authority_going(house):
    """Health tells of the one that is away; nothing fails."""
    first = house.agent()
    house.issuing()
    second = house.agent("vault-b")
    second.desk.keys["soft/site"] = first.desk.keys["soft/site"]
    second.tell_inventory()
    until(lambda: 2 == len(house.office.directory.refresh().keys))
    first.die()
    until(lambda: 1 == len(house.office.lines.present()))

    issued(house.certify())

    health = until(lambda: "vault-a" in Watch(house.office).health().detail and "x")
    assert health
    assert "authority site is served without it" in Watch(house.office).health().detail


def test_an_agent_is_replaced_without_one_failed_signature(house):
    """Enrol the new one, share the key, drain the old one, retire it: under load."""
    first = house.agent()
    house.issuing()
    stop, failed, count = threading.Event(), [], [0]

    def load():
        while not stop.is_set():
            answer = house.certify("site", f"plc-{count[0]}")
            count[0] += 1
            if answer.status_code != 200:
                failed.append(answer.text)

    thread = threading.Thread(target=load)
    thread.start()
    try:
        until(lambda: count[0] > 3)
        second = house.agent("vault-b")
        second.desk.keys["soft/site"] = first.desk.keys["soft/site"]
        second.tell_inventory()
        until(lambda: 2 == len(house.office.directory.refresh().keys))
        house("agent", "drain", "vault-a")
        until(lambda: any(isinstance(one, Sign) for one in second.asked), "the other one's turn")
        house("agent", "retire", "vault-a", "--yes")
        until(lambda: 1 == len(house.office.lines.present()))
        before = count[0]
        until(lambda: count[0] > before + 3)
    finally:
        stop.set()
        thread.join()

    assert [] == failed
    reference = KeyReference.parse("agent:vault-a/site")
    assert (
        second.desk.keys["soft/site"].public_key == house.office.backend.find(reference).public_key
    )


def test_a_key_that_is_kept_for_another_authority_is_refused(house):
    """``agent allow``: neither a new authority nor one that has it already."""
    house.agent("vault-a", "spare")
    house.issuing()
    house("agent", "allow", "vault-a/spare", "--authority", "root")
    code, _, err = house.run(
        "ca", "create", "other", "--parent", "root", "--key", "agent:vault-a/spare"
    )
    assert 1 == code
    assert "is kept for root, not for 'other'" in err
    house("agent", "deny", "vault-a/site", "--authority", "site")

    answer = until(lambda: (a := house.certify()).status_code != 200 and a)

    assert (400, True) == (answer.status_code, "kept for nobody" in answer.text)


def test_openssl_takes_what_an_agent_signed(house, tmp_path):
    """Certificate and CRL, by another implementation."""
    openssl = require_program("openssl", package="openssl")
    house.agent()
    record = house.issuing()
    leaf = issued(house.certify())
    files = {
        "root": house.server.authorities.get("root").generations[0].certificate,
        "site": record.generations[0].certificate,
        "leaf": leaf.public_bytes(Encoding.DER),
    }
    for name, octets in files.items():
        (tmp_path / f"{name}.der").write_bytes(octets)
        subprocess.run(
            [openssl, "x509", "-inform", "DER", "-in", f"{name}.der", "-out", f"{name}.pem"],
            check=True,
            cwd=tmp_path,
        )
    verify = "verify -CAfile root.pem -untrusted site.pem leaf.pem"

    done = subprocess.run(
        [openssl, *verify.split()], capture_output=True, text=True, check=False, cwd=tmp_path
    )

    assert "leaf.pem: OK" in done.stdout, done.stderr
    assert leaf.signature_hash_algorithm.name == hashes.SHA256().name
