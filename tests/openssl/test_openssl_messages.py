"""SLH-DSA and ML-DSA in CMS and OCSP: ours before OpenSSL and BouncyCastle, theirs before us."""

import subprocess
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509

from pikaserver.api.errors import PikaserverError, SignatureFaulty
from pikaserver.asn1 import certificate, der, ocsp_writing
from pikaserver.asn1.certificate import builder_public_key
from pikaserver.asn1.digests import digest
from pikaserver.asn1.identifiers import key_identifier
from pikaserver.asn1.ocsp_reading import read_response
from pikaserver.asn1.pem import write_pem
from pikaserver.asn1.signed_data import DATA, Signed, digest_of, signed_attributes, signed_data
from pikaserver.asn1.signed_data_reading import read_signed_data
from pikaserver_ocsp.checking import Question, verify_answer
from pikaserver_openssl.engine import Way
from pikaserver_tsa.verifying import trust_in, verified
from tests.openssl.bouncycastle import require_bouncycastle

CONTENT = b"what is signed"
START = datetime(2026, 1, 1, tzinfo=UTC)
NAME = x509.Name.from_rfc4514_string("CN=Signer,O=Example")
SETS = [
    f"{family}-{bits}{size}"
    for family in ("sha2", "shake")
    for bits in (128, 192, 256)
    for size in "sf"
]
KINDS = [*(f"slh-dsa-{one}" for one in SETS), "ml-dsa-44", "ml-dsa-65", "ml-dsa-87"]
"""All parameter sets of FIPS 204 and FIPS 205."""
THEIRS = [kind.upper() for kind in KINDS]
"""What BouncyCastle signs messages with, in its words."""


@pytest.fixture(scope="module")
def openssl(program, tmp_path_factory):
    """Run OpenSSL 3.5 in a folder for all of these tests."""
    folder = tmp_path_factory.mktemp("messages")

    def call(*words, check=True):
        done = subprocess.run([program, *words], cwd=folder, capture_output=True, check=False)
        assert not check or 0 == done.returncode, done.stderr.decode()
        return done.stdout + (b"" if check else done.stderr)

    call.folder = folder
    return call


