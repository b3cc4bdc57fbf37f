"""OCSP answers: our octets are those that RFC 6960 asks for, and are read again."""

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from hypothesis import given, settings
from hypothesis import strategies as st

from pikaserver.api.certificates import Revocation, RevocationReason
from pikaserver.api.errors import MalformedRequest
from pikaserver.asn1 import der
from pikaserver.asn1.ocsp import (
    ARCHIVE_CUTOFF,
    EXTENDED_REVOKE,
    ResponseStatus,
    is_response_data,
    issuer_octets,
    make_cert_id,
    write_nonce,
)
from pikaserver.asn1.ocsp_reading import read_response
from pikaserver.asn1.ocsp_writing import (
    EXTENDED_REVOKED,
    GOOD,
    UNKNOWN,
    archive_cutoff,
    by_key,
    by_name,
    error_response,
    invalidity_date,
    response,
    response_data,
    revoked,
    signed_part,
    single_response,
)

SUBJECT = x509.Name.from_rfc4514_string("CN=Issuing CA,O=Example").public_bytes()
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
DAY = timedelta(days=1)
moments = st.integers(0, 4_000_000_000).map(lambda second: datetime.fromtimestamp(second, UTC))
revocations = st.builds(Revocation, moments, st.sampled_from(RevocationReason), st.none() | moments)
said = st.one_of(
    st.just((GOOD, None)), st.just((UNKNOWN, None)), revocations.map(lambda it: (revoked(it), it))
)


@pytest.fixture(scope="module")
def spki(keys, spki_of):
    return spki_of(keys["ec-p256"])


def write(keys, spki, singles, *extensions, responder=None, certificates=()):
    """Return a signed answer."""
    tbs = response_data(responder or by_key(spki), NOW, singles, extensions)
    signature = keys["ec-p256"].sign(tbs, ec.ECDSA(hashes.SHA256()))
    return response(signed_part(tbs, "ecdsa-sha256", signature), certificates)


def test_what_is_written_is_read(keys, spki):
    """Any number of answers, statuses, reasons and times."""
    issuer = issuer_octets(2, SUBJECT, spki)

    @given(
        st.lists(st.tuples(st.integers(1, 2**159), said, moments, moments), min_size=1),
        st.none() | st.binary(min_size=1, max_size=128),
        st.booleans(),
    )
    @settings(max_examples=60)
    def read_again(rows, nonce, by_its_name):
        singles = [
            single_response(
                make_cert_id(issuer, serial).der,
                status,
                this_update,
                next_update,
                [invalidity_date(revocation.invalidity_at)]
                if revocation and revocation.invalidity_at
                else [],
            )
            for serial, (status, revocation), this_update, next_update in rows
        ]
        responder = by_name(SUBJECT) if by_its_name else by_key(spki)
        extensions = [] if nonce is None else [write_nonce(nonce)]
        octets = write(keys, spki, singles, *extensions, responder=responder)

        status, basic = read_response(octets)

        assert ResponseStatus.SUCCESSFUL is status
        assert nonce == basic.nonce
        assert NOW == basic.produced_at
        assert by_its_name == (basic.responder_name == SUBJECT)
        assert is_response_data(basic.tbs)
        expected = [(serial, it, a, b) for serial, (_, it), a, b in rows]
        assert expected == [
            (one.cert_id.serial, one.revocation, one.this_update, one.next_update)
            for one in basic.answers
        ]

    read_again()


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (GOOD, ocsp.OCSPCertStatus.GOOD),
        (UNKNOWN, ocsp.OCSPCertStatus.UNKNOWN),
        (
            revoked(Revocation(NOW - DAY, RevocationReason.KEY_COMPROMISE)),
            ocsp.OCSPCertStatus.REVOKED,
        ),
    ],
)
def test_cryptography_reads_the_same(keys, spki, status, expected):
    """Another reader of the same octets."""
    cert_id = make_cert_id(issuer_octets(0, SUBJECT, spki), 77)
    single = single_response(cert_id.der, status, NOW, NOW + DAY, [archive_cutoff(NOW - DAY)])

    loaded = ocsp.load_der_ocsp_response(write(keys, spki, [single], write_nonce(b"n" * 32)))

    assert expected is loaded.certificate_status
    assert (77, NOW) == (loaded.serial_number, loaded.this_update_utc)
    assert NOW + DAY == loaded.next_update_utc
    nonce = loaded.extensions.get_extension_for_class(x509.OCSPNonce).value.nonce
    assert b"n" * 32 == nonce
    keys["ec-p256"].public_key().verify(
        loaded.signature, loaded.tbs_response_bytes, ec.ECDSA(hashes.SHA256())
    )
    if expected is ocsp.OCSPCertStatus.REVOKED:
        assert x509.ReasonFlags.key_compromise is loaded.revocation_reason
        assert NOW - DAY == loaded.revocation_time_utc


