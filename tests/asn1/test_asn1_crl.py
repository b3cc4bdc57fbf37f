"""CRLs: streamed octets equal those of cryptography's builder, in flat memory."""

import io
import tempfile
import tracemalloc
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pikaserver.api.certificates import RevocationReason
from pikaserver.asn1.crl import CrlHead, crl_pieces, entry, in_memory, spool, tbs_pieces

ISSUER = x509.Name.from_rfc4514_string("CN=Issuing CA,O=Example,C=CH")
NOW = datetime(2026, 1, 1, tzinfo=UTC)
REASONS = {reason: x509.ReasonFlags(reason.rfc_name) for reason in RevocationReason}

moments = st.integers(-631_152_000, 7_258_118_400).map(  # 1950 to 2200
    lambda second: datetime.fromtimestamp(second, UTC)
)
revocations = st.lists(
    st.tuples(
        st.integers(1, 2**159 - 1), moments, st.sampled_from(RevocationReason), st.none() | moments
    ),
    max_size=8,
)
points = st.none() | st.builds(
    lambda text, users: x509.IssuingDistributionPoint(
        full_name=[x509.UniformResourceIdentifier(f"http://{text}.example/")],
        relative_name=None,
        only_contains_user_certs=users,
        only_contains_ca_certs=False,
        only_some_reasons=None,
        indirect_crl=False,
        only_contains_attribute_certs=False,
    ),
    st.from_regex(r"[a-z]{1,9}", fullmatch=True),
    st.booleans(),
)


def native_entry(serial, at, reason, invalidity_at):
    """Build an entry as cryptography does it."""
    builder = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(at)
    if reason is not RevocationReason.UNSPECIFIED:
        builder = builder.add_extension(x509.CRLReason(REASONS[reason]), critical=False)
    if invalidity_at is not None:
        naive = invalidity_at.replace(tzinfo=None)
        builder = builder.add_extension(x509.InvalidityDate(naive), critical=False)
    return builder.build()


def native_builder(head, rows):
    """Build the whole CRL as cryptography does it."""
    builder = (
        x509.CertificateRevocationListBuilder(
            revoked_certificates=[native_entry(*row) for row in rows]
        )
        .issuer_name(ISSUER)
        .last_update(head.this_update)
        .next_update(head.next_update)
        .add_extension(x509.AuthorityKeyIdentifier(head.key_identifier, None, None), critical=False)
        .add_extension(x509.CRLNumber(head.number), critical=False)
    )
    if head.delta_base is not None:
        builder = builder.add_extension(x509.DeltaCRLIndicator(head.delta_base), critical=True)
    if head.distribution_point is not None:
        builder = builder.add_extension(head.distribution_point, critical=True)
    if head.freshest is not None:
        builder = builder.add_extension(head.freshest, critical=False)
    return builder


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=revocations,
    times=st.tuples(moments, moments).filter(lambda pair: pair[0] != pair[1]).map(sorted),
    number=st.integers(0, 2**100),
    point=points,
    delta=st.none() | st.integers(0, 2**64),
)
def test_the_octets_are_those_of_the_native_builder(keys, rows, times, number, point, delta):
    """RFC 5280 section 5: reasons, dates from 2050, sharded and delta CRLs."""
    freshest = x509.FreshestCRL(
        [x509.DistributionPoint([x509.UniformResourceIdentifier("http://d")], None, None, None)]
    )
    head = CrlHead(
        issuer=ISSUER.public_bytes(),
        algorithm="ecdsa-sha256",
        this_update=times[0],
        next_update=times[1],
        number=number,
        key_identifier=b"k" * 20,
        distribution_point=point,
        delta_base=delta,
        freshest=freshest if delta is None else None,
    )

    octets = b"".join(tbs_pieces(head, in_memory(entry(*row) for row in rows)))

    native = native_builder(head, rows).sign(keys["ec-p256"], hashes.SHA256())
    assert native.tbs_certlist_bytes == octets
    spooled = spool((entry(*row) for row in rows), io.BytesIO())
    assert native.public_bytes(Encoding.DER) == b"".join(
        crl_pieces(head, spooled, native.signature)
    )


def plain_head(**fields):
    """Return a head with nothing special."""
    return CrlHead(
        issuer=ISSUER.public_bytes(),
        algorithm="ml-dsa-44",
        this_update=NOW,
        next_update=NOW + timedelta(days=7),
        number=7,
        key_identifier=b"k" * 20,
        **fields,
    )


def test_expired_certificates_may_stay():
    """X.509 expiredCertsOnCRL is GeneralizedTime whatever the year."""
    head = plain_head(expired_since=NOW)

    octets = b"".join(crl_pieces(head, in_memory([]), bytes(2420)))

    crl = x509.load_der_x509_crl(octets)
    oid = x509.ObjectIdentifier("2.5.29.60")
    assert b"\x18\x0f20260101000000Z" == crl.extensions.get_extension_for_oid(oid).value.value
    assert 0 == len(crl)


def test_entries_are_read_back():
    """Every reason, its date, and none for unspecified."""
    rows = [
        (serial, NOW, reason, NOW if serial % 2 else None)
        for serial, reason in enumerate(RevocationReason, start=200)
    ]

    octets = b"".join(crl_pieces(plain_head(), in_memory(entry(*row) for row in rows), b"\0"))

    crl = x509.load_der_x509_crl(octets)
    for serial, at, reason, _ in rows:
        found = crl.get_revoked_certificate_by_serial_number(serial)
        assert at == found.revocation_date_utc
        if reason is RevocationReason.UNSPECIFIED:
            assert x509.CRLReason not in {type(e.value) for e in found.extensions}
        else:
            value = found.extensions.get_extension_for_class(x509.CRLReason).value
            assert REASONS[reason] == value.reason


def test_many_entries_need_no_memory():
    """The stream holds pieces, never the whole; entries are read twice from the file."""
    revoked = entry(2**143 + 1, NOW, RevocationReason.KEY_COMPROMISE)
    count = 100_000
    with tempfile.TemporaryFile() as file:
        tracemalloc.start()
        entries = spool((revoked for _ in range(count)), file)
        lengths = [sum(map(len, tbs_pieces(plain_head(), entries))) for _ in range(2)]
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()

    assert (count, count * len(revoked)) == (entries.count, entries.octets)
    assert lengths[0] == lengths[1] > entries.octets
    assert peak < 1 << 20


def test_a_spool_begins_where_the_file_stands():
    """Several lists may share one file."""
    file = io.BytesIO()
    first = spool([b"abc"], file)
    second = spool([b"de", b"f"], file)

    assert [b"abc", b"def", b"abc"] == [
        b"".join(entries.pieces()) for entries in (first, second, first)
    ]


def test_a_file_that_lost_its_entries_is_noticed():
    """A temporary file that was truncated must not end as a shorter CRL, or as a loop."""
    file = io.BytesIO()
    entries = spool([b"abc"], file)
    file.truncate(1)

    with pytest.raises(OSError, match="lost"):
        list(entries.pieces())
