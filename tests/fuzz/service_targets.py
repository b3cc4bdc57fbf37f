"""The readers of the validation authority: CRLs from elsewhere, time-stamps, their requests."""

import base64
from collections.abc import Mapping

from pikaserver.api.errors import MalformedRequest, RequestRejected, SignatureFaulty
from pikaserver.asn1.crl import entry
from pikaserver.asn1.crl_reading import read_crl
from pikaserver.asn1.digests import digest
from pikaserver.asn1.signed_data_reading import read_signed_data
from pikaserver.asn1.signing_certificates import check_binding
from pikaserver.asn1.time_stamp_responses import read_response
from pikaserver.asn1.time_stamps import read_request
from pikaserver.asn1.tst_info import read_tst_info
from pikaserver_tsa import authenticode
from pikaserver_tsa.verifying import trust_in, verified
from tests.fuzz import service_seeds as seeds
from tests.fuzz.target import Target

MALFORMED = (MalformedRequest,)
FAULTY = (MalformedRequest, SignatureFaulty)
_WORDS = (
    *(b"\x30\x80", b"\x00\x00", b"\x30\x84\xff\xff\xff\xff", b"\x02\x01\x00", b"\x01\x01\x00"),
    *(b"\x18\x0f20260501120000Z", b"\x17\x0d260501120000Z", b"\x0a\x01\x07", b"\xa0\x00"),
)


def _crl(octets: bytes) -> None:
    found = read_crl(octets)
    for one in found.entries():
        entry(one.serial, one.at, one.reason, one.invalidity_at)
    found.verify(seeds.authority().public_key)


def _signed_data(octets: bytes) -> None:
    signed = read_signed_data(octets)
    certificate = signed.signer([seeds.unit().certificate])
    check_binding(signed, certificate)
    signed.verify(certificate)


def _time_stamp(octets: bytes) -> None:
    trust = trust_in([seeds.authority().certificate], [seeds.unit().certificate])
    verified(lambda name: digest(name, seeds.CONTENT), octets, trust)


def _authenticode(octets: bytes) -> None:
    _authenticode_text(base64.b64encode(octets))


def _authenticode_text(body: bytes) -> None:
    if not authenticode.is_request(body):
        raise MalformedRequest("it would be taken for a TimeStampReq")
    authenticode.read_request(body)


SERVICE_TARGETS: Mapping[str, Target] = {
    "crl": Target(_crl, FAULTY, seeds.crls, _WORDS, is_der=True),
    "time-stamp-request": Target(read_request, MALFORMED, seeds.requests, _WORDS, is_der=True),
    "tst-info": Target(read_tst_info, MALFORMED, seeds.infos, _WORDS, is_der=True),
    "time-stamp-response": Target(read_response, MALFORMED, seeds.responses, _WORDS, is_der=True),
    "signed-data": Target(_signed_data, FAULTY, seeds.tokens, _WORDS, is_der=True),
    "time-stamp": Target(
        _time_stamp,
        (*FAULTY, RequestRejected),
        lambda: [*seeds.responses(), *seeds.tokens()],
        _WORDS,
        is_der=True,
    ),
    "authenticode": Target(_authenticode, MALFORMED, seeds.authenticode, _WORDS, is_der=True),
    "authenticode-text": Target(
        _authenticode_text, MALFORMED, seeds.authenticode_text, (b"\r\n", b"=", b"==", b"-", b"M")
    ),
}
