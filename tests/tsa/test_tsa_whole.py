"""A whole server stamps; openssl and our own command verify."""

import json
import subprocess
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from pikaserver.api.services import ServiceUse
from pikaserver.authority.authorities import ServiceSettings
from pikaserver.testing.client import ServiceClient
from pikaserver.testing.servers import make_server
from pikaserver_tsa.plugin import register_services
from pikaserver_tsa.stamping import TITLE

KEY_TYPES = ("ec-p256", "ec-p384", "rsa-3072")


def call(*words, cwd):
    answer = subprocess.run(words, cwd=cwd, capture_output=True, check=False)
    assert 0 == answer.returncode, (words, answer.stderr)
    return answer.stdout


def stamped(server, query):
    client = ServiceClient(*register_services(server.for_plugins), tls=False)
    headers = {"content-type": "application/timestamp-query"}
    return client.send("POST", "/tsa", query, headers=headers).content


@pytest.mark.parametrize("key_type", KEY_TYPES)
@pytest.mark.parametrize("certificate", [True, False])
def test_openssl_makes_queries_and_verifies_replies(tmp_path, openssl, key_type, certificate):
    """Keys of each kind, with and without certificates in the reply."""
    (tmp_path / "file").write_text("what is stamped")
    call(
        *(openssl, "ts", "-query", "-data", "file", "-sha512", "-out", "query.tsq"),
        *(["-cert"] if certificate else []),
        cwd=tmp_path,
    )
    with make_server(tmp_path / "data") as server:
        set_key_type(server, key_type)
        (tmp_path / "reply.tsr").write_bytes(stamped(server, (tmp_path / "query.tsq").read_bytes()))
        chain = [server.authorities.key(name).certificate for name in ("root", "issuing")]
        unit = server.services.get(use())
        at = str(int(server.clock().timestamp()))
    write(tmp_path / "root.pem", chain[0])
    write(tmp_path / "others.pem", unit.certificate, chain[1])

    verdict = call(
        *(openssl, "ts", "-verify", "-queryfile", "query.tsq", "-in", "reply.tsr"),
        *("-CAfile", "root.pem", "-untrusted", "others.pem", "-attime", at),
        cwd=tmp_path,
    )

    assert b"Verification: OK" in verdict


def set_key_type(server, key_type):
    before = server.authorities.settings("issuing")
    services = {"tsa": ServiceSettings(key_type=key_type)}
    after = before.model_copy(update={"services": services})
    server.ceremony.save_settings("issuing", after, "test")


def use():
    return ServiceUse("tsa", TITLE, "issuing")


def write(path, *certificates):
    loaded = [
        one if isinstance(one, x509.Certificate) else x509.load_der_x509_certificate(one)
        for one in certificates
    ]
    path.write_bytes(b"".join(one.public_bytes(Encoding.PEM) for one in loaded))


def test_the_command_stamps_and_verifies(tsa, tmp_path, capsys):
    """Without a running server; the record says when."""
    file = tmp_path / "report.pdf"
    file.write_bytes(b"%PDF what is stamped")

    assert 0 == tsa("stamp", file, "--hash", "sha3-256")
    capsys.readouterr()
    assert 0 == tsa("verify", file, f"{file}.tsr", "-o", "json")

    told = json.loads(capsys.readouterr().out)
    assert ("good", "1.3.6.1.4.1.32473.1.1") == (told["state"], told["policy"])


def test_another_file_and_strange_authorities_are_refused(tsa, tmp_path, capsys, openssl):
    """In one sentence each."""
    file, other = tmp_path / "a", tmp_path / "b"
    file.write_text("a")
    other.write_text("b")
    tsa("stamp", file, "--no-certificate")
    call(
        *(openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
        *("-noenc", "-keyout", "k.pem", "-subj", "/CN=Stranger", "-out", "stranger.pem"),
        cwd=tmp_path,
    )
    capsys.readouterr()

    assert 1 == tsa("verify", other, f"{file}.tsr")
    assert "over other octets" in capsys.readouterr().err
    tsa("stamp", file)
    assert 1 == tsa("verify", file, f"{file}.tsr", "--ca", tmp_path / "stranger.pem")
    assert "no certificate of the issuer" in capsys.readouterr().err
    assert 1 == tsa("stamp", file, "--policy", "1.2.3")
    assert "UNACCEPTED_POLICY" in capsys.readouterr().err
    assert 4 == tsa("stamp", file, "--url", "http://127.0.0.1:9/tsa")


def test_an_operator_accepts_a_clock_that_was_put_right(tsa, tmp_path):
    """The audit trail knows."""
    file = Path(tmp_path / "a")
    file.write_text("a")
    tsa("stamp", file)

    assert 0 == tsa("accept-clock")
    assert 0 == tsa("stamp", file)
