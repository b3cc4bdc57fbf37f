"""CMC and CRMF: what is read, and that nothing but `MalformedRequest` comes of the rest."""

from contextlib import suppress
from datetime import UTC, datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st

from pikaserver.api.certificates import RevocationReason
from pikaserver.api.errors import MalformedRequest
from pikaserver.asn1 import cmc, der
from pikaserver.asn1.cmc import FailInfo, Outcome, Status
from pikaserver.asn1.cmc_questions import read_get_cert, read_get_crl, read_revoke_request
from pikaserver.asn1.crmf import is_request_message, read_any_request, read_request_message
from pikaserver.asn1.csr import read_csr, verify_possession
from pikaserver.asn1.request_attributes import (
    DECRYPT_KEY_ID,
    SMIME_CAPABILITIES,
    attribute_value,
    capabilities,
    key_name,
)
from pikaserver.testing.clock import CountedEntropy
from pikaserver.testing.throw_away import (
    distinguished_name,
    spki,
    throw_away_key,
    throw_away_request,
)

KEY = throw_away_key(CountedEntropy("cmc"))
CSR = throw_away_request(KEY, "plc-21")
NAME = distinguished_name("Issuing CA").public_bytes()
EMPTY = der.sequence()
ECDSA = der.sequence(der.oid("1.2.840.10045.4.3.2"))
FLIPS = st.tuples(st.integers(0, 4000), st.integers(0, 7))


def pki_data(*parts, controls=(), cms=EMPTY, others=EMPTY):
    return der.sequence(der.sequence(*controls), der.sequence(*parts), cms, others)


def tagged(number, csr=CSR):
    return der.context(0, der.integer(number) + csr)


def control(number, kind=cmc.SENDER_NONCE, *values):
    return der.sequence(der.integer(number), der.oid(kind), der.set_of(*values))


def crmf(number=1, *fields, key=KEY, signed=None):
    """Return CertReqMsg; ``fields`` are those of the template beside subject and key."""
    subject = der.context(5, distinguished_name("plc-21").public_bytes())
    template = der.sequence(subject, bytes((0xA6,)) + spki(key)[1:], *fields)
    wished = der.sequence(der.integer(number), template)
    signature = key.sign(signed or wished, ec.ECDSA(hashes.SHA256()))
    return der.sequence(wished, der.context(1, ECDSA + der.bit_string(signature)))


def flipped(octets, flips):
    changed = bytearray(octets)
    for at, bit in flips:
        changed[at % len(changed)] ^= 1 << bit
    return bytes(changed)


def test_requests_and_controls_are_read():
    """With the numbers by which the answer names them."""
    nonce = der.octet_string(b"n")

    read = cmc.read_pki_data(
        pki_data(tagged(1), tagged(4294967295), controls=(control(7, cmc.SENDER_NONCE, nonce),))
    )

    assert [(1, CSR, False), (4294967295, CSR, False)] == [
        (one.body_part, one.der, one.is_crmf) for one in read.requests
    ]
    assert nonce == read.value(cmc.SENDER_NONCE)
    assert None is read.value(cmc.TRANSACTION_ID)


def test_a_request_in_crmf_has_the_number_within():
    """CertReqMsg is tagged implicitly; what comes out is a SEQUENCE again."""
    message = crmf(42)
    part = bytes((0xA1,)) + message[1:]

    (read,) = cmc.read_pki_data(pki_data(part)).requests

    assert (42, message, True) == (read.body_part, read.der, read.is_crmf)


@pytest.mark.parametrize(
    "octets",
    [
        pki_data(tagged(1), tagged(1)),
        pki_data(tagged(1), controls=(control(1),)),
        pki_data(tagged(-1)),
        pki_data(tagged(4294967296)),
        pki_data(*(tagged(number) for number in range(21))),
        pki_data(der.context(2, der.integer(1))),
        pki_data(tagged(1), cms=der.sequence(EMPTY)),
        pki_data(tagged(1), others=der.sequence(EMPTY)),
        der.sequence(EMPTY, EMPTY, EMPTY),
        der.sequence(),
        der.octet_string(b""),
        b"",
    ],
)
def test_what_is_no_pki_data_is_refused(octets):
    """Two parts of one number, too many, messages within messages, and plain nonsense."""
    with pytest.raises(MalformedRequest):
        cmc.read_pki_data(octets)


def test_a_control_that_is_there_twice_has_no_value():
    """Which of the two would be meant?"""
    twice = (control(1, cmc.SENDER_NONCE, der.null()), control(2, cmc.SENDER_NONCE, der.null()))
    for controls in (twice, (control(1),)):
        read = cmc.read_pki_data(pki_data(controls=controls))
        with pytest.raises(MalformedRequest, match="has not one value"):
            read.value(cmc.SENDER_NONCE)


@given(st.lists(FLIPS, min_size=1, max_size=4))
def test_bent_pki_data_is_read_or_refused(flips):
    """Never anything else."""
    octets = pki_data(tagged(1), bytes((0xA1,)) + crmf()[1:], controls=(control(3),))

    with suppress(MalformedRequest):
        cmc.read_pki_data(flipped(octets, flips))


@given(st.binary(max_size=300))
def test_any_octets_are_refused_in_one_sentence(octets):
    """By every reader."""
    for read in (
        cmc.read_pki_data,
        read_request_message,
        read_any_request,
        read_get_cert,
        read_get_crl,
        read_revoke_request,
        lambda value: cmc.read_octets(value, "x"),
        lambda value: cmc.integer_of(value, "x"),
    ):
        with suppress(MalformedRequest):
            read(octets)


