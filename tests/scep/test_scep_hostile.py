"""Hostile messages: a failInfo each time, never a 500, and nothing that helps to decrypt."""

import subprocess
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pikaserver.asn1 import der
from pikaserver.asn1 import scep_attributes as attributes
from pikaserver.asn1.elements import children
from pikaserver.asn1.enveloped_data import read_envelope, seal
from pikaserver.asn1.recipients import KeyTransportRecipient
from pikaserver.clock import system_entropy
from pikaserver.testing.requirements import require_program
from tests.scep.device import (
    BAD_ALG,
    BAD_MESSAGE_CHECK,
    FAILURE,
    PKCS_REQ,
    SUCCESS,
    Device,
    House,
    spki,
)
from tests.scep.hostility import enveloped, refused, request


def indefinite(octets):
    """Write DER as BER: constructed ones without a length, octet strings in two pieces."""
    tag, inner = octets[0], b"".join(
        indefinite(octets[one.at : one.end]) for one in children(octets)
    ) if octets[0] & 0x20 else b""  # fmt: skip
    if tag & 0x20:
        return bytes((tag, 0x80)) + inner + b"\x00\x00"
    if tag == 0x04 and len(octets) > 200:
        start, end = der.content(octets, 0)
        middle = (start + end) // 2
        pieces = der.octet_string(octets[start:middle]) + der.octet_string(octets[middle:end])
        return b"\x24\x80" + pieces + b"\x00\x00"
    return octets


def test_what_is_for_somebody_else_is_refused(house, device):
    """Even where the key is the right one."""
    other = Device("somebody", number=1)
    envelope = device.seal(device.csr("x"), other.certificate)

    refused(house, device, device.message(PKCS_REQ, envelope), BAD_MESSAGE_CHECK)


def test_two_recipients_are_refused(house, device):
    """See CVE-2019-1563."""
    recipients = [KeyTransportRecipient(house.recipient)] * 2
    envelope = seal(device.csr(house.challenge()), recipients, system_entropy)

    refused(house, device, device.message(PKCS_REQ, envelope), BAD_MESSAGE_CHECK)


def test_two_signers_are_refused(house, device):
    """One would vouch, the other one be believed."""
    message = device.message(PKCS_REQ, request(house, device))
    outer = list(children(message))[1]
    data = next(children(message, outer.at))
    fields = [message[one.at : one.end] for one in children(message, data.at)]
    inside = next(children(fields[-1]))
    signer = fields[-1][inside.at : inside.end]
    fields[-1] = der.element(0x31, signer, signer)
    twice = der.sequence(der.oid("1.2.840.113549.1.7.2"), der.context(0, der.sequence(*fields)))

    refused(house, device, twice, BAD_MESSAGE_CHECK)


def test_messages_in_messages_are_refused(house, device):
    """An envelope in an envelope, a message in a message, and many of them."""
    envelope = request(house, device)
    for _ in range(3):
        envelope = device.seal(envelope, house.recipient)
    message = device.message(PKCS_REQ, request(house, device))

    refused(house, device, device.message(PKCS_REQ, envelope), BAD_MESSAGE_CHECK)
    refused(house, device, device.message(PKCS_REQ, message), BAD_MESSAGE_CHECK)
    refused(house, device, b"\x30\x80" * 5000, BAD_MESSAGE_CHECK)


@pytest.mark.parametrize("tag_octets", [1, 16])
def test_authenticated_modes_are_refused(house, device, tag_octets):
    """AuthEnvelopedData is not asked for; with a tag of one octet it would prove nothing."""
    good = read_envelope(request(house, device))
    octets = enveloped(good)
    gcm = der.sequence(
        der.oid("2.16.840.1.101.3.4.1.46"),
        der.sequence(der.octet_string(bytes(12)), der.integer(tag_octets)),
    )
    as_cipher = octets.replace(good.cipher.identifier(good.iv), gcm)
    auth = der.sequence(
        der.oid("1.2.840.113549.1.9.16.1.23"),
        der.context(0, der.sequence(der.integer(0), der.octet_string(bytes(tag_octets)))),
    )

    refused(house, device, device.message(PKCS_REQ, auth), BAD_MESSAGE_CHECK)
    # The lengths around it do not fit any more, so it is mended first.
    mended = enveloped_with_cipher(good, gcm)
    refused(house, device, device.message(PKCS_REQ, mended), BAD_ALG)
    assert as_cipher != octets


def enveloped_with_cipher(envelope, cipher):
    class Cipher:
        def identifier(self, _iv):
            return cipher

    return enveloped(replace(envelope, cipher=Cipher()))


def test_indefinite_lengths_are_read(house, device):
    """Old devices write BER, inside and outside."""
    envelope = indefinite(device.seal(device.csr(house.challenge()), house.recipient))
    message = device.message(PKCS_REQ, envelope, transaction="ber")

    reply = house.ask(device, indefinite(message))

    assert SUCCESS == reply.status, reply.text


