"""What is stamped, what is refused, and in which words."""

import base64
import hashlib
from contextlib import suppress

import pytest
from cryptography import x509
from hypothesis import given, settings
from hypothesis import strategies as st

from pikaserver.api.errors import MalformedRequest, StorageUnavailable
from pikaserver.asn1 import der
from pikaserver.asn1.signed_data_reading import read_signed_data
from pikaserver.asn1.signing_certificates import SIGNING_CERTIFICATE_V2
from pikaserver.asn1.time_stamp_responses import read_response
from pikaserver.asn1.time_stamps import Failure, Refusal, read_request
from pikaserver.asn1.tst_info import TST_INFO, read_tst_info
from pikaserver_tsa.authenticode import read_request as read_legacy
from tests.tsa.station import House, digest, failure_of, query, token_of


def test_a_stamp_says_what_was_asked_and_when(house):
    """RFC 3161 section 2.4.2: imprint, nonce, policy, time, accuracy, name."""
    token = token_of(house.post(query(nonce=0x8000000000000001)))

    info = read_tst_info(token.content)
    assert TST_INFO == token.content_type
    assert digest("sha256") in info.imprint
    assert (0x8000000000000001, "1.3.6.1.4.1.32473.1.1") == (info.nonce, info.policy)
    assert (house.server.clock(), 1, 0) == (info.at, info.accuracy.seconds, info.accuracy.millis)
    token.verify(token.signer())
    own = x509.load_der_x509_certificate(token.signer())
    assert own.subject.public_bytes() == info.authority


@pytest.mark.parametrize("name", ["sha384", "sha512", "sha3-256", "sha3-384", "sha3-512"])
def test_every_strong_hash_is_stamped(house, name):
    """As it came: the server never sees what was hashed."""
    info = read_tst_info(token_of(house.post(query(name))).content)

    assert digest(name) in info.imprint


def test_the_certificate_is_bound_and_comes_when_it_is_wanted(house):
    """RFC 5816: its SHA-256 is signed; certReq decides whether it travels, the signer's first."""
    with_it = token_of(house.post(query()))
    without = token_of(house.post(query(certificate_wanted=False)))

    assert with_it.certificates[0] == with_it.signer()
    assert 1 < len(with_it.certificates)
    assert () == without.certificates
    hashed = hashlib.sha256(with_it.signer()).digest()
    assert all(hashed in one.values[SIGNING_CERTIFICATE_V2] for one in (with_it, without))


def test_serials_are_unique_and_tell_the_node(house):
    """RFC 3161 section 2.4.2: over restarts and nodes."""
    serials = {read_tst_info(token_of(house.post(query())).content).serial for _ in range(50)}

    assert 50 == len(serials)
    assert {1} == {serial >> 120 for serial in serials}


@pytest.mark.parametrize(
    ("octets", "failure"),
    [
        (b"", Failure.BAD_DATA_FORMAT),
        (b"\x30\x80\x00\x00", Failure.BAD_DATA_FORMAT),
        (query()[:-1], Failure.BAD_DATA_FORMAT),
        (query() + b"\x00", Failure.BAD_DATA_FORMAT),
        (b"\x30" * 60_000, Failure.BAD_DATA_FORMAT),
        (b"\x00" * 65_536, Failure.BAD_DATA_FORMAT),
        (query().replace(b"\x02\x01\x01", b"\x02\x01\x02", 1), Failure.BAD_REQUEST),
        (query("sha1"), Failure.BAD_ALG),
        (query().replace(b"\x04\x02\x01", b"\x04\x02\x0b", 1), Failure.BAD_ALG),
        (query(policy="1.2.3.4"), Failure.UNACCEPTED_POLICY),
    ],
)
def test_a_refusal_names_its_bit_and_says_why(house, octets, failure):
    """PKIFailureInfo, never a page of HTML, and nothing is stamped."""
    assert failure.name in failure_of(house.post(octets))


def test_extensions_and_wrong_lengths_are_refused(house):
    """RFC 3161 section 2.4.1; a digest of another length is no digest."""
    body = query()[2:]
    extension = der.context(0, der.sequence(der.oid("1.2.3"), der.octet_string(b"")))
    assert "UNACCEPTED_EXTENSION" in failure_of(house.post(der.sequence(body, extension)))

    short = query().replace(b"\x04\x20" + digest("sha256"), b"\x04\x1f" + digest("sha256")[1:])
    assert "BAD_DATA_FORMAT" in failure_of(house.post(der.sequence(short[3:])))


