"""What operators type is read in all usual spellings, or refused in words."""

import contextlib
from datetime import UTC, datetime, timedelta

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pikaserver.api.certificates import RevocationReason
from pikaserver.api.errors import MalformedRequest
from pikaserver.asn1 import algorithms
from pikaserver.asn1.private_key_forms import FORMS
from pikaserver.asn1.serials import read_serial, write_serial
from pikaserver.cli import options
from pikaserver.signing.software import SOFTWARE_KEY_TYPES


@given(st.integers(min_value=1, max_value=2**160 - 1))
def test_serials_are_read_as_they_are_written(serial):
    """Upper-case hex of whole octets, as openssl prints it."""
    text = write_serial(serial)

    assert serial == read_serial(text) == read_serial(f"serial={text.lower()}")
    assert 0 == len(text) % 2


@pytest.mark.parametrize(
    "text", ["01fb", "01FB", "1fb", "0x1FB", "serial=01FB", "Serial: 01:FB", " 01:fb ", "01 FB"]
)
def test_serials_come_in_many_spellings(text):
    """From openssl, from browsers and from Windows."""
    assert 0x1FB == read_serial(text)


@given(st.text())
def test_no_text_breaks_the_reader_of_serials(text):
    """It is a number in range or malformed."""
    with contextlib.suppress(MalformedRequest):
        assert 0 < read_serial(text) < 2**160


@pytest.mark.parametrize("text", ["", "0", "00:00", "g", "-1", "1" * 41, "serial=", "01FB;02"])
def test_what_is_no_serial_is_refused(text):
    """RFC 5280 section 4.1.2.2: positive, at most 20 octets."""
    with pytest.raises(MalformedRequest, match="openssl x509 -serial"):
        read_serial(text)


@pytest.mark.parametrize("reason", [r for r in RevocationReason if r.value != 8])
def test_reasons_come_in_three_spellings(reason):
    """As RFC 5280 spells them, with hyphens, and in small letters."""
    kebab = reason.name.lower().replace("_", "-")

    assert kebab in options.REASONS
    for text in (reason.rfc_name, kebab, kebab.replace("-", ""), reason.name):
        assert reason is options.REASON.convert(text, None, None)


@pytest.mark.parametrize("text", ["removeFromCRL", "stolen", "", "1"])
def test_what_is_no_reason_is_answered_with_all_of_them(text):
    """``removeFromCRL`` is said by a delta CRL only."""
    with pytest.raises(click.BadParameter, match="key-compromise"):
        options.REASON.convert(text, None, None)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-12-31", datetime(2026, 12, 31, tzinfo=UTC)),
        ("2026-12-31T18:00", datetime(2026, 12, 31, 18, tzinfo=UTC)),
        ("2026-12-31T18:00:00Z", datetime(2026, 12, 31, 18, tzinfo=UTC)),
        ("2026-12-31T18:00:00+02:00", datetime(2026, 12, 31, 16, tzinfo=UTC)),
    ],
)
def test_moments_without_an_offset_are_utc(text, moment):
    """Like all times that are printed."""
    assert moment == options.MOMENT.convert(text, None, None)


def test_durations_have_units():
    """The reader is that of templates."""
    assert timedelta(days=90) == options.DURATION.convert("90d", None, None)
    with pytest.raises(click.BadParameter, match="write a number and a unit"):
        options.DURATION.convert("90", None, None)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("pki.example", "is not a URL"),
        ("http://", "is not a URL"),
        ("http://a b/", "is not a URL"),
        ("http://ä.example/", "is not a URL"),
        ("https://pki.example/1.crl", "http:// or ldap://"),
    ],
)
def test_pointers_are_plain_urls(text, complaint):
    """A pointer over HTTPS would need the certificate that is being checked."""
    with pytest.raises(click.BadParameter, match=complaint):
        options.POINTER_URL.convert(text, None, None)


def test_the_choices_in_help_are_those_of_the_code():
    """They are written twice, because help imports no cryptography."""
    assert (*algorithms.KEY_TYPES,) == options.KEY_TYPES
    assert (*algorithms.HASHES,) == options.HASHES
    assert SOFTWARE_KEY_TYPES == options.SOFTWARE_KEY_TYPES
    assert FORMS == options.KEY_FORMS
