"""Bodies and answers of EST, as real clients write and read them."""

import base64
from dataclasses import replace

import pytest
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st

from pikaserver.api.errors import MalformedRequest
from pikaserver.api.templates import SubjectRules
from pikaserver.asn1 import der
from pikaserver.asn1.algorithms import KEY_TYPES
from pikaserver.testing.clock import CountedEntropy
from pikaserver.testing.templates import make_template
from pikaserver.testing.throw_away import throw_away_key, throw_away_request
from pikaserver_est.csr_attributes import csr_attributes, request_template, single_wishes
from pikaserver_est.messages import read_request, write_body

CSR = throw_away_request(throw_away_key(CountedEntropy()), "plc-21", x509.DNSName("plc-21.example"))
TEXT = base64.b64encode(CSR)
STRONGSWAN = ""
LIBEST = "libest 3.2.0p"


def armoured(label="CERTIFICATE REQUEST"):
    return der.write_pem(label, CSR)


@pytest.mark.parametrize(
    "body",
    [
        TEXT,
        TEXT + b"\r\n",
        b"\n ".join(TEXT[at : at + 64] for at in range(0, len(TEXT), 64)),
        b"\r\n".join(TEXT[at : at + 76] for at in range(0, len(TEXT), 76)),
        b"\t" + b" ".join(TEXT[at : at + 1] for at in range(len(TEXT))),
        CSR,
        armoured(),
        armoured("NEW CERTIFICATE REQUEST"),
        b"Certificate Request:\n    Data:\n" + armoured(),
    ],
    ids=["line", "crlf", "libest", "mime", "sparse", "der", "pem", "new-pem", "text-and-pem"],
)
def test_bodies_of_all_sorts_are_the_same_request(body):
    """RFC 8951 section 3.1, and what people send besides."""
    assert CSR == read_request(body).der


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" \r\n",
        b"=",
        TEXT[:-1],
        TEXT + b"=",
        TEXT + b"!",
        TEXT.replace(b"+", b"-").replace(b"/", b"_") + b"-",
        CSR[:-1],
        CSR + b"\0",
        b"\x30\x80" + CSR,
        armoured() * 2,
        armoured("CERTIFICATE"),
        base64.b64encode(b"0"),
        base64.b64encode(TEXT),
        b"csr=" + TEXT,
        b"{}",
    ],
)
def test_what_is_not_one_request_is_malformed(body):
    """Half, doubled, padded or otherwise encoded: refused with a sentence."""
    with pytest.raises(MalformedRequest):
        read_request(body)


@given(st.binary(max_size=300) | st.binary(max_size=300).map(base64.b64encode))
def test_no_body_raises_anything_else(body):
    """Nothing gets through as an unexpected error."""
    with pytest.raises(MalformedRequest):
        read_request(body)


@given(st.data())
def test_a_damaged_request_is_malformed_or_another_request(data):
    """One octet changed anywhere: never an unexpected error."""
    at = data.draw(st.integers(0, len(CSR) - 1))
    octets = bytearray(CSR)
    octets[at] ^= data.draw(st.integers(1, 255))
    try:
        read_request(base64.b64encode(octets))
    except MalformedRequest:
        return


@pytest.mark.parametrize("user_agent", ["", "curl/7.88.1", "strongSwan", "GlobalSign EST Client"])
def test_most_clients_get_one_line_without_an_end(user_agent):
    """Nothing else is read by strongSwan."""
    assert TEXT == write_body(CSR, user_agent)


@pytest.mark.parametrize("user_agent", [LIBEST, "Cisco EST client 1.0"])
def test_libest_gets_lines(user_agent):
    """OpenSSL's base64 filter, which libest reads with, wants short lines with an end."""
    lines = write_body(CSR, user_agent).splitlines(keepends=True)

    assert TEXT == b"".join(line.rstrip(b"\n") for line in lines)
    assert all(line.endswith(b"\n") and len(line) <= 65 for line in lines)


@given(st.binary(max_size=2000), st.sampled_from([STRONGSWAN, LIBEST]))
def test_what_we_write_can_be_read(octets, user_agent):
    """Both forms carry the same octets."""
    assert octets == base64.b64decode(write_body(octets, user_agent))


def template(**changes):
    plain = {
        "key_types": frozenset(),
        "subject": SubjectRules((), (), (), "free"),
    }
    return make_template(**{**plain, **changes})


def wishes(**changes):
    """Return what clients read that know no RFC 9908."""
    return der.sequence(*single_wishes(template(**changes)))


def test_a_template_without_wishes_has_no_attributes():
    """RFC 7030 section 4.5.2: no content rather than an empty list."""
    assert None is csr_attributes(template())


def test_a_curve_is_an_attribute_with_the_curve_as_its_value():
    """RFC 8951 section 3.5: its example asks for secp384r1 with these octets."""
    example = bytes.fromhex("301206072a8648ce3d0201310706052b81040022")

    assert b"\x30\x14" + example == wishes(key_types=frozenset({"ec-p384"}))