def test_we_read_what_cryptography_writes(keys):
    """The reader is not made for our writer alone."""
    key = keys["ec-p256"]
    name = x509.Name.from_rfc4514_string("CN=x")
    builder = x509.CertificateBuilder(name, name).public_key(key.public_key()).serial_number(5)
    made = builder.not_valid_before(NOW).not_valid_after(NOW + DAY).sign(key, hashes.SHA256())
    written = ocsp.OCSPResponseBuilder().add_response(
        made,
        made,
        hashes.SHA256(),
        ocsp.OCSPCertStatus.REVOKED,
        NOW,
        NOW + DAY,
        NOW - DAY,
        x509.ReasonFlags.superseded,
    )
    signed = written.responder_id(ocsp.OCSPResponderEncoding.NAME, made).certificates([made])
    octets = signed.sign(key, hashes.SHA256()).public_bytes(Encoding.DER)

    _, basic = read_response(octets)

    (single,) = basic.answers
    assert Revocation(NOW - DAY, RevocationReason.SUPERSEDED) == single.revocation
    assert name.public_bytes() == basic.responder_name
    assert (made.public_bytes(Encoding.DER),) == basic.certificates


def test_an_unspecified_reason_is_left_out():
    """It says nothing, and RFC 5280 section 5.3.1 leaves it out of CRLs too."""
    status = revoked(Revocation(NOW, RevocationReason.UNSPECIFIED))

    assert der.context(1, der.generalized_time(NOW)) == status


def test_extended_revoke_is_an_extension_of_the_whole(keys, spki):
    """RFC 6960 section 4.4.8: NULL, not critical, never a single extension."""
    cert_id = make_cert_id(issuer_octets(0, SUBJECT, spki), 77)
    single = single_response(cert_id.der, UNKNOWN, NOW, NOW, [archive_cutoff(NOW)])

    _, basic = read_response(write(keys, spki, [single], EXTENDED_REVOKED))

    assert der.null() == basic.extensions[EXTENDED_REVOKE].value
    assert not basic.extensions[EXTENDED_REVOKE].critical
    assert [ARCHIVE_CUTOFF] == [*basic.answers[0].extensions]


@pytest.mark.parametrize("status", [s for s in ResponseStatus if s.value])
def test_errors_are_five_octets(status):
    """RFC 6960 section 2.3: a status, unsigned."""
    octets = error_response(status)

    assert bytes((0x30, 3, 0x0A, 1, status.value)) == octets
    assert (status, None) == read_response(octets)


def test_names_of_errors_are_those_of_the_rfc():
    """As people know them."""
    assert [
        "successful",
        "malformedRequest",
        "internalError",
        "tryLater",
        "sigRequired",
        "unauthorized",
    ] == [status.rfc_name for status in ResponseStatus]


def test_any_altered_answer_is_read_or_refused(keys, spki, mutations):
    """Nothing but MalformedRequest comes out."""
    cert_id = make_cert_id(issuer_octets(0, SUBJECT, spki), 77)
    revocation = Revocation(NOW, RevocationReason.SUPERSEDED)
    single = single_response(
        cert_id.der, revoked(revocation), NOW, NOW + DAY, [invalidity_date(NOW)]
    )
    good = write(keys, spki, [single], write_nonce(b"n"), certificates=[der.sequence()])

    @settings(max_examples=500)
    @given(mutations(good))
    def read_or_refuse(octets):
        try:
            read_response(octets)
        except MalformedRequest:
            return

    read_or_refuse()


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        der.sequence(),
        der.sequence(der.integer(4, 0x0A)),
        der.sequence(der.integer(0, 0x0A)),
        der.sequence(der.integer(1, 0x0A), der.context(0, der.sequence())),
        der.sequence(
            der.integer(0, 0x0A),
            der.context(0, der.sequence(der.oid("1.2.3"), der.octet_string(b""))),
        ),
        error_response(ResponseStatus.TRY_LATER) + b"\0",
        b"\x31" + error_response(ResponseStatus.TRY_LATER)[1:],
    ],
)
def test_other_structures_are_no_answer(octets):
    """Status and answer go together, and there is one type of answers."""
    with pytest.raises(MalformedRequest):
        read_response(octets)
