"""Requests for pairs: a classical and an ML-DSA key of one holder, asked for at once."""

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, mldsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from pikaserver.api.issuance import EnrollmentRequest, Requester
from pikaserver.asn1.csr import assemble_csr, read_csr, request_info
from pikaserver.authority.templates.starters import starter
from pikaserver.storage import audit
from pikaserver.testing.throw_away import distinguished_name

OPERATOR = Requester("cli:test", "operator")


def document(more="", *, approval=False, mode="allowed"):
    """Return the document of ``device`` with other rules for pairs."""
    text = starter("device").replace('mode = "refused"', f'mode = "{mode}"\n{more}')
    return text.replace("approval = false", "approval = true") if approval else text


def prepare(server):
    """Save ``quantum``, and ``paired``, whose second certificates come from it."""
    server.templates.save("quantum", document(), "test")
    server.templates.save("paired", document('pair = "quantum"', mode="refused"), "test")


def first_csr(name="plc-21", key=None, names=None, hash_=None):
    """Return a request for an EC key, by `name`.example.test unless told."""
    return read_csr(first_der(name, key, names, hash_))


def first_der(name="plc-21", key=None, names=None, hash_=None):
    key = key or ec.generate_private_key(ec.SECP256R1())
    builder = x509.CertificateSigningRequestBuilder().subject_name(distinguished_name(name))
    names = [x509.DNSName(f"{name}.example.test")] if names is None else names
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder.sign(key, hash_ or hashes.SHA256()).public_bytes(Encoding.DER)


def second_csr(name="plc-21", *, attributes=b"", names=None, key=None):
    """Return a request for an ML-DSA key."""
    return read_csr(second_der(name, attributes=attributes, names=names, key=key))


def second_der(name="plc-21", *, attributes=b"", names=None, key=None):
    key = key or mldsa.MLDSA65PrivateKey.generate()
    spki = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    names = [x509.DNSName(f"{name}.example.test")] if names is None else names
    value = x509.SubjectAlternativeName(names)
    wish = [x509.Extension(value.oid, critical=False, value=value)] if names else []
    info = request_info(distinguished_name(name), spki, wish, attributes)
    return assemble_csr(info, "ml-dsa-65", key.sign(info))


def asked(csr, template="paired", requester=OPERATOR, **more):
    return EnrollmentRequest(csr=csr, requester=requester, template=template, door="cli", **more)


def signings(server):
    """Return how often a certificate was about to be signed."""
    with server.database.reading() as connection:
        lines = audit.read(connection, audit.TrailQuery(event="certificate.signing"))
        return sum(1 for _ in lines)
