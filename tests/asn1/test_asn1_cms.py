"""Certificates-only CMS, and files of certificates."""

import shutil
import subprocess
from datetime import UTC, datetime

import pytest
from asn1crypto import cms as asn1_cms
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7
from hypothesis import given, settings
from hypothesis import strategies as st

from pikaserver.api.errors import MalformedRequest
from pikaserver.asn1 import der
from pikaserver.asn1.chains import read_certificates
from pikaserver.asn1.cms import certificates_only, read_certificates_only


@pytest.fixture(scope="module")
def certificates(keys):
    """Three certificates whose octets are not in the order of a SET OF."""
    names = ["root.example", "a.example", "leaf-with-a-long-name.example"]
    key = keys["ec-p256"]
    made = []
    for name in names:
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject)
            .serial_number(len(name))
            .not_valid_before(datetime(2026, 1, 1, tzinfo=UTC))
            .not_valid_after(datetime(2027, 1, 1, tzinfo=UTC))
            .public_key(key.public_key())
        )
        made.append(builder.sign(key, hashes.SHA256()).public_bytes(Encoding.DER))
    made.sort(reverse=True)
    return made


def test_certificates_come_back_in_their_order(certificates):
    """The requester's own stands first, because clients take the first."""
    octets = certificates_only(certificates)

    der.check(octets)
    assert certificates == read_certificates_only(octets)


def test_others_read_it(certificates):
    """RFC 5652 section 5.2: no content, no signers."""
    octets = certificates_only(certificates)

    # Sorted, because cryptography warns before it reads an unsorted SET OF as BER.
    loaded = pkcs7.load_der_pkcs7_certificates(certificates_only(sorted(certificates)))
    parsed = asn1_cms.ContentInfo.load(octets, strict=True)["content"]
    assert set(certificates) == {each.public_bytes(Encoding.DER) for each in loaded}
    assert "v1" == parsed["version"].native
    assert 0 == len(parsed["signer_infos"])
    assert "data" == parsed["encap_content_info"]["content_type"].native


def test_openssl_reads_it(certificates):
    """``openssl pkcs7 -print_certs``, in the given order."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl is not installed")

    done = subprocess.run(
        [openssl, "pkcs7", "-inform", "DER", "-print_certs"],
        input=certificates_only(certificates),
        capture_output=True,
        check=True,
    )

    assert certificates == der.read_pem(done.stdout, "CERTIFICATE")


def test_files_of_every_kind_are_read(certificates):
    """PEM chains, PKCS#7 in PEM and DER, one certificate in DER."""
    bag = certificates_only(certificates)
    pem = b"subject=CN\n" + b"".join(der.write_pem("CERTIFICATE", each) for each in certificates)

    assert certificates == read_certificates(pem)
    assert certificates == read_certificates(bag)
    assert certificates == read_certificates(der.write_pem("PKCS7", bag))
    assert certificates[:1] == read_certificates(certificates[0])


@pytest.mark.parametrize(
    "octets",
    [
        certificates_only([]),
        der.sequence(der.oid("1.2.840.113549.1.7.1"), der.context(0, der.octet_string(b""))),
        der.sequence(der.oid("1.2.840.113549.1.7.2"), der.context(0, b"")),
        der.sequence(der.oid("1.2.840.113549.1.7.2"), der.context(0, der.null())),
        der.sequence(der.oid("1.2.840.113549.1.7.2")),
        certificates_only([der.sequence()]),
        bytes(1 << 21),
        b"",
    ],
)
def test_what_carries_no_certificate_is_refused(octets):
    """Each of these with `MalformedRequest`."""
    for read in (read_certificates_only, read_certificates):
        with pytest.raises(MalformedRequest):
            read(octets)


@settings(max_examples=200)
@given(data=st.data())
def test_bent_bags_raise_nothing_else(certificates, mutations, data):
    """Any input is read to the end or `MalformedRequest`."""
    octets = data.draw(mutations(certificates_only(certificates[:1])))
    for read in (read_certificates_only, read_certificates):
        try:
            read(octets)
        except MalformedRequest:
            continue
