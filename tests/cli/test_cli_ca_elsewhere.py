"""'pikaserver ca' where another CA signs, or an authority comes from elsewhere."""

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    pkcs12,
)

from tests.cli.shown import certificate_of


def sign(csr, key, name, *, days=100, ca=True, path_length=None):
    """Do what a CA elsewhere does with a CSR."""
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(csr.subject)
        .issuer_name(name)
        .public_key(csr.public_key())
        .serial_number(7)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=path_length), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(csr.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )


class OtherCa:
    """A root that this server knows nothing of."""

    def __init__(self, name="CN=Elsewhere"):
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name.from_rfc4514_string(name)
        builder = x509.CertificateSigningRequestBuilder().subject_name(self.name)
        self.certificate = sign(builder.sign(self.key, hashes.SHA256()), self.key, self.name)

    @property
    def pem(self):
        """The certificate in PEM."""
        return self.certificate.public_bytes(Encoding.PEM)


@pytest.fixture
def elsewhere():
    return OtherCa()


def test_another_ca_can_sign(shell, elsewhere):
    """A CSR goes out; the certificate and its chain come back, in whatever order."""
    csr = x509.load_pem_x509_csr(
        shell("ca", "create", "outer", "--csr", "--subject", "CN=Outer,O=Acme").octets
    )
    assert "waiting" in shell.json("ca", "show", "outer")["state"]
    assert csr == x509.load_pem_x509_csr(shell("ca", "csr", "outer").octets)

    certificate = sign(csr, elsewhere.key, elsewhere.name).public_bytes(Encoding.DER)
    files = shell.file("root.pem", elsewhere.pem), shell.file("outer.der", certificate)
    row = shell.json("ca", "import-signed", "outer", *files)

    assert ("enabled", "CN=Elsewhere") == (row["state"], row["issuer"])
    chain = x509.load_pem_x509_certificates(shell("ca", "export", "outer", "--chain").octets)
    assert ["CN=Outer,O=Acme", "CN=Elsewhere"] == [one.subject.rfc4514_string() for one in chain]


def test_what_is_signed_elsewhere_is_renewed_and_rekeyed_there(shell, elsewhere):
    """Renewal points to the CSR; a new key waits, and the old one goes on until then."""
    other = shell.file("root.pem", elsewhere.pem)

    def sign_and_import():
        csr = x509.load_pem_x509_csr(shell("ca", "csr", "abroad").octets)
        signed = sign(csr, elsewhere.key, elsewhere.name).public_bytes(Encoding.PEM)
        shell("ca", "import-signed", "abroad", shell.file("abroad.pem", signed), other)
        return csr.public_key()

    shell("ca", "create", "abroad", "--csr", "--subject", "CN=Abroad")
    first = sign_and_import()
    renewal = shell.try_("ca", "renew", "abroad")
    hint = shell("ca", "rekey", "abroad").errors
    waiting = shell.json("ca", "show", "abroad")["waiting"]
    before = certificate_of(shell, "abroad").public_key()
    second = sign_and_import()

    assert (7, True) == (renewal.code, "ca import-signed" in renewal.errors)
    assert "ca csr abroad" in hint
    assert "ca import-signed" in waiting
    assert "waiting" not in shell.json("ca", "show", "abroad")
    assert first == before != second == certificate_of(shell, "abroad").public_key()


def test_a_certificate_that_is_no_ca_is_not_taken(shell, elsewhere):
    """The check of the path says why."""
    csr = x509.load_pem_x509_csr(
        shell("ca", "create", "leaf", "--csr", "--subject", "CN=Leaf").octets
    )
    signed = sign(csr, elsewhere.key, elsewhere.name, ca=False).public_bytes(Encoding.PEM)

    answer = shell.try_(
        "ca", "import-signed", "leaf", shell.file("leaf.pem", signed + elsewhere.pem)
    )

    assert (1, True) == (answer.code, "not one of a CA" in answer.errors)


@pytest.mark.parametrize("form", ["pem", "encrypted", "p12"])
def test_an_authority_moves_in_with_its_key(shell, form):
    """The key comes as PKCS#8, open or encrypted, or with its certificate as PKCS#12."""
    other, secret = OtherCa(f"CN=Moved {form}"), shell.file("secret", "correct horse\n")
    seal = NoEncryption() if form == "pem" else BestAvailableEncryption(b"correct horse")
    words = ["--passphrase-file", secret] if form != "pem" else []
    if form == "p12":
        octets = pkcs12.serialize_key_and_certificates(
            b"x", other.key, other.certificate, None, seal
        )
    else:
        octets = other.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, seal)
        words += ["--certificate", shell.file("moved.crt", other.pem)]

    row = shell.json(
        *("ca", "import", f"moved-{form}", "--key-file", shell.file(f"moved.{form}", octets)),
        *words,
    )

    assert f"CN=Moved {form}" == row["subject"]
    assert other.certificate == certificate_of(shell, f"moved-{form}")


def test_the_same_ca_does_not_move_in_twice(shell):
    """Each of the two would sign CRLs that lack what the other one revoked."""
    other = OtherCa("CN=Only one")
    key = other.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    words = ("--key-file", shell.file("one.key", key), "--certificate")
    words = (*words, shell.file("one.pem", other.pem))
    shell("ca", "import", "once", *words)

    answer = shell.try_("ca", "import", "twice", *words)

    assert 7 == answer.code
    assert "this CA is here already: authority 'once'" in answer.errors
    assert "software:twice-1" not in {row["key"] for row in shell.json("key", "list")}


def test_a_key_without_its_certificate_is_not_kept(shell, elsewhere):
    """So the next attempt finds the name free."""
    key = elsewhere.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    words = ("ca", "import", "lost", "--key-file", shell.file("lost.key", key))
    wrong = shell.file("wrong.pem", OtherCa().pem)

    assert 1 == shell.try_(*words, "--certificate", wrong).code

    assert "software:lost-1" not in {row["key"] for row in shell.json("key", "list")}
    shell(*words, "--certificate", shell.file("right.pem", elsewhere.pem))


def test_a_cross_certificate_binds_another_ca(shell, elsewhere):
    """Its key and name, under our root."""
    other = shell.file("other.pem", elsewhere.pem)

    octets = shell("ca", "cross-sign", "root", "--certificate", other).octets

    cross = x509.load_pem_x509_certificate(octets)
    assert elsewhere.certificate.public_key() == cross.public_key()
    assert certificate_of(shell, "root").subject == cross.issuer
    assert 2 == shell.try_("ca", "cross-sign", "root").code
