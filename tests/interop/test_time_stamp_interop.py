"""Time-stamps before tools that other people wrote; each verifies by its own means."""

import hashlib
import io
import re
import zipfile

import pytest
from asn1crypto import x509
from pyhanko.pdf_utils.generic import StreamObject
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.pdf_utils.writer import PageObject, PdfFileWriter
from pyhanko.sign.signers import PdfSignatureMetadata, SimpleSigner, sign_pdf
from pyhanko.sign.timestamps import HTTPTimeStamper
from pyhanko.sign.validation import validate_pdf_signature
from pyhanko_certvalidator import ValidationContext

from pikaserver.testing.openssl import require_ml_dsa_openssl
from pikaserver.testing.requirements import require_program
from tests.interop.portable_executable import portable_executable
from tests.interop.time_stamping import PASSPHRASE, UNITS, call, stamping_site
from tests.openssl.bouncycastle import require_bouncycastle

HASHES = ("sha256", "sha384", "sha512", "sha3-256")
CLASSIC = ["", *(unit for unit in UNITS if unit != "pq")]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    with stamping_site(tmp_path_factory.mktemp("stamping")) as made:
        yield made


@pytest.fixture(params=["of the system", "with ML-DSA"])
def openssl(request):
    if request.param == "with ML-DSA":
        return require_ml_dsa_openssl()
    return require_program("openssl", package="openssl")


def asked(site, openssl, unit="", *words):
    """Let openssl make a query, and curl send it."""
    site.file("report", b"what is stamped")
    query, reply = site.folder / "query.tsq", site.folder / "reply.tsr"
    call(openssl, "ts", "-query", "-data", "report", "-out", query, *words, cwd=site.folder)
    call(
        *(require_program("curl", package="curl"), "-fsS", "--data-binary", f"@{query}"),
        *("-H", "Content-Type: application/timestamp-query", site.url(unit), "-o", reply),
    )
    return query, reply


@pytest.mark.parametrize("unit", CLASSIC)
def test_openssl_verifies_stamps_of_each_unit(site, openssl, unit):
    """RSA and elliptic curves; with the certificates inside, only the root is needed."""
    query, reply = asked(site, openssl, unit, "-sha256", "-cert")

    told = call(openssl, "ts", "-verify", "-queryfile", query, "-in", reply, "-CAfile", site.root)

    assert "Verification: OK" in told


@pytest.mark.parametrize("name", HASHES)
def test_openssl_verifies_stamps_of_each_hash(site, openssl, name):
    """By the data itself, not by the query."""
    _, reply = asked(site, openssl, "", f"-{name}", "-cert", "-no_nonce")

    told = call(
        *(openssl, "ts", "-verify", "-data", "report", "-in", reply, "-CAfile", site.root),
        cwd=site.folder,
    )

    assert "Verification: OK" in told


def test_openssl_shows_what_is_in_a_stamp(site, openssl):
    """Policy, accuracy, a time with its fraction, the name of the unit."""
    _, reply = asked(site, openssl)

    told = call(openssl, "ts", "-reply", "-in", reply, "-text")

    assert "Status: Granted." in told
    assert "Policy OID: 1.3.6.1.4.1.32473.1.1" in told
    assert "Accuracy: 0x01 seconds" in told
    assert "TSA: DirName:/CN=Pikaserver Issuing CA Time-Stamping" in told
    assert re.search(r"Time stamp: \w+ +\d+ \d\d:\d\d:\d\d\.\d+ \d{4} GMT", told)


def test_openssl_shows_why_there_is_none(site, openssl):
    """PKIFailureInfo in its own words."""
    _, reply = asked(site, openssl, "", "-tspolicy", "1.2.3.4")

    told = call(openssl, "ts", "-reply", "-in", reply, "-text")

    assert "Status: Rejected." in told
    assert "the requested TSA policy is not supported" in told
    assert "the policy 1.2.3.4 is not one of ours" in told


def test_a_stamp_by_ml_dsa_verifies_as_cms(site):
    """OpenSSL's ts -verify has no ML-DSA yet, its cms -verify has (RFC 9882), and BouncyCastle."""
    openssl = require_ml_dsa_openssl()
    _, reply = asked(site, openssl, "pq", "-sha512", "-cert")
    token, info = site.folder / "token.der", site.folder / "info.der"
    call(openssl, "ts", "-reply", "-in", reply, "-token_out", "-out", token)

    told = call(
        *(openssl, "cms", "-verify", "-inform", "DER", "-in", token, "-out", info),
        *("-CAfile", site.root, "-purpose", "timestampsign"),
    )

    assert "successful" in told
    job = f"stamp:{reply.name}"
    assert f"good {job}\n" == require_bouncycastle()(reply.parent, job)
    assert hashlib.sha512(b"what is stamped").digest() in info.read_bytes()


