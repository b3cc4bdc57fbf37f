"""What fuzzing found once, so that it stays mended."""

import base64

import cbor2
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
)

from hsm_agent.wire.encoding import decode
from hsm_agent.wire.errors import WireError
from pikaserver.asn1 import der
from tests.fuzz import seeds
from tests.fuzz.campaign import feed
from tests.fuzz.targets import TARGETS
from tests.hsm_agent import made_structures as made
from tests.hsm_agent.structures_in_pieces import parts_of

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


def strange_issuer():
    """Return the certificate of a genuine card, its issuer no name any more."""
    card = TARGETS["attesting-card"].seeds()[0]
    return card.replace(b"\x0c Yubico PIV Root", b"\x30 Yubico PIV Root", 1)


def signed_by_octets():
    """Return the certificate of an authority whose signature is no BIT STRING."""
    tbs, algorithm, signature = parts_of(made.CA_CERTIFICATE)
    return der.sequence(tbs, algorithm, b"\x04" + signature[1:])


def locked_identity():
    """Return the keys of an agent, one of them under a password."""
    octets = TARGETS["agent-identity"].seeds()[0]
    locked = Ed25519PrivateKey.generate().private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"x")
    )
    return octets[: octets.rindex(b"-----BEGIN")] + locked


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
        pytest.param("agent-settings", b"name = 1" + b"1" * 5000, id="agent-too-long-number"),
        pytest.param(
            "agent-settings",
            b'name = "a"\n[status]\nbind = "127.0.0.1:' + b"1" * 5000 + b'"',
            id="port-too-long-number",
        ),
        pytest.param(
            "agent-policy",
            "version = 1\n[approvers.a]\ned25519 = 'ä'".encode(),
            id="base64-beyond-ascii",
        ),
        pytest.param(
            "control-line",
            '{"deed": "offline", "bundle": "ä"}\n'.encode(),
            id="argument-beyond-ascii",
        ),
        pytest.param("control-answer", b"[" * 100_000, id="answer-too-deep"),
        pytest.param("control-answer", b"5\n", id="answer-without-names"),
        pytest.param("control-answer", b'{"code": "x"}\n', id="answer-with-a-strange-code"),
        pytest.param(
            "agent-nodes",
            TARGETS["agent-nodes"].seeds()[0].replace(b'"[::1]:8444"', b"5"),
            id="address-is-a-number",
        ),
        pytest.param("agent-identity", locked_identity(), id="key-under-a-password"),
        pytest.param(
            "kept-certificates",
            b"-----BEGIN CERTIFICATE-----\nAAAAA\n-----END CERTIFICATE-----\n",
            id="base64-cut-off",
        ),
        pytest.param("pkcs11-pins", b"[" * 100_000, id="refused-pins-too-deep"),
        pytest.param(
            "journal-memory",
            cbor2.dumps({"event": "relay", "asking": "ab" * 32, "sequence": 1 << 63}),
            id="number-beyond-the-index",
        ),
        pytest.param("attesting-card", strange_issuer(), id="issuer-is-no-name"),
        pytest.param("agent-certificate", signed_by_octets(), id="signature-is-no-bits"),
        pytest.param("uri-name", b"a://" + b"x" * 60_000 + b"#\n", id="quadratic-uri"),
    ],
)
def test_it_is_refused_in_the_promised_words_and_in_time(name, octets):
    """See each identifier for what went wrong."""
    feed(TARGETS[name], octets)


def test_a_number_that_databases_do_not_have_is_none_of_the_protocol():
    """A mark of 2^63 went as far as the server's storage, which broke over it."""
    assert decode(cbor2.dumps((1 << 63) - 1)) == (1 << 63) - 1
    with pytest.raises(WireError):
        decode(cbor2.dumps(1 << 63))
