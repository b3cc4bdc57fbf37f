"""Devices get certificates by SCEP, and nobody else does."""

import pytest
from cryptography import x509

from pikaserver.api.devices import DeviceQuery
from pikaserver.asn1.enveloped_data import read_envelope
from pikaserver.asn1.key_transport import OAEP
from tests.scep.afterwards import poll, renew, revoked
from tests.scep.device import (
    BAD_ALG,
    BAD_CERT_ID,
    BAD_REQUEST,
    FAILURE,
    PKCS_REQ,
    SUCCESS,
    Device,
)

AUTHORITIES = ["rsa-2048", "ec-p256", "ml-dsa-44"]


@pytest.mark.parametrize("authority", AUTHORITIES)
@pytest.mark.parametrize("get", [True, False], ids=["GET", "POST"])
def test_a_device_enrols_with_a_challenge(houses, authority, get):
    """Under each kind of authority; the answer is sealed for the device and repeats its words."""
    house, device = houses(authority), Device("plc-1")

    reply = house.enrol(device, get=get, transaction="tx-1", nonce=b"N" * 16)

    certificate = x509.load_der_x509_certificate(device.certificate_in(reply))
    assert (SUCCESS, None) == reply.outcome
    assert ("tx-1", b"N" * 16) == (reply.transaction, reply.recipient_nonce)
    assert device.key.public_key() == certificate.public_key()
    assert "CN=plc-1" == certificate.subject.rfc4514_string()
    assert house.ca_certificates()[0] == reply.signer


def test_an_rsa_authority_answers_itself(houses):
    """And an EC authority has a registration authority made, which is RSA."""
    own = houses("rsa-2048").ca_certificates()
    other = houses("ec-p256").ca_certificates()

    assert houses("rsa-2048").server.authorities.get("issuing").generations[0].certificate == own[0]
    made = x509.load_der_x509_certificate(other[0])
    usage = made.extensions.get_extension_for_class(x509.KeyUsage).value
    assert "CN=Pikaserver Issuing CA SCEP" == made.subject.rfc4514_string()
    assert usage.digital_signature
    assert usage.key_encipherment
    assert not usage.key_cert_sign


@pytest.mark.parametrize("kind", ["ec", "ml-dsa-44"])
def test_a_key_that_cannot_encrypt_is_answered_by_the_password(house, kind):
    """RFC 8894 section 3.1; openssl reads it in another test."""
    device = Device("plc-ec", kind)

    reply = house.enrol(device)

    assert SUCCESS == reply.status
    assert b"\xa3" in reply.envelope[:40]  # [3]: PasswordRecipientInfo


def test_a_key_that_cannot_encrypt_needs_a_password(house):
    """Otherwise a certificate would be issued that nobody could read."""
    house.set("scep.enabled=true", 'subject.required=["CN"]')
    device, before = Device("plc-ml", "ml-dsa-44"), house.issued()

    reply = renew(house, device, kind=PKCS_REQ)

    assert (FAILURE, BAD_ALG) == reply.outcome
    assert before == house.issued()


def test_a_challenge_counts_once(house, device):
    """The second device with it gets nothing."""
    challenge = house.challenge()
    house.enrolled(device, password=challenge)
    before = house.issued()

    reply = house.enrol(Device("plc-22", number=1), challenge)

    assert (FAILURE, BAD_REQUEST) == reply.outcome
    assert before == house.issued()


@pytest.mark.parametrize("password", ["wrong", "x" * 32])
def test_a_wrong_challenge_is_refused(house, device, password):
    """Nothing is issued."""
    before = house.issued()

    reply = house.enrol(device, password)

    assert (FAILURE, BAD_REQUEST) == reply.outcome
    assert before == house.issued()


def test_a_replay_gets_the_same_certificate(house, device):
    """Octet for octet, and in other words; never a second one."""
    challenge = house.challenge()
    csr = device.csr(challenge)
    message = device.message(PKCS_REQ, device.seal(csr, house.recipient), transaction="again")
    first = device.certificate_in(house.ask(device, message))
    before = house.issued()

    same = house.ask(device, message)
    other = house.ask(
        device, device.message(PKCS_REQ, device.seal(csr, house.recipient), transaction="again")
    )

    assert [first, first] == [device.certificate_in(same), device.certificate_in(other)]
    assert before == house.issued()


@pytest.mark.parametrize("again", [0, 1], ids=["the first message", "a later one"])
def test_a_replay_after_a_revocation_gets_nothing(house, device, again):
    """Otherwise a revoked device would come back by its old words."""
    csr = device.csr(house.challenge(uses=10))
    name = f"revoked-{again}"
    messages = [
        device.message(PKCS_REQ, device.seal(csr, house.recipient), transaction=name)
        for _ in range(2)
    ]
    got = {device.certificate_in(house.ask(device, one)) for one in messages}
    assert 1 == len(got)
    revoked(house, got.pop())
    before = house.issued()

    reply = house.ask(device, messages[again])

    assert (FAILURE, BAD_REQUEST) == reply.outcome
    assert "revoked" in reply.text
    assert before == house.issued()