@pytest.mark.parametrize(
    ("outcome", "octets"),
    [
        (Outcome(Status.SUCCESS, (1, 2)), "300b020100300602010102010 2".replace(" ", "")),
        (
            Outcome(Status.FAILED, (0,), "é", FailInfo.BAD_REQUEST),
            "300f0201023003020100 0c02c3a9 020102".replace(" ", ""),
        ),
        (
            Outcome(
                Status.PENDING, (1,), token=b"7", again=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
            ),
            "301e020103300302010130140401371 80f32303236303130323033303430355a".replace(" ", ""),
        ),
    ],
)
def test_outcomes_are_written_as_the_rfc_says(outcome, octets):
    """RFC 5272 section 6.1.1, octet by octet."""
    assert octets == cmc.write_outcome(outcome).hex()


def test_a_request_in_crmf_reads_like_any_other():
    """Subject, key, names; its signature is over CertRequest (RFC 4211 section 4.1)."""
    names = x509.SubjectAlternativeName([x509.DNSName("plc-21.example")])
    extension = der.sequence(der.oid("2.5.29.17"), der.octet_string(names.public_bytes()))
    message = crmf(1, bytes((0xA9,)) + der.sequence(extension)[1:])

    read = read_any_request(message)

    assert is_request_message(message)
    assert not is_request_message(CSR)
    assert ("CN=plc-21", spki(KEY)) == (read.subject.rfc4514_string(), read.public_key)
    assert (x509.DNSName("plc-21.example"),) == read.names
    assert message == read.der
    verify_possession(read)
    with pytest.raises(MalformedRequest):
        verify_possession(read_any_request(crmf(1, signed=b"another")))
    assert read_csr(CSR) == read_any_request(CSR)


@pytest.mark.parametrize(
    "message",
    [
        der.sequence(der.sequence(der.integer(1), der.sequence())),
        der.sequence(der.sequence(der.integer(1), der.sequence()), der.context(0, b"")),
        der.sequence(
            der.sequence(der.integer(1), der.sequence()),
            der.context(1, ECDSA + der.bit_string(b"x")),
        ),
        crmf()[:-1],
    ],
)
def test_a_message_without_name_key_or_signature_is_refused(message):
    """Other proofs need another round, or the private key."""
    with pytest.raises(MalformedRequest):
        read_request_message(message)


@given(st.lists(FLIPS, min_size=1, max_size=3))
def test_a_bent_message_is_read_or_refused(flips):
    """Never anything else."""
    with suppress(MalformedRequest):
        read_any_request(flipped(crmf(), flips))


def test_questions_name_their_certificate():
    """RFC 5272 sections 6.9 to 6.11."""
    serial = der.integer(4711)
    get = read_get_cert(der.sequence(der.context(4, NAME), serial))
    since = der.element(0x18, b"20260102030405Z")
    revoke = read_revoke_request(der.sequence(NAME, serial, der.element(0x0A, b"\x01"), since))

    assert (NAME, 4711) == (get.issuer, get.serial)
    assert NAME == read_get_crl(der.sequence(NAME))
    assert get == revoke.certificate
    assert RevocationReason.KEY_COMPROMISE is revoke.reason
    assert datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC) == revoke.invalidity_at


@pytest.mark.parametrize("reason", [7, 8, 11, 200])
def test_a_reason_that_is_none_is_refused(reason):
    """RemoveFromCRL is said by delta CRLs alone."""
    octets = der.sequence(NAME, der.integer(1), der.element(0x0A, bytes([reason])))
    with pytest.raises(MalformedRequest):
        read_revoke_request(octets)


def request_with(*attributes):
    builder = x509.CertificateSigningRequestBuilder(distinguished_name("plc-21"))
    csr = builder.sign(KEY, hashes.SHA256()).public_bytes(Encoding.DER)
    plain = read_csr(csr)
    encoded = b"".join(sorted(attributes))
    # An empty [0] has two octets at the end of CertificationRequestInfo.
    content = plain.tbs[:-2]
    body = content[2 if content[1] < 128 else 2 + (content[1] & 127) :]
    info = der.sequence(body, der.context(0, encoded))
    signature = KEY.sign(info, ec.ECDSA(hashes.SHA256()))
    return read_csr(der.signed(info, ECDSA, signature))


def attribute(oid, *values):
    return der.sequence(der.oid(oid), der.set_of(*values))


def test_attributes_that_only_est_reads():
    """The name of a key (RFC 4108), and what the client can decrypt (RFC 8551)."""
    aes = der.sequence(der.oid("2.16.840.1.101.3.4.1.2"))
    csr = request_with(
        attribute(DECRYPT_KEY_ID, der.octet_string(b"name")),
        attribute(SMIME_CAPABILITIES, der.sequence(aes)),
    )

    assert b"name" == key_name(csr, DECRYPT_KEY_ID)
    assert ("2.16.840.1.101.3.4.1.2",) == capabilities(csr)
    plain = read_csr(CSR)
    assert (None, (), None) == (
        key_name(plain, DECRYPT_KEY_ID),
        capabilities(plain),
        attribute_value(plain, "1.2.3"),
    )


@pytest.mark.parametrize(
    "attributes",
    [
        [attribute(DECRYPT_KEY_ID, der.octet_string(b"a"))] * 2,
        [attribute(DECRYPT_KEY_ID)],
        [attribute(DECRYPT_KEY_ID, der.octet_string(b"a"), der.octet_string(b"b"))],
        [attribute(DECRYPT_KEY_ID, der.integer(1))],
    ],
)
def test_an_attribute_has_one_value_of_its_kind(attributes):
    """A key that may be meant or not is worse than none."""
    with pytest.raises(MalformedRequest):
        key_name(request_with(*attributes), DECRYPT_KEY_ID)
