"""Full requests in CMC (RFC 5272), signed by openssl; answers verified by openssl."""

import base64
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from pikaserver.api.certificates import Revocation, RevocationReason
from pikaserver.api.errors import KeyUnavailable, RequestRejected
from pikaserver.asn1 import cmc, der
from pikaserver.asn1.cmc import FailInfo, Status
from pikaserver.testing.templates import make_template
from pikaserver.testing.throw_away import (
    distinguished_name,
    spki,
    throw_away_key,
    throw_away_request,
)
from tests.est.cmc_client import (
    URL,
    content_of,
    control,
    new_keys,
    pkcs10,
    pki_data,
    self_signed,
)

CODE = ("4711", "sesame")


NONCE = der.octet_string(b"a nonce of 16 oc")


@pytest.mark.parametrize("options", [("-keyid", "-nocerts"), ()])
def test_a_new_key_signs_for_itself_and_a_code_for_its_owner(client, server, key, options):
    """Named by key identifier, or in a certificate of its own making."""
    content = pki_data(pkcs10(1, throw_away_request(key, "plc-21")))

    answer = client.send(client.sign(content, key, self_signed(key), *options), user=CODE)

    assert 200 == answer.code
    (told,) = answer.told
    assert (Status.SUCCESS, (1,)) == (told.status, told.parts)
    assert spki(key) in new_keys(answer)
    assert "code:4711" == server.wishes[0].requester.name
    assert 1 == server.codes.find("4711").proof.uses_left


def test_without_a_code_its_word_is_not_enough(client, server, key):
    """It proves possession of a key, and nothing of whose it is."""
    content = pki_data(pkcs10(1, throw_away_request(key, "plc-21")))

    answer = client.send(client.sign(content, key, self_signed(key), "-keyid", "-nocerts"))

    assert 401 == answer.code
    assert FailInfo.BAD_IDENTITY == answer.told[0].fail_info
    assert not server.wishes


def test_a_certificate_of_ours_asks_for_a_new_key(client, server, key, record, new):
    """RFC 5272 section 3.1 and 4: the old key signs the message, the new one the request."""
    content = pki_data(pkcs10(1, throw_away_request(new, "plc-21")))

    answer = client.send(client.sign(content, key, record.certificate))

    assert 200 == answer.code
    assert spki(new) in new_keys(answer)
    assert record == server.wishes[0].requester.certificate


def test_nonces_and_data_come_back(client, key, record, new):
    """RFC 5272 sections 6.4 and 6.6; our own nonce goes along."""
    named = der.integer(4711)
    controls = (
        control(10, cmc.TRANSACTION_ID, named),
        control(11, cmc.SENDER_NONCE, NONCE),
        control(12, cmc.DATA_RETURN, der.octet_string(b"mine")),
        control(13, cmc.REG_INFO, der.octet_string(b"nobody's")),
    )
    content = pki_data(pkcs10(1, throw_away_request(new, "plc-21")), controls=controls)

    answer = client.send(client.sign(content, key, record.certificate))

    assert [named] == answer.controls[cmc.TRANSACTION_ID]
    assert [NONCE] == answer.controls[cmc.RECIPIENT_NONCE]
    assert [der.octet_string(b"mine")] == answer.controls[cmc.DATA_RETURN]
    (ours,) = answer.controls[cmc.SENDER_NONCE]
    assert 16 == len(content_of(ours))


def test_a_transaction_has_a_name_in_the_core(client, server, key, record, new):
    """So that the same message twice gets one certificate."""
    content = pki_data(
        pkcs10(1, throw_away_request(new, "plc-21")),
        controls=(control(10, cmc.TRANSACTION_ID, der.integer(1)),),
    )

    for _ in range(2):
        client.send(client.sign(content, key, record.certificate))

    assert server.wishes[0].transaction == server.wishes[1].transaction
    assert server.wishes[0].transaction.startswith("cmc:")


def test_several_requests_have_an_outcome_each(client, key, record, new, server):
    """One refused, one granted: 200, and both are told."""
    other = throw_away_key(server.entropy)
    broken = bytearray(throw_away_request(other, "plc-21"))
    broken[-1] ^= 1
    content = pki_data(pkcs10(1, bytes(broken)), pkcs10(2, throw_away_request(new, "plc-21")))

    answer = client.send(client.sign(content, key, record.certificate))

    assert 200 == answer.code
    first, second = answer.told
    assert (Status.FAILED, (1,), FailInfo.POP_FAILED) == (
        first.status,
        first.parts,
        first.fail_info,
    )
    assert (Status.SUCCESS, (2,)) == (second.status, second.parts)
    assert 1 == len(server.wishes)


def test_a_message_that_was_altered_is_refused(client, server, key, record, new):
    """badMessageCheck, 400, and nothing was asked of the core."""
    content = pki_data(pkcs10(1, throw_away_request(new, "plc-21")))
    message = client.sign(content, key, record.certificate)
    altered = message.replace(b"plc-21", b"plc-22", 1)

    answer = client.send(altered)

    assert (400, FailInfo.BAD_MESSAGE_CHECK) == (answer.code, answer.told[0].fail_info)
    assert (0,) == answer.told[0].parts
    assert not server.wishes