def test_a_device_that_was_reset_enrols_again(house, device):
    """Same key, same request, same transactionID, new message: a new deed after a revocation."""
    csr = device.csr(house.challenge(uses=2))

    def ask():
        envelope = device.seal(csr, house.recipient)
        reply = house.ask(device, device.message(PKCS_REQ, envelope, transaction="reset"))
        return device.certificate_in(reply)

    first = ask()
    revoked(house, first)

    assert first != ask()


def test_a_transaction_id_belongs_to_its_requester(house):
    """Two devices choose the same one and do not notice each other."""
    one, two = Device("plc-31", number=1), Device("plc-32", number=2)

    house.enrolled(one, transaction="1")
    house.enrolled(two, transaction="1")

    assert one.certificate != two.certificate
    stranger = Device("plc-33", number=3)
    assert (FAILURE, BAD_CERT_ID) == poll(house, stranger, "1").outcome


def test_what_the_client_calls_itself_is_the_devices_model(house, device):
    """Shown to people; it decides nothing."""
    device = Device("plc-model")
    envelope = device.seal(device.csr(house.challenge()), house.recipient)
    message = device.message(PKCS_REQ, envelope, transaction="model")
    answer = house.client.send(
        "POST", "/scep/device", message, headers={"User-Agent": "ciscopki/1.0"}
    )

    assert SUCCESS == device.read(answer.content).status
    (found,) = house.server.devices.find(DeviceQuery(text="plc-model"))
    assert ("ciscopki/1.0", ("scep",)) == (found.model, found.doors)


@pytest.mark.parametrize("kind", ["18", "3", "23", "x", ""])
def test_a_message_of_another_type_is_refused(house, device, kind):
    """18 is no type of the RFC, 3 is what servers send."""
    before = house.issued()
    envelope = device.seal(device.csr(house.challenge()), house.recipient)

    reply = house.ask(device, device.message(kind, envelope))

    assert (FAILURE, BAD_REQUEST) == reply.outcome
    assert before == house.issued()


def test_a_template_without_scep_is_not_there(house, device):
    """Whatever its other rules say; the same for one that does not exist."""
    message = device.message(PKCS_REQ, device.seal(device.csr("x"), house.recipient))
    before = house.issued()

    for path in ("/scep/web", "/scep/scep", "/scep/nobody"):
        assert 404 == house.post(message, path).status_code
        assert 404 == house.client.get(f"{path}?operation=GetCACert").status_code
    assert before == house.issued()


def test_the_paths_of_old_devices_lead_here(house, device):
    """With and without a template in them."""
    envelope = device.seal(device.csr(house.challenge()), house.recipient)
    message = device.message(PKCS_REQ, envelope, transaction="paths")

    for path in (
        "/scep",
        "/scep/device/pkiclient.exe",
        "/cgi-bin/pkiclient.exe",
        "/certsrv/mscep/mscep.dll",
    ):
        assert SUCCESS == device.read(house.post(message, path).content).status


def test_oaep_is_answered_with_oaep(house, device):
    """Whoever can do better gets better."""
    envelope = device.seal(device.csr(house.challenge()), house.recipient, transport=OAEP)

    reply = house.ask(device, device.message(PKCS_REQ, envelope, transaction="oaep"))

    assert SUCCESS == reply.status
    assert device.certificate_in(reply)
    assert OAEP == read_envelope(reply.envelope).transport


@pytest.mark.parametrize(
    ("cipher", "hash_name", "word"),
    [("3des", None, "3des"), ("des", None, "des"), (None, "sha1", "sha1"), (None, "md5", "md5")],
)
def test_weak_algorithms_need_a_switch(house, device, cipher, hash_name, word):
    """And each use is logged; all others stay refused."""

    def ask(transaction):
        envelope = device.seal(
            device.csr(house.challenge()), house.recipient, cipher or "aes-128-cbc"
        )
        message = device.message(
            PKCS_REQ, envelope, transaction=f"{word}-{transaction}", hash_name=hash_name
        )
        return house.ask(device, message)

    assert (FAILURE, BAD_ALG) == ask("refused").outcome
    house.set(f'scep.compatibility=["{word}"]')
    try:
        reply = ask("accepted")
    finally:
        house.set("scep.compatibility=[]")
    assert SUCCESS == reply.status, reply
    assert device.certificate_in(reply)
