"""Requests for keys that the server makes, and what is in the answers."""

import base64
import email

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
)

from pikaserver.asn1 import der
from pikaserver.asn1.cms import read_certificates_only
from pikaserver.asn1.elements import members
from pikaserver.testing.throw_away import throw_away_request

BASE = "/.well-known/est"


PKCS10 = {"Content-Type": "application/pkcs10"}


CODE = ("4711", "sesame")


DECRYPT_KEY_ID = x509.ObjectIdentifier("1.2.840.113549.1.9.16.2.37")


ASYMMETRIC_ID = x509.ObjectIdentifier("1.2.840.113549.1.9.16.2.54")


CAPABILITIES = x509.ObjectIdentifier("1.2.840.113549.1.9.15")


def with_attributes(key, *attributes):
    """Return a CSR in DER with these attributes; their values are in DER."""
    plain = throw_away_request(key, "plc-21")
    info, *_ = members(plain, "a request")
    version, subject, public, _attributes = members(plain, "its content", info.at)
    encoded = [
        der.sequence(der.oid(oid.dotted_string), der.set_of(value)) for oid, value in attributes
    ]
    tbs = der.sequence(
        *(plain[part.at : part.end] for part in (version, subject, public)),
        der.context(0, b"".join(sorted(encoded))),
    )
    signature = key.sign(tbs, ec.ECDSA(hashes.SHA256()))
    return der.signed(tbs, der.sequence(der.oid("1.2.840.10045.4.3.2")), signature)


def ask(est, octets, **who):
    who = who or {"user": CODE}
    path = f"{BASE}/serverkeygen"
    return est.send("POST", path, base64.b64encode(octets), headers=PKCS10, **who)


def parts(answer):
    """Return content type and octets of each part, as a mail reader finds them."""
    head = f"Content-Type: {answer.headers['content-type']}\r\n\r\n".encode()
    message = email.message_from_bytes(head + answer.content)
    assert message.is_multipart()
    return [
        (part["Content-Type"], base64.b64decode(part.get_payload()))
        for part in message.get_payload()
    ]


def spki(key):
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def certified(octets):
    (certificate,) = read_certificates_only(octets)
    loaded = x509.load_der_x509_certificate(certificate)
    return loaded.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