def test_settings_choose_policies_and_hashes():
    """SHA-1 is stamped only where it was named."""
    house = House(policy="1.3.6.1.4.1.99999.1", policies=["1.2.3.4"], hashes=["sha1"])

    info = read_tst_info(token_of(house.post(query("sha1", policy="1.2.3.4"))).content)

    assert "1.2.3.4" == info.policy
    assert "BAD_ALG" in failure_of(house.post(query()))


def test_ordered_stamps_have_times_of_their_own():
    """RFC 3161 section 2.4.2: with ordering, the later one is later."""
    house = House(ordering=True, **{"accuracy-milliseconds": 0})

    stamps = [read_tst_info(token_of(house.post(query())).content) for _ in range(3)]

    assert all(one.ordering and one.accuracy is None for one in stamps)
    assert stamps[0].at < stamps[1].at < stamps[2].at


def test_units_have_keys_of_their_own():
    """Each under its own path; one that the settings do not name is not there."""
    house = House(units=["night"])

    day, night = (token_of(house.post(query(), path)) for path in ("/tsa", "/tsa/issuing/night"))

    assert day.signer() != night.signer()
    for path in ("/tsa/issuing/day", "/tsa/nobody"):
        with pytest.raises(MalformedRequest, match="no time-stamp: BAD_REQUEST; "):
            read_response(house.post(query(), path).content)


def test_a_key_that_is_away_is_a_system_failure(house):
    """The client may try again; the words say what is wrong."""
    house.server.services.get = lambda _: (_ for _ in ()).throw(StorageUnavailable("away"))

    assert "SYSTEM_FAILURE; away" in failure_of(house.post(query()))


class TestAuthenticode:
    """Base64 of a PKCS#7 over the signature itself."""

    OID = der.oid("1.3.6.1.4.1.311.3.2.1")

    def request(self, content=b"a signature"):
        inner = der.sequence(
            der.oid("1.2.840.113549.1.7.1"), der.context(0, der.octet_string(content))
        )
        return base64.encodebytes(der.sequence(self.OID, inner))

    def test_it_is_recognised_by_its_body(self, house):
        """Signtool and osslsigncode send it as application/octet-stream to the same URL."""
        answer = house.post(self.request(), kind="application/octet-stream")

        token = read_signed_data(base64.b64decode(answer.content))
        assert (b"a signature", "1.2.840.113549.1.7.1") == (token.content, token.content_type)
        token.verify(token.signer())

    def test_it_may_be_off(self):
        """Then the body is a time-stamp request that cannot be read."""
        house = House(authenticode=False)

        answer = house.post(self.request(), kind="application/octet-stream")

        assert "BAD_DATA_FORMAT" in failure_of(answer)

    def test_a_broken_one_is_refused(self, house):
        """The protocol has no words: a status and a problem."""
        content = der.context(0, der.octet_string(b"a signature"))
        inner = der.sequence(der.oid("1.2.840.113549.1.7.2"), content)
        broken = base64.encodebytes(der.sequence(self.OID, inner))

        answer = house.post(broken, kind="application/octet-stream")

        assert (400, True) == (answer.status_code, "not of type data" in answer.text)


@settings(deadline=None)
@given(st.binary(max_size=200) | st.binary(max_size=60).map(lambda tail: query()[:40] + tail))
def test_any_octets_are_read_or_refused(octets):
    """No other error leaves the reader."""
    with suppress(Refusal):
        assert read_request(octets).hash


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_any_octets_are_read_as_legacy_or_refused(octets):
    """The same for Authenticode, the response and the token."""
    for read in (
        lambda: read_legacy(base64.b64encode(octets)),
        lambda: read_response(octets),
        lambda: read_tst_info(octets),
        lambda: read_signed_data(octets),
    ):
        with pytest.raises(MalformedRequest):
            read()


def test_get_is_not_allowed(house):
    """RFC 3161 section 3.4 knows POST."""
    assert 405 == house.client.get("/tsa").status_code


def test_stamps_are_counted(house):
    """By authority and outcome, names from our own list."""
    house.post(query())
    house.post(b"")

    assert {("issuing", "granted"): 1, ("issuing", "bad-data-format"): 1} == dict(
        house.station.resource.answers
    )
