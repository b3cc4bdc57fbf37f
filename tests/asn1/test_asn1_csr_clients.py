"""PKCS#10 requests: those that real clients make."""

import shutil
import subprocess

import pytest

from pikaserver.api.errors import MalformedRequest
from pikaserver.asn1.csr import (
    read_csr,
    read_csr_text,
    verify_possession,
)
from pikaserver.asn1.names import general_name_text


def run(*command, stdin=None):
    """Run a client's tool, or skip where it is not installed."""
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed")
    return subprocess.run(command, input=stdin, capture_output=True, check=True).stdout


@pytest.mark.parametrize(
    ("kind", "size", "more"),
    [
        ("ecdsa", "256", ()),
        ("ecdsa", "384", ("--password", "4711")),
        ("rsa", "2048", ("--password", "4711", "--rsa-padding", "pss")),
        ("rsa", "2048", ("--profile", "server")),
        ("ed25519", None, ("--password", "4711")),
    ],
)
def test_strongswan_requests_are_read(kind, size, more):
    """``pki --req``: attributes unsorted, and its profile as an extension."""
    key = run("pki", "--gen", "--type", kind, *(("--size", size) if size else ()))
    san = ("--san", "dev.example", "--san", "10.0.0.1")

    octets = run("pki", "--req", "--type", "priv", "--dn", "C=CH, CN=dev", *san, *more, stdin=key)

    csr = read_csr(octets)
    verify_possession(csr)
    assert ["dns:dev.example", "ip:10.0.0.1"] == [general_name_text(name) for name in csr.names]
    assert ("4711" if "--password" in more else None) == csr.challenge_password


@pytest.mark.parametrize(
    "options",
    [
        ("-newkey", "rsa:2048"),
        ("-newkey", "rsa:2048", "-sigopt", "rsa_padding_mode:pss"),
        ("-newkey", "rsa:2048", "-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:20"),
        ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-sha512"),
        ("-newkey", "ed448"),
    ],
)
def test_openssl_requests_are_read(options):
    """``openssl req`` with UPN, several names and the salts that it prefers."""
    san = "subjectAltName=DNS:dev.example,otherName:1.3.6.1.4.1.311.20.2.3;UTF8:u@example.org"
    text = run(
        *("openssl", "req", "-new", "-nodes", "-keyout", "/dev/null", "-subj", "/C=CH/CN=dev"),
        *("-addext", san, *options),
    )

    csr = read_csr_text(text)

    verify_possession(csr)
    assert ["dns:dev.example", "upn:u@example.org"] == [general_name_text(n) for n in csr.names]


def test_weak_openssl_requests_are_refused():
    """SHA-1 is read, and proves nothing."""
    text = run(
        *("openssl", "req", "-new", "-nodes", "-keyout", "/dev/null", "-subj", "/CN=dev"),
        *("-newkey", "rsa:2048", "-sha1"),
    )

    with pytest.raises(MalformedRequest, match="SHA-1"):
        verify_possession(read_csr_text(text))
