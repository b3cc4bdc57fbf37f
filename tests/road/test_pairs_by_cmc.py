"""Pairs by one message of CMC: signed by openssl, answered by a whole server, read by openssl."""

import subprocess
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, mldsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding

from pikaserver.asn1 import cmc, der
from pikaserver.asn1.cmc import FailInfo, Status
from pikaserver.asn1.related_certificates import related_attribute, related_hash
from pikaserver.authority.templates.starters import starter
from pikaserver.testing.client import ServiceClient
from pikaserver.testing.damage import altered
from pikaserver.testing.openssl import require_ml_dsa_openssl
from pikaserver.testing.requirements import require_program
from pikaserver_est.plugin import register_services
from tests.est.cmc_client import CmcClient, control, pkcs10, pki_data
from tests.est.test_est_cmc import self_signed
from tests.road.pair_ground import document, first_der, prepare, second_der, signings

URL = "/.well-known/est/paired/fullcmc"
OPTIONS = ("-keyid", "-nocerts")


@pytest.fixture(scope="module", autouse=True)
def paired(server):
    prepare(server)


@pytest.fixture
def client(server, tmp_path):
    est = ServiceClient(*register_services(server.for_plugins))
    root = server.authorities.key("root").generation.certificate
    return CmcClient(est, tmp_path, [root], server.clock())


@pytest.fixture
def key():
    return ec.generate_private_key(ec.SECP256R1())


def user(server, template="paired", uses=1):
    code = server.codes.create(template, "test", uses=uses, lifetime=timedelta(days=1))
    return code.user, code.code


def both(key, second=None):
    return pki_data(pkcs10(1, first_der(key=key)), pkcs10(2, second or second_der()))


def ask(client, content, key, who, url=URL):
    return client.send(client.sign(content, key, self_signed(key), *OPTIONS), url, user=who)


def leaves(answer):
    """Return the two new certificates of an answer, the first one first."""
    loaded = [x509.load_der_x509_certificate(one) for one in answer.certificates]
    named = [one for one in loaded if "plc-21" in one.subject.rfc4514_string()]
    return sorted(named, key=lambda one: isinstance(one.public_key(), mldsa.MLDSA65PublicKey))


def test_two_requests_in_one_message_bring_a_pair(client, server, key, tmp_path):
    """One outcome for both, one use of the code; openssl reads both certificates and chains."""
    who = user(server)

    answer = ask(client, both(key), key, who)

    (told,) = answer.told
    assert (200, Status.SUCCESS, (1, 2)) == (answer.code, told.status, told.parts)
    first, second = leaves(answer)
    record = server.certificates.by_certificate(octets_of(first))
    assert related_hash(second).fits(octets_of(first))
    assert ("paired", "est") == (record.template, record.door)
    openssl = require_program("openssl", package="openssl")
    (tmp_path / "answer.der").write_bytes(answer.octets)
    shown = subprocess.run(
        [openssl, "cms", "-cmsout", "-print", "-inform", "DER", "-in", tmp_path / "answer.der"],
        capture_output=True,
        check=True,
    ).stdout.decode()
    for one in (first, second):
        assert f"{one.serial_number:X}"[-8:] in shown.upper().replace(":", "").replace("\n", "")


def test_openssl_follows_both_chains(client, server, key, tmp_path):
    """Each certificate of the answer with those above it, to one root."""
    openssl = require_ml_dsa_openssl()
    answer = ask(client, both(key), key, user(server))
    above = tmp_path / "above.pem"
    above.write_bytes(b"".join(der.write_pem("CERTIFICATE", one) for one in answer.certificates))
    root = tmp_path / "root.pem"
    trusted = server.authorities.key("root").generation.certificate
    root.write_bytes(der.write_pem("CERTIFICATE", trusted))
    at = str(int(server.clock().timestamp()))

    for leaf in leaves(answer):
        path = tmp_path / "leaf.pem"
        path.write_bytes(leaf.public_bytes(Encoding.PEM))
        command = [openssl, "verify", "-attime", at, "-CAfile", root, "-untrusted", above, path]
        told = subprocess.run(command, capture_output=True, check=False)
        assert 0 == told.returncode, told.stderr


