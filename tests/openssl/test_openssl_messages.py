"""SLH-DSA and ML-DSA in CMS and OCSP: ours before OpenSSL and BouncyCastle, theirs before us."""

import subprocess
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from pikaserver.api.errors import PikaserverError, SignatureFaulty
from pikaserver.asn1 import certificate
from pikaserver.asn1.algorithms import verify
from pikaserver.asn1.certificate import builder_public_key
from pikaserver.asn1.crl_reading import read_crl
from pikaserver.asn1.csr import read_csr, verify_possession
from pikaserver.asn1.digests import digest
from pikaserver.asn1.identifiers import key_identifier
from pikaserver.asn1.ocsp_reading import read_response
from pikaserver.asn1.pem import write_pem
from pikaserver.asn1.signed_data import digest_of
from pikaserver.asn1.signed_data_reading import read_signed_data
from pikaserver.asn1.time_stamp_responses import granted
from pikaserver_ocsp.checking import Question, verify_answer
from pikaserver_openssl.engine import Way
from pikaserver_tsa.verifying import trust_in, verified
from tests.openssl.bouncycastle import require_bouncycastle
from tests.openssl.signed_objects import (
    CONTENT,
    NAME,
    START,
    answer,
    message,
    request,
    revocations,
    stamp,
)

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
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING]), critical=True)
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


def test_openssl_and_bouncycastle_verify_every_object(signer, openssl):
    """Certificate, request, CRL and time-stamp: RFC 9881, RFC 9909, RFC 3161."""
    own = f"{signer.name}.pem"
    (openssl.folder / "csr").write_bytes(write_pem("CERTIFICATE REQUEST", request(signer)))
    (openssl.folder / "crl").write_bytes(write_pem("X509 CRL", revocations(signer)))
    token = stamp(signer)
    (openssl.folder / "token").write_bytes(token)
    (openssl.folder / "tsr").write_bytes(granted(token))

    told = openssl("verify", "-check_ss_sig", "-CAfile", own, own)
    told += openssl("req", "-verify", "-noout", "-in", "csr", check=False)
    told += openssl("crl", "-verify", "-noout", "-in", "crl", "-CAfile", own, check=False)
    # Its `ts` knows none of these algorithms yet; a time-stamp is a message like another.
    cms = ("cms", "-verify", "-inform", "DER", "-in", "token", "-CAfile", own, "-purpose", "any")
    info = openssl(*cms)

    assert f"{own}: OK" in told.decode()
    assert 2 == told.count(b"verify OK")
    assert digest("sha256", CONTENT) in info
    jobs = (f"certificate:{own}:{own}", "request:csr", f"crl:crl:{own}", "stamp:tsr")
    judge = require_bouncycastle()
    assert [f"good {job}" for job in jobs] == judge(openssl.folder, *jobs).splitlines()


CONFIGURATION = """[ca]
default_ca = theirs
[theirs]
database = empty
default_crl_days = 10
"""


def test_we_verify_requests_certificates_and_crls_of_openssl(signer, openssl):
    """PKCS#10, a certificate that its own key signed, and an empty list."""
    (openssl.folder / "empty").write_text("")
    (openssl.folder / "ca.cnf").write_text(CONFIGURATION)
    own = ("-cert", f"{signer.name}.pem", "-keyfile", f"{signer.name}.key")
    openssl("ca", "-gencrl", "-config", "ca.cnf", "-md", "default", *own, "-out", "theirs.crl")
    openssl("crl", "-in", "theirs.crl", "-outform", "DER", "-out", "theirs.crl.der")
    key = ("-key", f"{signer.name}.key", "-subj", "/CN=theirs", "-outform", "DER")
    openssl("req", "-new", *key, "-out", "theirs.csr")
    openssl("req", "-x509", *key, "-days", "10", "-out", "theirs.der")

    csr = read_csr((openssl.folder / "theirs.csr").read_bytes())
    found = certificate.read_certificate((openssl.folder / "theirs.der").read_bytes())

    read_crl((openssl.folder / "theirs.crl.der").read_bytes()).verify(signer.public_key)
    verify_possession(csr)
    assert signer.public_key == csr.public_key
    verify(signer.public_key, signer.name, found.signature, found.tbs_certificate_bytes)


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
    """Every object by each of its keys; nothing of another content."""
    own = (made / f"{name}.der").read_bytes()
    found = certificate.read_certificate(own)
    key = certificate.public_key_of(found)
    read = read_signed_data((made / f"{name}.cms").read_bytes())
    trust = trust_in([own], [])
    stamp = (made / f"{name}.tsr").read_bytes()

    verify(key, name.lower(), found.signature, found.tbs_certificate_bytes)
    verify_possession(read_csr((made / f"{name}.p10").read_bytes()))
    read_crl((made / f"{name}.crl").read_bytes()).verify(key)
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