def test_a_huge_rsa_key_is_not_verified_with(house, device):
    """16384 bits, as made by nobody: the modulus is only a number."""
    number = (1 << 16383) + 1
    key = rsa.RSAPublicNumbers(65537, number).public_key()
    certificate = with_key(device.certificate, spki_of(key))
    message = device.message(PKCS_REQ, request(house, device), certificate=certificate)

    refused(house, device, message, BAD_ALG)


def spki_of(key):
    class Holder:
        def public_key(self):
            return key

    return spki(Holder())


def with_key(certificate, public):
    """Return a certificate over another key; its signature is of no interest."""
    tbs, algorithm, signature = children(certificate)
    fields = [certificate[one.at : one.end] for one in children(certificate, tbs.at)]
    fields[6] = public
    return der.sequence(
        der.sequence(*fields),
        certificate[algorithm.at : algorithm.end],
        certificate[signature.at : signature.end],
    )


@pytest.mark.parametrize("hash_name", ["md5", "sha1"])
def test_weak_hashes_are_refused(house, device, hash_name):
    """As failInfo badAlg, so that a device can tell."""
    message = device.message(PKCS_REQ, request(house, device), hash_name=hash_name)

    assert "is not accepted here" in refused(house, device, message, BAD_ALG).text


def test_a_request_signed_with_md5_is_refused(house, device, tmp_path):
    """Also where only the CSR inside is weak."""
    openssl = require_program("openssl", package="openssl")
    command = [openssl, "req", "-new", "-newkey", "rsa:2048", "-noenc", "-md5", "-subj", "/CN=x"]
    command += ["-keyout", tmp_path / "key.pem", "-outform", "DER"]
    csr = subprocess.run(command, capture_output=True, check=True).stdout

    message = device.message(PKCS_REQ, device.seal(csr, house.recipient))

    refused(house, device, message, BAD_MESSAGE_CHECK)


@pytest.mark.parametrize(
    "values",
    [
        [attributes.printable(attributes.TRANSACTION_ID, "again")],
        [attributes.nonce(attributes.FAIL_INFO, b"x"), b"\x30\x00"],
    ],
)
def test_attributes_that_do_not_belong_are_refused(house, device, values):
    """Twice the same one, or one that is none."""
    message = device.message(PKCS_REQ, request(house, device), more=values)

    refused(house, device, message, BAD_MESSAGE_CHECK)


@pytest.mark.parametrize(
    ("transaction", "nonce"), [("", b"N"), ("x" * 256, b"N"), ("x", b"N" * 65), ("a\nb", b"N")]
)
def test_what_an_answer_repeats_is_bounded(house, device, transaction, nonce):
    """And nothing of it that steers a terminal comes back."""
    envelope = request(house, device)
    message = device.message(PKCS_REQ, envelope, transaction=transaction, nonce=nonce)

    assert "0" == refused(house, device, message, BAD_MESSAGE_CHECK).transaction


def test_a_signature_that_does_not_hold_is_refused(house, device):
    """Anywhere in what is signed."""
    message = bytearray(device.message(PKCS_REQ, request(house, device)))
    message[-1] ^= 1

    refused(house, device, bytes(message), BAD_MESSAGE_CHECK)


@pytest.mark.parametrize(
    "octets", [b"\x30\x82", b"\x30\x03\x02\x01\x05", b"\x04\x00", b"\xff" * 99]
)
def test_what_is_no_message_is_answered_all_the_same(house, device, octets):
    """Signed, so that a client can tell who said it."""
    refused(house, device, octets, BAD_MESSAGE_CHECK)


@pytest.fixture(scope="module")
def fuzzed(houses):
    return houses("ec-p256"), Device("plc-66")


@given(data=st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_changed_message_is_refused_and_never_a_fault(fuzzed, data):
    """Any octet, any value: a signed refusal, or a client's error in HTTP."""
    house, device = fuzzed
    assert isinstance(house, House)
    message = bytearray(device.message(PKCS_REQ, request(house, device)))
    for _ in range(data.draw(st.integers(1, 4))):
        message[data.draw(st.integers(0, len(message) - 1))] = data.draw(st.integers(0, 255))

    answer = house.post(bytes(message))

    assert answer.status_code in (200, 400)
    if answer.status_code == 200:
        assert FAILURE == device.read(answer.content).status


def test_bodies_that_are_too_large_never_reach_the_parser(house):
    """As at every other door."""
    assert 413 == house.post(b"\x30" * (256 * 1024 + 1)).status_code


@pytest.mark.parametrize(
    "query", ["", "operation=", "operation=GetCAcerts", "operation=PKIOperation", "message=MAA"]
)
def test_a_query_that_asks_nothing_is_a_bad_request(house, query):
    """There is no message to answer."""
    assert 400 == house.client.get(f"/scep/device?{query}").status_code
    assert 400 == house.client.send("POST", "/scep/device?operation=GetCACert").status_code
    assert 400 == house.client.send("POST", "/scep/device").status_code