def octets_of(certificate):
    return certificate.public_bytes(Encoding.DER)


def test_the_same_requests_in_another_message_get_the_same_pair(client, server, key):
    """The code is spent, and the client lost the answer: nothing new is signed."""
    who, first, second = user(server), first_der(key=key), second_der()
    once = ask(client, pki_data(pkcs10(1, first), pkcs10(2, second)), key, who)
    before = signings(server)

    again = ask(client, pki_data(pkcs10(5, first), pkcs10(6, second)), key, who)

    assert [200, 200] == [one.code for one in (once, again)]
    assert leaves(once) == leaves(again)
    assert before == signings(server)


def test_a_template_without_pairs_says_so(client, server, key):
    """A classical and a post-quantum key of one holder get none, and not two strangers."""
    before = signings(server)

    answer = ask(client, both(key), key, user(server, "device"), "/.well-known/est/device/fullcmc")

    (told,) = answer.told
    assert (400, Status.FAILED, (1, 2)) == (answer.code, told.status, told.parts)
    assert FailInfo.BAD_REQUEST == told.fail_info
    assert "related.pair" in told.text
    assert before == signings(server)


def test_a_pair_that_is_half_wrong_is_wrong(client, server, key):
    """Broken signature, foreign binding, another template's rule: no half is signed."""
    octets = second_der()
    foreign = ask(client, both(key), key, user(server))
    bound = related_attribute(
        octets_of(leaves(foreign)[0]),
        server.clock(),
        lambda text: key.sign(text, ec.ECDSA(SHA256())),
    )
    before = signings(server)
    who = user(server, uses=5)

    broken = ask(client, both(key, altered(octets, len(octets) - 1)), key, who)
    claimed = ask(client, both(key, second_der(attributes=bound)), key, who)
    server.templates.save("quantum", document().replace('"ml-dsa-65", ', ""), "test")
    banned = ask(client, both(key), key, who)
    server.templates.save("quantum", document(), "test")

    assert FailInfo.POP_FAILED == broken.told[0].fail_info
    assert "the server binds" in claimed.told[0].text
    assert "ml-dsa-65" in banned.told[0].text
    assert [(1, 2)] * 3 == [one.told[0].parts for one in (broken, claimed, banned)]
    assert before == signings(server)


def test_requests_of_two_holders_are_two_requests(client, server, key):
    """As before: each has its own outcome, and its own use of the code."""
    content = pki_data(pkcs10(1, first_der(key=key)), pkcs10(2, second_der("plc-22")))

    answer = ask(client, content, key, user(server, uses=2))

    assert [(Status.SUCCESS, (1,)), (Status.SUCCESS, (2,))] == [
        (one.status, one.parts) for one in answer.told
    ]


def test_a_pair_that_waits_has_one_token(client, server, key):
    """Approved, it brings both; whoever asks once more gets the same."""
    text = starter("device").replace("approval = false", "approval = true")
    text = text.replace('mode = "refused"', 'mode = "refused"\npair = "quantum"')
    server.templates.save("patient", text, "test")
    url, who = "/.well-known/est/patient/fullcmc", user(server, "patient", uses=2)
    waiting = ask(client, both(key), key, who, url)
    (told,) = waiting.told
    # The key of the message's signer is known by a request in it.
    asking = pki_data(
        pkcs10(7, first_der(key=key)),
        controls=(control(1, cmc.QUERY_PENDING, der.octet_string(told.token)),),
    )
    server.requests.decide(int(told.token), "officer", approve=True)

    done = ask(client, asking, key, who, url)
    again = ask(client, asking, key, who, url)

    assert (202, Status.PENDING, (1, 2)) == (waiting.code, told.status, told.parts)
    assert Status.SUCCESS == done.told[0].status
    first, second = leaves(done)
    assert related_hash(second).fits(octets_of(first))
    assert [octets_of(one) for one in leaves(done)] == [octets_of(one) for one in leaves(again)]
