"""How authorities of tests are planned, and what is issued below them."""

from cryptography import x509

from pikaserver.api.issuance import EnrollmentRequest, Requester
from pikaserver.api.signing import KeyReference
from pikaserver.asn1.algorithms import default_algorithm
from pikaserver.authority.ca_certificates import CaContent
from pikaserver.authority.ceremony import AuthorityPlan


def plan(name, key_type="ec-p256", **content):
    subject = x509.Name.from_rfc4514_string(f"CN={name or 'nameless'},O=Example")
    return AuthorityPlan(
        name=name,
        content=CaContent(subject, **content),
        key_type=key_type,
        key=KeyReference("software", f"{name}-key"),
        algorithm=default_algorithm(key_type),
    )


def current(server, name):
    return server.authorities.key(name)


def enrol(server, make_csr, name, template="device"):
    request = EnrollmentRequest(make_csr(name), Requester("t", "operator"), template, "cli")
    return x509.load_der_x509_certificate(server.enroll(request).certificate)
