"""An answer is hashed as its question was (RFC 8894 sections 3.2 and 3.5.2)."""

import hashlib
import logging

import pytest

from pikaserver.api.errors import Conflict, RequestRejected
from pikaserver.api.services import ServiceUse
from pikaserver.asn1.signed_data_reading import read_signed_data
from tests.scep.device import BAD_ALG, FAILURE, PKCS_REQ, Device
from tests.scep.openssl_device import OpensslDevice

WEAK = ("sha1", "md5")


def answered(house, device, hash_name):
    """Return the answer to a request that openssl hashed so, verified by openssl."""
    chain = house.ca_certificates()
    envelope = device.seal(device.csr(house.challenge()), chain[0])
    message = device.message(PKCS_REQ, envelope, f"hashed {hash_name}", hash_name)
    reply = house.post(message).content
    return read_signed_data(reply), device.opened(device.verified(reply, chain))


@pytest.mark.parametrize("authority", ["rsa-2048", "ec-p256"])
@pytest.mark.parametrize("hash_name", ["sha256", "sha384", "sha512", *WEAK])
def test_the_answer_is_hashed_as_the_question(
    houses, openssl, tmp_path, caplog, authority, hash_name
):
    """By an authority's own key and by a registration authority's; openssl verifies each."""
    house, weak = houses(authority), hash_name in WEAK
    house.set(f'scep.compatibility=["{hash_name}"]' if weak else "scep.compatibility=[]")
    device = OpensslDevice(openssl, tmp_path, name=f"plc-{authority}-{hash_name}")
    try:
        with caplog.at_level(logging.WARNING):
            signed, inside = answered(house, device, hash_name)
    finally:
        house.set("scep.compatibility=[]")

    assert hash_name == signed.digest
    assert device.certificate_in(inside)
    told = [one for one in caplog.records if one.message == "weak algorithms in a reply"]
    assert ([hash_name] if weak else []) == [one.algorithms for one in told]


@pytest.mark.parametrize("hash_name", WEAK)
def test_who_is_refused_for_its_hash_hears_so_over_a_sound_one(house, device, hash_name):
    """Nothing is signed over SHA-1 or MD5 that no template lets in."""
    envelope = device.seal(device.csr("whatever"), house.recipient)

    reply = house.ask(device, device.message(PKCS_REQ, envelope, hash_name=hash_name))

    assert (FAILURE, BAD_ALG) == reply.outcome
    assert "sha256" == reply.digest


@pytest.mark.parametrize("authority", ["rsa-2048", "ec-p256"])
def test_a_weak_hash_is_for_answers_of_scep_alone(houses, authority):
    """Whatever else asks for the key: it is refused, so no certificate is ever signed so."""
    registrar = signer_of(houses(authority))
    for name in WEAK:
        key = registrar.with_hash(name)
        assert f"rsa-{name}" == key.algorithm

        with pytest.raises(RequestRejected):
            key.sign(registrar.certificate)
    assert "rsa-sha512" == key.with_hash("sha512").algorithm
    with pytest.raises(Conflict):
        registrar.with_hash("sha3-256")


def signer_of(house):
    """Return the key of the house's answers."""
    server, services = house.server, house.server.services
    reply = house.enrol(Device("plc-own"), transaction=hashlib.sha256(house.recipient).hexdigest())
    own = services.authority_key("issuing")
    if reply.signer == own.certificate:
        return own
    generation = server.authorities.get("issuing").generations[0].number
    return services.get(ServiceUse("scep", "SCEP", "issuing", generation))


def test_a_key_that_is_not_rsa_keeps_its_hash(houses):
    """An EC authority's own key never answers SCEP over another one."""
    key = houses("ec-p256").server.services.authority_key("issuing")

    with pytest.raises(Conflict, match="not RSA"):
        key.with_hash("sha512")
