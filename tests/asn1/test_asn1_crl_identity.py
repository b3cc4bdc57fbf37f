"""Which CRL a CRL is, read from its head and its extensions, in memory or in a file."""

import contextlib
from dataclasses import replace
from datetime import UTC, datetime
from mmap import ACCESS_READ, mmap

import pytest
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st

from pikaserver.api.errors import MalformedRequest
from pikaserver.asn1.crl_identity import read_identity
from pikaserver.asn1.der import pem_size, write_pem
from pikaserver.asn1.pem import der_pieces
from pikaserver.testing.clock import CountedEntropy, FrozenClock
from pikaserver.testing.throw_away import ThrowAwayAuthority
from tests.publish.crls import make_crl, summary_of

CLOCK = FrozenClock()
NOW = CLOCK()
KEY = ThrowAwayAuthority("issuing", CLOCK(), CountedEntropy())
POINT = x509.IssuingDistributionPoint(
    [x509.UniformResourceIdentifier("http://pki.example/1.crl")],
    None,
    only_contains_user_certs=False,
    only_contains_ca_certs=False,
    only_some_reasons=None,
    indirect_crl=False,
    only_contains_attribute_certs=False,
)


def crl(number=7, serials=(), *, at=NOW, base_number=None, **head):
    known = summary_of(CLOCK, number, base_number=base_number)
    return make_crl(KEY, replace(known, this_update=at), serials, **head).crl


@pytest.mark.parametrize("number", [0, 1, 127, 128, 2**63 - 1, 2**150])
@pytest.mark.parametrize("serials", [(), (5,), range(1, 400)])
def test_it_is_what_cryptography_reads(number, serials):
    """Without reading an entry."""
    octets = crl(number, serials)
    theirs = x509.load_der_x509_crl(octets)

    ours = read_identity(octets)

    assert number == ours.number
    assert theirs.issuer.public_bytes() == ours.issuer
    assert theirs.last_update_utc == ours.this_update
    key = theirs.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value
    assert key.public_bytes() == ours.authority_key
    assert (None, False) == (ours.distribution_point, ours.is_delta)


@pytest.mark.parametrize("year", [1950, 1969, 1999, 2000, 2049, 2050, 2051, 2068, 2150])
def test_years_of_both_kinds_of_time(year):
    """UTCTime turns in 1950 (RFC 5280 section 5.1.2.4), not where C's libraries do."""
    at = datetime(year, 6, 1, tzinfo=UTC)

    assert at == read_identity(crl(at=at)).this_update


def test_deltas_and_parts_are_lines_of_their_own():
    """None of them may take the full one's place."""
    full, later = read_identity(crl(1)), read_identity(crl(2))
    delta, part = (
        read_identity(crl(3, base_number=1)),
        read_identity(crl(4, distribution_point=POINT)),
    )

    assert full.is_line_of(later)
    assert full.is_older_than(later)
    assert not later.is_older_than(full)
    assert delta.is_delta
    assert POINT.public_bytes() == part.distribution_point
    assert not any(full.is_line_of(other) for other in (delta, part))


def test_a_large_one_is_read_from_a_file(tmp_path):
    """As a map, of which only a few pages are looked at."""
    path = tmp_path / "large.crl"
    path.write_bytes(crl(9, range(1 << 64, (1 << 64) + 20_000)))

    with path.open("rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as octets:
        assert 9 == read_identity(octets).number


@given(st.binary(max_size=200))
def test_no_octets_upset_it(octets):
    """It says that they are no CRL."""
    with contextlib.suppress(MalformedRequest):
        read_identity(octets)


@given(st.integers(0, len(crl(7, (5,))) - 1), st.integers(0, 255), st.booleans())
def test_no_change_upsets_it(position, octet, cut):
    """One octet of another value, or all behind it missing."""
    octets = bytearray(crl(7, (5,)))
    octets[position] = octet
    with contextlib.suppress(MalformedRequest):
        read_identity(bytes(octets[:position] if cut else octets))


@given(st.binary(min_size=1, max_size=300), st.sampled_from([4, 20, 64, 76]), st.booleans())
def test_pem_is_read_line_by_line(der, width, windows):
    """Whatever the length of its lines, and whatever stands around the block."""
    text = write_pem("X509 CRL", der)
    begin, *lines, end = text.splitlines()
    body = b"".join(lines)
    rows = [
        b"Subject: x",
        begin,
        *(body[at : at + width] for at in range(0, len(body), width)),
        end,
    ]
    ends = b"\r\n" if windows else b"\n"

    found = b"".join(der_pieces((row + ends for row in [*rows, b"rest"]), "X509 CRL"))

    assert der == found
    assert pem_size("X509 CRL", len(der)) == len(text)


def test_a_large_block_comes_in_pieces():
    """A CRL of megabytes is never in memory as a whole."""
    der = bytes(range(256)) * 1000 + b"."
    lines = write_pem("X509 CRL", der).splitlines(keepends=True)

    pieces = list(der_pieces(lines, "X509 CRL"))

    assert der == b"".join(pieces)
    assert max(map(len, pieces)) < len(der) / 3


@pytest.mark.parametrize("text", [b"", b"-----BEGIN X509 CRL-----\nMIIB\n", b"no PEM\n"])
def test_half_a_block_is_none(text):
    """And nothing at all is none either."""
    with pytest.raises(MalformedRequest):
        list(der_pieces(text.splitlines(keepends=True), "X509 CRL"))


def test_lines_that_are_no_base64_are_told():
    """Of a file that somebody edited."""
    lines = [b"-----BEGIN X509 CRL-----\n", b"!!!!\n" * 9, b"-----END X509 CRL-----\n"]

    with pytest.raises(MalformedRequest, match="is not base64"):
        list(der_pieces(lines, "X509 CRL"))
