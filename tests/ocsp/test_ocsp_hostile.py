"""Tampered, truncated, huge and nested requests: OCSP's own errors, and no worker lost."""

import base64
import re
import socket
import time

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from pikaserver.asn1 import der
from pikaserver.asn1.certificate import public_key_of, subject_of
from pikaserver.asn1.identifiers import identifier
from pikaserver.asn1.ocsp import (
    PREFERRED_SIGNATURE_ALGORITHMS,
    ResponseStatus,
    issuer_octets,
    make_cert_id,
    write_extension,
)
from pikaserver.asn1.ocsp_reading import read_response
from pikaserver.asn1.ocsp_requests import LIMIT_OCTETS, write_request
from pikaserver.testing.servers import running_server
from tests.fuzz.mutation import Mutator

CPU_SECONDS = 1.0
"""For 64 KiB of input at most."""


def nested(depth):
    """Return a structure in a structure in a structure."""
    octets = b""
    for _ in range(depth):
        octets = der.sequence(octets)
    return octets


def costly(cert_id):
    """Yield requests of nearly 64 KiB that want to take long, by what they are."""
    room = LIMIT_OCTETS - 200
    huge = make_cert_id(cert_id.issuer, 2 ** (8 * (room // 20)) - 1)
    asked = der.sequence(der.sequence(cert_id.der))
    algorithms = [identifier("1.3.6.1.4.1.99999.1")] * (room // 18)
    preferred = der.sequence(*map(der.sequence, algorithms))
    longest = der.element(0x06, b"\x81" * 60 + b"\x01")
    certificate = der.sequence(*[der.sequence(longest)] * (room // 67))
    signature = der.sequence(
        identifier("1.2.3"), der.bit_string(b"x"), der.context(0, der.sequence(certificate))
    )
    yield "20 huge serial numbers", write_request([huge] * 20)
    yield "one huge serial number", write_request([make_cert_id(cert_id.issuer, 2**500_000)])
    yield (
        "many preferred algorithms",
        write_request(
            [cert_id], None, [write_extension(PREFERRED_SIGNATURE_ALGORITHMS, preferred)]
        ),
    )
    yield (
        "many extensions",
        write_request(
            [cert_id], None, [write_extension(f"1.2.{number}", b"") for number in range(4000)]
        ),
    )
    yield (
        "one large extension",
        write_request([cert_id], None, [write_extension("1.2", bytes(room))]),
    )
    yield "many levels", nested(20_000)
    yield "levels in its place", der.sequence(der.sequence(nested(15_000)))
    yield "many requests", der.sequence(der.sequence(der.sequence(*[nested(2)] * 15_000)))
    yield "long object identifiers", der.sequence(der.sequence(asked), der.context(0, signature))
    yield "zeroes", bytes(LIMIT_OCTETS)
    yield "one long string", der.sequence(der.octet_string(bytes(room)))
    yield "headers without end", b"\x30\x84\xff\xff\xff\xff" * 10_000


@pytest.mark.parametrize("requestors", ["ignore", "check"])
def test_no_request_takes_a_second(make_house, requestors):
    """Whatever 64 KiB say."""
    house = make_house(requestors=requestors, units=("other",))
    record = house.issue()
    house.status(record)

    for what, octets in costly(house.cert_id(record)):
        assert len(octets) <= LIMIT_OCTETS + 60_000, what
        began = time.process_time()
        answer = house.ocsp.responder.answer(octets, None, "192.0.2.1")
        assert time.process_time() - began < CPU_SECONDS, what
        read_response(answer.octets)


def test_any_altered_request_is_answered(house, record):
    """By an answer or an error, thousands of times."""
    good = [
        write_request([house.cert_id(record)]),
        write_request([house.cert_id(record, 2), house.stranger()], b"n" * 16),
    ]
    mutator = Mutator(good, (b"\x30\x80", b"\x02\x01\x00"), is_der=True, seed=7)

    said = {
        read_response(house.ocsp.responder.answer(mutator.next()).octets)[0] for _ in range(3000)
    }

    assert {
        ResponseStatus.SUCCESSFUL,
        ResponseStatus.MALFORMED_REQUEST,
        ResponseStatus.UNAUTHORIZED,
    } == said


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with running_server(tmp_path_factory.mktemp("hostile")) as started:
        yield started


@pytest.fixture(scope="module")
def cert_id(server):
    """Return the CertID of the issuing authority's certificate."""
    root, issuing = (
        x509.load_der_x509_certificate(server.get(f"/ca/{name}.cer"))
        for name in ("root", "issuing")
    )
    octets = issuer_octets(0, subject_of(root), public_key_of(root))
    assert issuing.public_bytes(Encoding.DER)
    return make_cert_id(octets, issuing.serial_number)


def exchange(server, octets):
    """Send octets and return all that comes until the server closes."""
    with socket.create_connection(("127.0.0.1", server.http_port), timeout=30) as line:
        try:
            line.sendall(octets)
            line.shutdown(socket.SHUT_WR)
            return b"".join(iter(lambda: line.recv(65536), b""))
        except ConnectionError:
            return b""


def post(body, length=None):
    head = b"POST /ocsp HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: %d\r\n\r\n"
    return head % (len(body) if length is None else length) + body


def is_well(server, cert_id):
    """Tell whether the server answers as ever."""
    answer = exchange(server, post(write_request([cert_id])))
    basic = read_response(answer.partition(b"\r\n\r\n")[2])[1]
    return basic.answers[0].status == "good"


def test_hostile_posts_are_answered_in_ocsps_words(server, cert_id):
    """200 and an error of OCSP; what is too large, too."""
    bodies = [octets for _, octets in costly(cert_id)]
    bodies += [b"", b"\0", write_request([cert_id])[:-1], bytes(LIMIT_OCTETS + 1)]

    for body in bodies:
        answer = exchange(server, post(body))
        assert answer.startswith(b"HTTP/1.1 200 OK\r\n"), body[:60]
        assert b"application/ocsp-response" in answer
        read_response(answer.partition(b"\r\n\r\n")[2])
    assert is_well(server, cert_id)


def test_hostile_gets_are_answered(server, cert_id):
    """In OCSP's words, or refused as no HTTP; never with a page."""
    text = base64.b64encode(write_request([cert_id])).decode()
    paths = [
        text[:-7], text + "%", text + "%zz", "%00", text.replace("M", "%4D") + "%0d%0a",
        "M" * 8000, "M" * 9000, "../" * 50, "issuing/" * 100, "\\", "M\x80", text + "?x=y",
        text + "#x", "%2e%2e/" + text, "issuing%2F" + text, "M/" * 3000, "=" * 100,
    ]  # fmt: skip

    for path in paths:
        line = f"GET /ocsp/{path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
        answer = exchange(server, line.encode("latin-1"))
        assert re.match(rb"HTTP/1\.[01] (200|400|404|414) ", answer), (path[:60], answer[:60])
        assert b"<html" not in answer.lower()
    assert is_well(server, cert_id)


def test_cut_lines_and_slow_ones_cost_no_worker(server, cert_id):
    """More of them than there are workers."""
    cut = post(write_request([cert_id]), length=5000)

    for _ in range(40):
        exchange(server, cut[:30])
        exchange(server, cut)

    assert is_well(server, cert_id)


def test_nothing_went_wrong_inside(server):
    """No traceback, no 500: the last test of this file."""
    log = server.log()

    assert "Traceback" not in log
    assert "status=500" not in log
