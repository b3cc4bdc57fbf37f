"""A SCEP client whose every key operation is openssl's; ours are only tags and lengths."""

import subprocess
from pathlib import Path

from pikaserver.asn1 import der
from pikaserver.asn1 import scep_attributes as attributes
from pikaserver.asn1.certificate import issuer_and_serial
from pikaserver.asn1.digests import DIGEST_OIDS
from pikaserver.asn1.identifiers import identifier
from pikaserver.asn1.signed_data import CONTENT_TYPE, DATA, MESSAGE_DIGEST, SIGNED_DATA, attribute
from pikaserver.asn1.weak_signatures import MD5_OID

KEYS = {
    "rsa": ["rsa:2048"],
    "ec": ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"],
}
_SIGNATURES = {
    "rsa": identifier("1.2.840.113549.1.1.1", der.null()),
    "ec": identifier("1.2.840.10045.4.3.2"),
}
_DIGESTS = {**DIGEST_OIDS, "md5": MD5_OID}
_CONFIGURATION = """[req]
distinguished_name = name
attributes = attributes
prompt = no
[name]
CN = {name}
[attributes]
challengePassword = {password}
"""


class OpensslDevice:
    """A client with a key and a certificate in files."""

    def __init__(self, openssl, folder: Path, kind="rsa", name="plc-ssl"):
        self._openssl, self._folder, self.kind, self.name = openssl, folder, kind, name
        self.run(
            "req", "-x509", "-new", "-newkey", *KEYS[kind], "-noenc", "-keyout", "key.pem",
            "-subj", f"/CN={name}", "-days", "2", "-out", "cert.pem",
        )  # fmt: skip

    def run(self, *words, octets=b""):
        done = subprocess.run(
            [self._openssl, *words],
            input=octets,
            capture_output=True,
            cwd=self._folder,
            check=False,
        )
        assert 0 == done.returncode, (words, done.stderr.decode())
        return done.stdout

    @property
    def certificate(self):
        return self.run("x509", "-in", "cert.pem", "-outform", "DER")

    @certificate.setter
    def certificate(self, octets):
        (self._folder / "cert.pem").write_bytes(der.write_pem("CERTIFICATE", octets))

    def csr(self, password=None, *words):
        configuration = _CONFIGURATION.format(name=self.name, password=password)
        if password is None:
            configuration = configuration.replace("challengePassword = None\n", "")
        (self._folder / "req.cnf").write_text(configuration)
        words = ("-config", "req.cnf", "-outform", "DER", *words)
        return self.run("req", "-new", "-key", "key.pem", *words)

    def seal(self, content, certificate, *words):
        (self._folder / "to.pem").write_bytes(der.write_pem("CERTIFICATE", certificate))
        words = words or ("-aes128",)
        command = ["cms", "-encrypt", "-binary", "-outform", "DER", *words[:1], "-recip", "to.pem"]
        return self.run(*command, *words[1:], octets=content)

    def message(self, kind, envelope, transaction="ssl", hash_name="sha256"):
        """Return a pkiMessage; its attributes are hashed and signed by openssl."""
        hashed = self.run("dgst", f"-{hash_name}", "-binary", octets=envelope)
        octets = der.set_of(
            attribute(CONTENT_TYPE, der.oid(DATA)),
            attribute(MESSAGE_DIGEST, der.octet_string(hashed)),
            attributes.printable(attributes.MESSAGE_TYPE, kind),
            attributes.printable(attributes.TRANSACTION_ID, transaction),
            attributes.nonce(attributes.SENDER_NONCE, self.run("rand", "16")),
        )
        signature = self.run("dgst", f"-{hash_name}", "-sign", "key.pem", octets=octets)
        certificate, algorithm = self.certificate, identifier(_DIGESTS[hash_name])

        info = der.sequence(
            der.integer(1),
            issuer_and_serial(certificate),
            algorithm,
            b"\xa0" + octets[1:],
            _SIGNATURES[self.kind],
            der.octet_string(signature),
        )
        content = der.sequence(der.oid(DATA), der.context(0, der.octet_string(envelope)))
        data = der.sequence(
            der.integer(1),
            der.set_of(algorithm),
            content,
            der.context(0, certificate),
            der.set_of(info),
        )
        return der.sequence(der.oid(SIGNED_DATA), der.context(0, data))

    def verified(self, reply, chain):
        """Return the content of a CertRep that openssl verifies up to the root."""
        (self._folder / "chain.pem").write_bytes(
            b"".join(der.write_pem("CERTIFICATE", one) for one in chain)
        )
        return self.run(
            "cms", "-verify", "-binary", "-inform", "DER", "-CAfile", "chain.pem",
            "-purpose", "any", "-no_check_time", octets=reply,
        )  # fmt: skip

    def opened(self, envelope, password=None):
        """Return the certificates of an envelope, in PEM."""
        words = ["-inkey", "key.pem", "-recip", "cert.pem"]
        if password is not None:
            words = ["-pwri_password", password]
        return self.run("cms", "-decrypt", "-binary", "-inform", "DER", *words, octets=envelope)

    def certificate_in(self, inside):
        """Return the certificate of a certs-only message, DER."""
        pem = self.run("pkcs7", "-inform", "DER", "-print_certs", octets=inside)
        return self.run("x509", "-outform", "DER", octets=pem)
