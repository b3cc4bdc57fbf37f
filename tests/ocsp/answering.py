"""A throw-away authority that gives OCSP answers, good and bad."""

from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID

from pikaserver.asn1.certificate import public_key_of
from pikaserver.asn1.ocsp import write_nonce
from pikaserver.asn1.ocsp_writing import (
    GOOD,
    by_key,
    response,
    response_data,
    signed_part,
    single_response,
)
from pikaserver.testing.clock import CountedEntropy
from pikaserver.testing.throw_away import ThrowAwayAuthority, distinguished_name
from pikaserver_ocsp.checking import Question

NOW = datetime(2026, 1, 2, 12, tzinfo=UTC)
DAY = timedelta(days=1)
RESPONDER = (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.OCSP_SIGNING]), False)
NO_CHECK = (x509.OCSPNoCheck(), False)


class Ca:
    """An authority, a responder that it certified, and answers of both."""

    def __init__(self, now=NOW, name="ca"):
        self.now = now
        self.authority = ThrowAwayAuthority(name, now, CountedEntropy(name))
        self.certificate = x509.load_der_x509_certificate(self.authority.certificate)
        self.responder_key = ec.generate_private_key(ec.SECP256R1())

    def delegate(self, *extensions, since=None, until=None, above=None):
        """Return a responder's certificate."""
        spki = self.responder_key.public_key().public_bytes(
            Encoding.DER, PublicFormat.SubjectPublicKeyInfo
        )
        return (above or self.authority).certify(
            spki,
            distinguished_name("responder"),
            since or self.now - DAY,
            until or self.now + DAY,
            extensions=extensions,
        )

    def question(self, serial=77, nonce=None):
        return Question(self.certificate, serial, "sha1", nonce)

    def answer(self, question, status=GOOD, *, nonce=None, signer=None, enclosed=(), **times):
        """Return a signed answer to a question."""
        this_update = times.get("this_update", self.now)
        single = single_response(
            question.cert_ids()[0].der,
            status,
            this_update,
            times.get("next_update", self.now + DAY),
        )
        key, spki = self.authority.key, self.authority.public_key
        if signer is not None:
            key, spki = signer, public_key_of(x509.load_der_x509_certificate(enclosed[-1]))
        extensions = [] if nonce is None else [write_nonce(nonce)]
        produced_at = times.get("produced_at", self.now)
        tbs = response_data(times.get("id") or by_key(spki), produced_at, [single], extensions)
        signature = key.sign(tbs, ec.ECDSA(hashes.SHA256()))
        return response(signed_part(tbs, "ecdsa-sha256", signature), enclosed)

    def delegated(self, question, enclosed, **more):
        """Return an answer that the responder signed."""
        return self.answer(question, signer=self.responder_key, enclosed=enclosed, **more)