@pytest.fixture(scope="module", params=KINDS)
def signer(request, in_process, openssl):
    """A key with a certificate that it signed itself; both lie in the folder."""
    kind = request.param
    pkcs8 = in_process.generate(kind)
    key = in_process.open(pkcs8)
    builder = (
        x509.CertificateBuilder(NAME, NAME)
        .public_key(builder_public_key(key.public_key))
        .serial_number(4711)
        .not_valid_before(START)
        .not_valid_after(START + timedelta(days=3650))
        .add_extension(x509.SubjectKeyIdentifier(key_identifier(key.public_key)), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    )
    tbs = certificate.tbs(builder, kind)
    own = certificate.assemble(tbs, kind, key.sign(tbs, Way()))
    (openssl.folder / f"{kind}.pem").write_bytes(write_pem("CERTIFICATE", own))
    (openssl.folder / f"{kind}.key").write_bytes(write_pem("PRIVATE KEY", pkcs8))

    class Signer:
        """What the tests need of it."""

        name = kind
        certificate = own
        public_key = key.public_key

        @staticmethod
        def sign(octets):
            return key.sign(octets, Way())

    return Signer


def message(signer):
    """Return SignedData of ours with the content inside."""
    attributes = signed_attributes(DATA, digest(digest_of(signer.name), CONTENT))
    signed = Signed(signer.certificate, signer.name, attributes, signer.sign(attributes))
    return signed_data(DATA, CONTENT, signed, [signer.certificate])


def answer(signer):
    """Return an OCSP response of ours; what it is about does not matter."""
    hashed = der.sequence(der.oid("1.3.14.3.2.26"), der.null())
    name, key = der.octet_string(bytes(20)), der.octet_string(bytes(20))
    about = der.sequence(hashed, name, key, der.integer(7))
    good = der.context(0, b"", constructed=False)
    single = ocsp_writing.single_response(about, good, START, START + timedelta(days=1))
    data = ocsp_writing.response_data(ocsp_writing.by_key(signer.public_key), START, [single])
    part = ocsp_writing.signed_part(data, signer.name, signer.sign(data))
    return ocsp_writing.response(part, [signer.certificate])


def test_openssl_and_bouncycastle_verify_what_we_signed(signer, openssl):
    """RFC 9814, RFC 9882, RFC 6960."""
    (openssl.folder / "message").write_bytes(message(signer))
    (openssl.folder / "answer").write_bytes(answer(signer))

    said = openssl(
        *("cms", "-verify", "-inform", "DER", "-in", "message"),
        *("-CAfile", f"{signer.name}.pem", "-purpose", "any"),
    )
    verdict = openssl(
        *("ocsp", "-respin", "answer", "-VAfile", f"{signer.name}.pem"),
        *("-issuer", f"{signer.name}.pem", "-serial", "7"),
        check=False,
    )

    assert b"Response verify OK" in verdict
    assert said == CONTENT
    judge = require_bouncycastle()
    assert "good cms:message\ngood ocsp:answer\n" == judge(
        openssl.folder, "cms:message", "ocsp:answer"
    )


def test_we_verify_what_openssl_signed(signer, openssl):
    """With the hash that it takes for this key; a changed content is refused."""
    (openssl.folder / "content").write_bytes(CONTENT)
    hashed = digest_of(signer.name)
    openssl(
        *("cms", "-sign", "-binary", "-in", "content", "-outform", "DER", "-out", "theirs"),
        *("-signer", f"{signer.name}.pem", "-inkey", f"{signer.name}.key"),
        *("-nodetach", "-md", hashed),
    )

    read = read_signed_data((openssl.folder / "theirs").read_bytes())

    read.verify(signer.certificate)
    assert CONTENT == read.content
    assert hashed == read.digest
    octets = bytearray((openssl.folder / "theirs").read_bytes())
    octets[-1] ^= 1
    with pytest.raises(SignatureFaulty):
        read_signed_data(bytes(octets)).verify(signer.certificate)


def test_we_verify_an_answer_of_openssls_responder(signer, openssl):
    """OCSP the other way round: about serial 7, for which the issuer itself answers."""
    (openssl.folder / "index").write_text("V\t491231235959Z\t\t07\tunknown\t/CN=x\n")
    own = f"{signer.name}.pem"
    openssl("ocsp", "-issuer", own, "-serial", "7", "-no_nonce", "-reqout", "question")
    openssl(
        *("ocsp", "-index", "index", "-CA", own, "-rsigner", own, "-rkey", f"{signer.name}.key"),
        *("-reqin", "question", "-respout", "theirs.ocsp", "-ndays", "1"),
    )

    assert signer.name == verified_answer(openssl.folder / "theirs.ocsp", signer.certificate)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Let BouncyCastle make certificates and messages."""
    folder = tmp_path_factory.mktemp("made")
    require_bouncycastle()(folder, *THEIRS, program="Maker")
    return folder


@pytest.mark.parametrize("name", THEIRS)
def test_we_verify_what_bouncycastle_signed(made, name):
    """CMS, an OCSP answer and a time-stamp, by each of its keys; nothing of another content."""
    own = (made / f"{name}.der").read_bytes()
    read = read_signed_data((made / f"{name}.cms").read_bytes())
    trust = trust_in([own], [])
    stamp = (made / f"{name}.tsr").read_bytes()

    read.verify(own)
    told = verified(lambda hashed: digest(hashed, CONTENT), stamp, trust)

    assert CONTENT == read.content
    assert name.lower() == verified_answer(made / f"{name}.ocsp", own)
    assert ("good", "sha256") == (told["state"], told["hash"])
    with pytest.raises(PikaserverError):
        verified(lambda hashed: digest(hashed, b"something else"), stamp, trust)


def verified_answer(file, issuer):
    """Return the algorithm of an OCSP answer that says that 7 is good."""
    _, basic = read_response(file.read_bytes())
    question = Question(x509.load_der_x509_certificate(issuer), 7, "sha1", None)
    found = verify_answer(basic, question, datetime.now(UTC))
    assert "good" == found.single.status
    return found.algorithm