def test_jarsigner_stamps_and_verifies_an_archive(site):
    """With -strict, so that a path that does not hold is an error."""
    programs = {
        name: require_program(name, package="default-jdk-headless")
        for name in ("jarsigner", "keytool")
    }
    stem = site.signer("code-signing")
    store = ("-keystore", f"{stem}.p12", "-storepass", PASSPHRASE)
    call(programs["keytool"], "-importcert", "-noprompt", *store, "-alias", "x", "-file", site.root)
    with zipfile.ZipFile(site.folder / "a.jar", "w") as archive:
        archive.writestr("META-INF/MANIFEST.MF", "Manifest-Version: 1.0\r\n\r\n")
        archive.writestr("a.txt", "what is signed")
    signed = site.folder / "signed.jar"

    call(
        *(programs["jarsigner"], *store, "-tsa", site.url("rsa"), "-tsadigestalg", "SHA-512"),
        *("-signedjar", signed, site.folder / "a.jar", "cn=code-signing"),
    )
    told = call(programs["jarsigner"], "-verify", "-strict", "-verbose", "-certs", *store, signed)

    assert 'Timestamped by "CN=Pikaserver Issuing CA Time-Stamping rsa" on' in told
    assert "Timestamp digest algorithm: SHA-512" in told
    assert "jar verified." in told


@pytest.mark.parametrize("option", ["-ts", "-t"])
@pytest.mark.parametrize("unit", ["", "rsa"])
def test_osslsigncode_stamps_and_verifies_a_program(site, option, unit):
    """By RFC 3161, and by the legacy protocol of Authenticode; CRLs are checked, too."""
    program = require_program("osslsigncode", package="osslsigncode")
    stem, name = site.signer("code-signing"), f"program{option}{unit}.exe"
    plain, signed = site.file("plain.exe", portable_executable()), site.folder / name

    call(
        *(program, "sign", "-certs", f"{stem}.pem", "-key", f"{stem}.key"),
        *(option, site.url(unit), "-in", plain, "-out", signed),
    )
    told = call(
        *(program, "verify", "-in", signed, "-CAfile", site.chain, "-TSA-CAfile", site.chain),
        *("-CRLfile", site.crl_file, "-TSA-CRLfile", site.crl_file),
    )

    assert "Timestamp Server Signature verification: ok" in told
    assert "Signature verification: ok" in told
    assert re.search(r"Timestamp time: \w+ +\d+ \d\d:\d\d:\d\d \d{4} GMT", told)


def pdf():
    """Return a PDF of one empty page."""
    writer, out = PdfFileWriter(), io.BytesIO()
    content = writer.add_object(StreamObject(stream_data=b""))
    writer.insert_page(PageObject(contents=content, media_box=(0, 0, 100, 100)))
    writer.write(out)
    return out


def test_pyhanko_signs_and_validates_a_pdf(site):
    """Its own path validation with hard-fail revocation, of the signer and of the unit."""
    stem = site.signer("document-signing")
    signer = SimpleSigner.load_pkcs12(f"{stem}.p12", passphrase=PASSPHRASE.encode())
    (root,) = site.certificates(site.root)

    signed = sign_pdf(
        IncrementalPdfFileWriter(pdf()),
        PdfSignatureMetadata(field_name="Signature", md_algorithm="sha256"),
        signer=signer,
        timestamper=HTTPTimeStamper(site.url()),
    )
    (signature,) = PdfFileReader(io.BytesIO(signed.getvalue())).embedded_signatures
    context = ValidationContext(
        trust_roots=[x509.Certificate.load(root)], crls=site.crls, revocation_mode="hard-fail"
    )
    status = validate_pdf_signature(
        signature, signer_validation_context=context, ts_validation_context=context
    )

    stamp = status.timestamp_validity
    assert (True, True, True) == (stamp.valid, stamp.intact, stamp.trusted)
    assert status.bottom_line
    assert abs((stamp.timestamp - status.signer_reported_dt).total_seconds()) < 60
