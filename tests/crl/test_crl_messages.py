"""File names and serial numbers as people and tools write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pikaserver.api.errors import MalformedRequest
from pikaserver.asn1.serials import read_serial, write_serial
from pikaserver_crl.messages import FileName, read_crl_name, read_file_name

FORMS = ("crl", "crl.pem", "pem")


@pytest.mark.parametrize(
    ("text", "file"),
    [
        ("issuing.crl", FileName("issuing", None, "crl")),
        ("issuing.g2.crl", FileName("issuing", 2, "crl")),
        ("issuing.crl.pem", FileName("issuing", None, "crl.pem")),
        ("issuing.g12.crl.pem", FileName("issuing", 12, "crl.pem")),
        ("issuing.pem", FileName("issuing", None, "pem")),
        ("plant.7.crl", FileName("plant.7", None, "crl")),
        ("plant.7.g1.pem", FileName("plant.7", 1, "pem")),
        ("g2.crl", FileName("g2", None, "crl")),
        ("issuing.g0.crl", FileName("issuing.g0", None, "crl")),
        ("issuing.g02.crl", FileName("issuing.g02", None, "crl")),
        ("issuing.g1234567.crl", FileName("issuing.g1234567", None, "crl")),
        ("issuing.g\u0662.crl", FileName("issuing.g\u0662", None, "crl")),
        ("issuing", None),
        ("issuing.crt", None),
        (".crl", None),
        (".pem", None),
        ("", None),
    ],
)
def test_a_file_name_is_authority_generation_and_form(text, file):
    """The longest form wins; a number that is none belongs to the name."""
    assert file == read_file_name(text, *FORMS)


@given(
    st.from_regex(r"[a-z0-9][a-z0-9-]{0,20}", fullmatch=True),
    st.none() | st.integers(1, 999_999),
    st.sampled_from(FORMS),
)
def test_file_names_that_certificates_carry_are_read_again(authority, generation, form):
    """What AIA and CDP name can be asked for."""
    number = "" if generation is None else f".g{generation}"

    assert FileName(authority, generation, form) == read_file_name(
        f"{authority}{number}.{form}", *FORMS
    )


@pytest.mark.parametrize(
    ("text", "file"),
    [
        ("line.crl", FileName("line", None, "crl")),
        ("line-delta.crl", FileName("line", None, "crl", "delta")),
        ("line-12.crl.pem", FileName("line", None, "crl.pem", "shard-12")),
        ("line.g2-delta.pem", FileName("line", 2, "pem", "delta")),
        ("line.g2-3.crl", FileName("line", 2, "crl", "shard-3")),
        ("line-1.crl", FileName("line-1", None, "crl")),
        ("line-1-1.crl", FileName("line-1", None, "crl", "shard-1")),
        ("line-0.crl", FileName("line-0", None, "crl")),
        ("line-01.crl", FileName("line-01", None, "crl")),
        ("-delta.crl", FileName("-delta", None, "crl")),
        ("line.crt", None),
    ],
)
def test_the_name_of_a_crl_has_its_part(text, file):
    """An authority that is called so goes before a part of another one."""
    assert file == read_crl_name(text, ["line", "line-1"])


@given(st.text(max_size=60))
def test_any_other_name_is_read_or_none(text):
    """A path is not an error, at most not there."""
    file = read_file_name(f"{text}.crl", *FORMS)

    assert file is None or file.authority


@pytest.mark.parametrize(
    "text",
    ["0A1B2C", "0a1b2c", "0x0A1B2C", "0X0a1B2c", "A1B2C", "0A:1B:2C", "0x0a:1b:2c", "00:0A:1B:2C"],
)
def test_serials_are_read_as_tools_print_them(text):
    """Of openssl, browsers and Python."""
    assert 0x0A1B2C == read_serial(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0x",
        "0",
        "00",
        "-1",
        "+1",
        "1_2",
        "xyz",
        "0x0x1",
        ":1",
        "1:",
        "1::2",
        "\uff11",
        "1" + "0" * 40,
        "0" * 101,
    ],
)
def test_what_is_no_serial_is_malformed(text):
    """Hex of a positive number of at most 20 octets, and nothing else."""
    with pytest.raises(MalformedRequest):
        read_serial(text)


@given(st.integers(1, 2**160 - 1), st.booleans(), st.booleans())
def test_what_we_write_we_read(serial, prefix, colons):
    """RFC 5280 section 4.1.2.2: up to 20 octets."""
    text = write_serial(serial)
    if colons:
        text = ":".join(text[at : at + 2] for at in range(0, len(text), 2))

    assert serial == read_serial(f"0x{text}" if prefix else text.lower())


@given(st.text(max_size=120))
def test_no_text_raises_anything_else(text):
    """A path may hold any text."""
    try:
        assert 0 < read_serial(text) < 2**160
    except MalformedRequest:
        return
