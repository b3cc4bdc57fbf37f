"""What tests of CRLs share: an authority with other settings, a revocation, openssl's verdict."""

import subprocess
from datetime import timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from pikaserver.api.certificates import Revocation, RevocationReason
from pikaserver.api.crls import FULL_CRL
from pikaserver.api.issuance import EnrollmentRequest, Requester
from pikaserver.api.signing import KeyReference
from pikaserver.asn1.csr import read_csr
from pikaserver.authority.ca_certificates import CaContent
from pikaserver.authority.ceremony import AuthorityPlan
from pikaserver.testing.clock import CountedEntropy
from pikaserver.testing.throw_away import throw_away_key, throw_away_request

HOLD, FINAL = RevocationReason.CERTIFICATE_HOLD, RevocationReason.KEY_COMPROMISE


def change(server, **settings):
    before = server.authorities.settings("issuing")
    fields = {name: one.default for name, one in type(before).model_fields.items()}
    kept = {name: value for name, value in fields.items() if name.startswith("crl_")}
    update = {**kept, "crl_urls": (), "crl_delta_urls": (), **settings}
    server.ceremony.save_settings("issuing", before.model_copy(update=update), "test")


def issue(server, make_csr, name="scope.example.test"):
    wish = EnrollmentRequest(make_csr(name), Requester("t", "operator"), "web", "cli")
    return server.enroll(wish).record


def issued(server, name):
    """Issue a certificate with a key that is the same in every run."""
    key = throw_away_key(CountedEntropy(name))
    csr = read_csr(throw_away_request(key, name, x509.DNSName(name)))
    wish = EnrollmentRequest(csr, Requester("t", "operator"), "web", "cli")
    return server.enroll(wish).record


def revoke(server, record, reason=FINAL):
    return server.revoke(record, Revocation(server.clock(), reason), "test")


def latest(server, scope=FULL_CRL):
    return x509.load_der_x509_crl(server.crls.latest("issuing", None, scope).crl)


def value(thing, kind):
    return thing.extensions.get_extension_for_class(kind).value


def lists(crl, record):
    return crl.get_revoked_certificate_by_serial_number(record.serial)


def due(server):
    return {
        (one.authority, one.scope) for one in server.crls.issue_due() if one.authority == "issuing"
    }


def verdict(openssl, server, folder, record, *scopes, deltas=False):
    """Ask openssl whether a certificate is good, by these CRLs and that of the root."""
    pem = folder / "leaf.pem"
    pem.write_bytes(x509.load_der_x509_certificate(record.certificate).public_bytes(Encoding.PEM))
    chain, crls = folder / "chain.pem", folder / "crls.pem"
    keys = [server.authorities.key(name).certificate for name in ("root", "issuing")]
    chain.write_bytes(b"".join(one.public_bytes(Encoding.PEM) for one in keys))
    server.crls.issue("root")
    found = [latest(server, scope) for scope in scopes]
    found.append(x509.load_der_x509_crl(server.crls.latest("root").crl))
    crls.write_bytes(b"".join(one.public_bytes(Encoding.PEM) for one in found))
    words = ["-extended_crl", "-use_deltas"] if deltas else ["-extended_crl"]
    at = str(int(server.clock().timestamp()))
    answer = subprocess.run(
        [
            *(openssl, "verify", "-crl_check_all", *words, "-attime", at),
            *("-CAfile", chain, "-CRLfile", crls, pem),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    return answer.returncode, answer.stdout + answer.stderr


class Elsewhere:
    """A root whose key is not on the server."""

    def __init__(self, at, name="Offline Root"):
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        self.at = at
        public = self.key.public_key()
        self.certificate = (
            x509.CertificateBuilder(self.name, self.name, public, 1)
            .not_valid_before(at - timedelta(days=1))
            .not_valid_after(at + timedelta(days=3000))
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
            .sign(self.key, hashes.SHA256())
        )

    def crl(self, number, *serials, at=None, days=7, extensions=()):
        at = at or self.at
        builder = x509.CertificateRevocationListBuilder(self.name, at, at + timedelta(days=days))
        for serial in serials:
            entry = x509.RevokedCertificateBuilder(serial, at - timedelta(hours=1))
            reason = x509.CRLReason(x509.ReasonFlags.superseded)
            builder = builder.add_revoked_certificate(
                entry.add_extension(reason, critical=False).build()
            )
        identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key())
        builder = builder.add_extension(identifier, critical=False)
        if number is not None:
            builder = builder.add_extension(x509.CRLNumber(number), critical=False)
        for one in extensions:
            builder = builder.add_extension(one, critical=True)
        return builder.sign(self.key, hashes.SHA256()).public_bytes(Encoding.DER)


def elsewhere_on(server):
    """Return a root elsewhere that a server serves, under a name of its own."""
    made = Elsewhere(server.clock(), f"Offline {server.clock():%Y%m%d%H%M}")
    made.authority = f"offline-{server.clock():%Y%m%d%H%M}"
    plan = AuthorityPlan(
        made.authority,
        CaContent(x509.Name([])),
        "ec-p256",
        KeyReference("software", "none"),
        "ecdsa-sha256",
    )
    server.ceremony.import_existing(plan, [made.certificate], "test", keyless=True)
    return made
