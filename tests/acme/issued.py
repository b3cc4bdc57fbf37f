"""Certificates that clients got: read, found on record, revoked."""

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from tests.acme.desk import b64

NAME = "www.example.com"


def first_of(pem):
    return x509.load_pem_x509_certificate(pem.encode())


def der_of(pem):
    return first_of(pem).public_bytes(Encoding.DER)


def record_of(server, pem):
    return server.certificates.by_certificate(der_of(pem))


def revoke(desk, pem, **wish):
    return desk.post("revoke-cert", {"certificate": b64(der_of(pem))} | wish)