def test_a_signer_that_nobody_knows_is_refused(client, server, key, new):
    """Another authority's certificate, or another key than the one that is asked for."""
    content = pki_data(pkcs10(1, throw_away_request(new, "plc-21")))

    answer = client.send(client.sign(content, key, self_signed(key)), user=CODE)

    assert (400, FailInfo.BAD_MESSAGE_CHECK) == (answer.code, answer.told[0].fail_info)
    assert not server.wishes


def test_a_revoked_signer_is_refused(client, server, key, record, new):
    """On the very next message."""
    server.revoke(record, Revocation(server.clock(), RevocationReason.KEY_COMPROMISE), "test")
    content = pki_data(pkcs10(1, throw_away_request(new, "plc-21")))

    answer = client.send(client.sign(content, key, record.certificate))

    assert (401, FailInfo.BAD_IDENTITY) == (answer.code, answer.told[0].fail_info)
    assert not server.wishes


def test_a_control_that_is_not_known_stops_everything(client, server, key, record, new):
    """RFC 5272 section 6: bad request, naming the control; nothing of the rest is done."""
    unknown = control(9, "1.3.6.1.5.5.7.7.99", der.integer(1))
    content = pki_data(pkcs10(1, throw_away_request(new, "plc-21")), controls=(unknown,))

    answer = client.send(client.sign(content, key, record.certificate))

    (told,) = answer.told
    assert (400, (9,), FailInfo.BAD_REQUEST) == (answer.code, told.parts, told.fail_info)
    assert not server.wishes


def crmf(number, key, name="plc-21", **changes):
    """Return a TaggedRequest in CRMF (RFC 4211), signed by its key."""
    subject = der.context(5, distinguished_name(name).public_bytes())
    public = bytes((0xA6,)) + spki(key)[1:]
    template = der.sequence(subject, public)
    wished = der.sequence(der.integer(number), template)
    signature = key.sign(changes.get("tbs", wished), ec.ECDSA(hashes.SHA256()))
    algorithm = der.sequence(der.oid("1.2.840.10045.4.3.2"))
    proof = der.context(1, algorithm + der.bit_string(signature))
    return der.context(1, wished + proof)


def test_a_request_in_crmf_is_taken(client, server, key, record, new):
    """RFC 5272 section 3.2.1.2.2: servers have to know both forms."""
    answer = client.send(client.sign(pki_data(crmf(5, new)), key, record.certificate))
    forged = crmf(6, throw_away_key(server.entropy), tbs=b"another")
    refused = client.send(client.sign(pki_data(forged), key, record.certificate))

    assert (Status.SUCCESS, (5,)) == (answer.told[0].status, answer.told[0].parts)
    assert spki(new) in new_keys(answer)
    assert (400, FailInfo.POP_FAILED) == (refused.code, refused.told[0].fail_info)


def test_a_simple_request_is_answered_simply(est, server, key):
    """RFC 5272 section 3.1: PKCS#10 in, certs-only out."""
    body = base64.b64encode(throw_away_request(key, "plc-21"))

    answer = est.send("POST", URL, body, headers={"Content-Type": "application/pkcs10"}, user=CODE)

    assert 200 == answer.status_code
    assert "application/pkcs7-mime; smime-type=certs-only" == answer.headers["content-type"]
    assert 1 == len(server.wishes)


@pytest.mark.parametrize("body", [b"AAAA", b"", b"hello!", b"\x30\x80\x00\x00", b"\xff" * 50])
def test_what_is_no_message_gets_an_answer_in_cmc(est, server, body):
    """RFC 7030 section 4.3.2: 4xx, with a CMC response in it; never a 500."""
    answer = est.send("POST", URL, body, headers={"Content-Type": "application/pkcs7-mime"})

    assert 400 == answer.status_code
    assert answer.headers["content-type"].endswith("smime-type=CMC-response")
    assert not server.wishes


def test_errors_of_the_core_have_their_words(client, server, key, record, new):
    """TryLater with 503; our own faults are not told."""
    content = pki_data(pkcs10(1, throw_away_request(new, "plc-21")))
    server.refuse_next(KeyUnavailable("the key is locked"))
    later = client.send(client.sign(content, key, record.certificate))
    server.refuse_next(RequestRejected("not this name"))

    refused = client.send(client.sign(content, key, record.certificate))

    assert (503, FailInfo.TRY_LATER) == (later.code, later.told[0].fail_info)
    assert (400, "not this name") == (refused.code, refused.told[0].text)


def test_a_template_may_close_this_door(est, server):
    """``est.full-cmc = false``."""
    rules = replace(make_template().est, full_cmc=False)
    server.templates.add(make_template(est=rules))

    answer = est.send("POST", URL, b"AAAA", headers={"Content-Type": "application/pkcs7-mime"})

    assert 403 == answer.status_code


def test_another_content_type_is_refused(est, server):
    """And the answer says what is wanted."""
    answer = est.send("POST", URL, b"{}", headers={"Content-Type": "application/json"})

    assert (415, "application/pkcs7-mime") == (answer.status_code, answer.headers["accept"])
    assert not server.wishes
