"""What fuzzing found once, so that it stays mended."""

import base64

import pytest

from pikaserver.asn1 import der
from tests.fuzz import seeds
from tests.fuzz.campaign import feed
from tests.fuzz.targets import TARGETS

DOTS = b"a." * 30_000 + b"a = 1"
DIGITS = b"a = " + b"1" * 5000
HEX = b"0x" + b"f" * 5000
HEX_LIMIT = seeds.templates()[0].replace(b"limit = 100", b"limit = " + HEX)


def long_identifier():
    """Return a CSR whose key has an OBJECT IDENTIFIER of 20 KB."""
    algorithm = der.sequence(der.element(0x06, b"\x2a" + b"\xff" * 20_000 + b"\x7f"))
    key = der.sequence(algorithm, der.bit_string(b"x"))
    info = der.sequence(der.integer(0), der.sequence(), key, der.context(0, b""))
    return der.signed(info, der.sequence(der.oid("1.2.840.10045.4.3.2")), b"x")


def short_vector():
    """Return a key in PEM's old encryption whose initialisation vector is cut."""
    lines = b"Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,0011223344556677\n\nAAAA\n"
    return b"-----BEGIN EC PRIVATE KEY-----\n" + lines + b"-----END EC PRIVATE KEY-----\n"


def version_19():
    """Return a certificate of a version that does not exist."""
    return seeds.certificates()[0].replace(b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x12", 1)


@pytest.mark.parametrize(
    ("name", "octets"),
    [
        pytest.param("csr", long_identifier(), id="quadratic-identifier"),
        pytest.param("private-key", short_vector(), id="panic-over-short-vector"),
        pytest.param(
            "client-cert", b":" + base64.b64encode(version_19()) + b":", id="unknown-version"
        ),
        pytest.param("escaped-cert", der.write_pem("CERTIFICATE", version_19()), id="in-pem"),
        pytest.param("settings", b"a." * 2000 + b"a = 1", id="settings-too-deep"),
        pytest.param("settings", DIGITS, id="settings-too-long-number"),
        pytest.param("template", DOTS, id="quadratic-key"),
        pytest.param("template", b'"a" . ' * 10_000 + b"a = 1", id="quadratic-quoted-key"),
        pytest.param("template", DIGITS, id="template-too-long-number"),
        pytest.param("template", HEX_LIMIT, id="template-limit-too-long-to-print"),
        pytest.param("settings", b"[server]\nnode = " + HEX, id="node-too-long-to-print"),
        pytest.param("variable", b"{" + DIGITS + b"}", id="variable-too-long-number"),
        pytest.param("variable", b"[" * 5000, id="variable-too-deep"),
        pytest.param("uri-name", b"a://" + b"x" * 60_000 + b"#\n", id="quadratic-uri"),
    ],
)
def test_it_is_refused_in_the_promised_words_and_in_time(name, octets):
    """See each identifier for what went wrong."""
    feed(TARGETS[name], octets)
