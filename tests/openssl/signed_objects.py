"""What a key signs here, each object as small as it can be."""

from datetime import UTC, datetime, timedelta

from cryptography import x509

from pikaserver.api.certificates import RevocationReason
from pikaserver.asn1 import crl, der, ocsp_writing
from pikaserver.asn1.csr import assemble_csr, request_info
from pikaserver.asn1.digests import digest
from pikaserver.asn1.identifiers import key_identifier
from pikaserver.asn1.signed_data import DATA, Signed, digest_of, signed_attributes, signed_data
from pikaserver.asn1.signing_certificates import signing_certificate_v2
from pikaserver.asn1.time_stamps import write_imprint
from pikaserver.asn1.tst_info import TST_INFO, TstInfo, tst_info

CONTENT = b"what is signed"
START = datetime(2026, 1, 1, tzinfo=UTC)
NAME = x509.Name.from_rfc4514_string("CN=Signer,O=Example")


def request(signer):
    """Return a CSR of ours in DER."""
    info = request_info(NAME, signer.public_key, [])
    return assemble_csr(info, signer.name, signer.sign(info))


def revocations(signer):
    """Return a CRL of ours in DER, with one entry."""
    issuer, end = NAME.public_bytes(), START + timedelta(days=3000)
    head = crl.CrlHead(issuer, signer.name, START, end, 1, key_identifier(signer.public_key))
    entries = crl.in_memory([crl.entry(4712, START, RevocationReason.SUPERSEDED)])
    signature = signer.sign(b"".join(crl.tbs_pieces(head, entries)))
    return b"".join(crl.crl_pieces(head, entries, signature))


def stamp(signer):
    """Return a time-stamp of ours about the content, without the response around it."""
    imprint = write_imprint("sha256", digest("sha256", CONTENT))
    info = tst_info(TstInfo("1.2.3.4", imprint, 17, START + timedelta(days=1)))
    hashed = digest(digest_of(signer.name), info)
    attributes = signed_attributes(TST_INFO, hashed, signing_certificate_v2(signer.certificate))
    signed = Signed(signer.certificate, signer.name, attributes, signer.sign(attributes))
    return signed_data(TST_INFO, info, signed, [signer.certificate])


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