def test_an_rsa_size_is_an_attribute_with_an_integer():
    """RFC 9908 section 3.2: rsaEncryption with the size of the modulus."""
    size = der.sequence(der.oid("1.2.840.113549.1.1.1"), der.set_of(der.integer(4096)))

    assert der.sequence(size) == wishes(key_types=frozenset({"rsa-4096"}))


@pytest.mark.parametrize(
    ("key_type", "oid"),
    [("ed25519", "1.3.101.112"), ("ml-dsa-65", "2.16.840.1.101.3.4.3.18")],
)
def test_a_key_without_parameters_is_an_oid(key_type, oid):
    """An attribute needs a value; where there is none the OID stands alone."""
    assert der.sequence(der.oid(oid)) == wishes(key_types=frozenset({key_type}))


def test_every_key_type_of_the_table_can_be_written():
    """A template may allow anything that we make."""
    written = csr_attributes(template(key_types=frozenset(KEY_TYPES) | {"from-a-plugin"}))

    der.check(written)


def test_what_the_client_has_to_supply_is_listed():
    """Required attributes that the template does not fix itself, and names."""
    rules = SubjectRules(("CN",), (("O", "Example"),), ("CN", "O", "serialNumber"), "free")

    written = wishes(subject=rules, names_required=True)

    assert written == der.sequence(der.oid("2.5.4.3"), der.oid("2.5.4.5"), der.oid("2.5.29.17"))


def test_the_extended_key_usage_is_an_extension_request():
    """RFC 9908 section 3.2: one attribute with one value, which is Extensions."""
    client = "1.3.6.1.5.5.7.3.2"
    usage = replace(make_template().usage, extended_key_usage=(client,))
    usage = replace(usage, extended_key_usage_critical=True)
    extension = x509.ExtendedKeyUsage([x509.ObjectIdentifier(client)]).public_bytes()

    written = wishes(usage=usage)

    wanted = der.sequence(
        der.oid("2.5.29.37"), der.boolean(value=True), der.octet_string(extension)
    )
    assert written == der.sequence(
        der.sequence(der.oid("1.2.840.113549.1.9.14"), der.set_of(der.sequence(wanted)))
    )


def test_the_template_says_what_the_whole_request_holds():
    """RFC 9908 section 3.4: fixed attributes with their value, those to be supplied without."""
    rules = SubjectRules(("CN",), (("O", "Example"), ("C", "CH")), ("CN", "O"), "free")
    client = "1.3.6.1.5.5.7.3.2"
    usage = replace(make_template().usage, extended_key_usage=(client,))
    made = template(
        key_types=frozenset({"ec-p256"}), subject=rules, names_required=True, usage=usage
    )

    written = request_template(made)

    subject = der.sequence(
        der.set_of(der.sequence(der.oid("2.5.4.10"), der.element(0x0C, b"Example"))),
        der.set_of(der.sequence(der.oid("2.5.4.6"), der.element(0x13, b"CH"))),
        der.set_of(der.sequence(der.oid("2.5.4.3"))),
    )
    value = x509.ExtendedKeyUsage([x509.ObjectIdentifier(client)]).public_bytes()
    extensions = der.sequence(
        der.sequence(der.oid("2.5.29.17")),
        der.sequence(der.oid("2.5.29.37"), der.octet_string(value)),
    )
    asked = der.sequence(der.oid("1.2.840.113549.1.9.16.2.62"), der.set_of(extensions))
    key = der.context(0, KEY_TYPES["ec-p256"].identifier)
    assert written == der.sequence(der.integer(0), subject, key, der.context(1, asked))
    whole = der.sequence(der.oid("1.2.840.113549.1.9.16.2.61"), der.set_of(written))
    assert csr_attributes(made).endswith(whole)


def test_an_rsa_size_is_told_by_a_modulus_of_that_size():
    """RFC 9908 section 3.4: a placeholder, which is nobody's key."""
    written = request_template(template(key_types=frozenset({"rsa-3072"})))

    modulus = der.integer((1 << 3072) - 1)
    assert modulus in written
    der.check(written)


def test_a_choice_of_keys_leaves_the_template_without_one():
    """The single wishes name them all."""
    made = template(key_types=frozenset({"ec-p256", "ed25519"}))

    assert request_template(made) == der.sequence(der.integer(0), der.context(1, b""))


def test_a_request_that_is_tied_to_its_session_has_a_password():
    """RFC 7030 section 3.5: clients read there that they have to."""
    rules = replace(make_template().est, possession_linking="required")

    assert wishes(est=rules) == der.sequence(der.oid("1.2.840.113549.1.9.7"))
    assert der.oid("1.2.840.113549.1.9.7") in request_template(template(est=rules))
