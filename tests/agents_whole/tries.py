"""All that a thief tries, each with the code and the words by which the agent refuses it."""

import hashlib
from dataclasses import replace
from ipaddress import ip_address

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID

from pikaserver.asn1 import der
from tests.agents_whole.thief import DAY, present
from tests.hsm_agent import made_structures as made

AUTHENTICODE = "1.3.6.1.4.1.311.2.1.4"

TRIES = {
    "a sub-CA of an issuing key": (
        lambda loot: loot.authority("devices"),
        ("kind", "this is of kind ca-cert"),
    ),
    "keyCertSign without CA:TRUE": (
        lambda loot: loot.leaf(usage=("digital_signature", "key_cert_sign")),
        ("kind", "ca-cert"),
    ),
    "a sub-CA of the root": (
        lambda loot: loot.authority("top"),
        ("approval-needed", "0 of 1 approvals"),
    ),
    "a CA with the root's own name": (
        lambda loot: loot.authority("top", subject=loot.thief.authorities["top"].subject),
        ("approval-needed", "0 of 1 approvals"),
    ),
    "the root again, without limits": (
        lambda loot: loot.own_again(),
        ("approval-needed", "0 of 1 approvals"),
    ),
    "the root again, for ever": (
        lambda loot: loot.own_again(not_after=present() + 9000 * DAY),
        ("policy", "longer than max-validity"),
    ),
    "the root again, under another name": (
        lambda loot: loot.own_again(subject=loot.name("CN=Evil"), issuer=loot.name("CN=Evil")),
        ("policy", "the subject is not that of this key's own certificate"),
    ),
    "ten years": (
        lambda loot: loot.leaf(not_after=present() + 3650 * DAY),
        ("policy", "longer than max-validity"),
    ),
    "last year": (
        lambda loot: loot.leaf(not_before=present() - 365 * DAY),
        ("policy", "longer ago than max-backdate"),
    ),
    "a foreign host": (lambda loot: loot.dns("www.bank.test"), ("policy", "www.bank.test")),
    "a host that ends alike": (
        lambda loot: loot.dns("evilexample.com"),
        ("policy", "evilexample.com"),
    ),
    "all hosts there are": (lambda loot: loot.dns("*.com"), ("policy", "*.com")),
    "a foreign host behind a good one": (
        lambda loot: loot.named(x509.DNSName("www.example.com"), x509.DNSName("bank.test")),
        ("policy", "bank.test"),
    ),
    "an address": (
        lambda loot: loot.named(x509.IPAddress(ip_address("10.0.0.1"))),
        ("policy", "10.0.0.1"),
    ),
    "a mailbox": (
        lambda loot: loot.named(x509.RFC822Name("root@bank.test")),
        ("policy", "root@bank.test"),
    ),
    "a user of Windows": (
        lambda loot: loot.named(made.upn("administrator@example.com")),
        ("policy", "administrator@example.com"),
    ),
    "a host in the common name": (
        lambda loot: loot.leaf(names=(), subject=loot.name("CN=www.bank.test")),
        ("policy", "www.bank.test"),
    ),
    "every purpose": (
        lambda loot: loot.leaf(purposes=(ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE,)),
        ("policy", "anyExtendedKeyUsage"),
    ),
    "no purpose, which is every one": (
        lambda loot: loot.leaf(purposes=None),
        ("policy", "no extended key usage"),
    ),
    "no key usage, which is every one": (
        lambda loot: loot.leaf(usage=None),
        ("policy", "no keyUsage"),
    ),
    "a foreign issuer": (
        lambda loot: loot.leaf(issuer=loot.name("CN=Bank Root")),
        ("policy", "the issuer is not the subject"),
    ),
    "another key's identifier": (
        lambda loot: loot.leaf(key_identifier=made.CA_IDENTIFIER),
        ("policy", "authorityKeyIdentifier"),
    ),
    "a leaf over the issuing key": (
        lambda loot: loot.leaf(public_key=loot.thief.authorities["devices"].public_key()),
        ("policy", "over the signing key itself"),
    ),
    "a second certificate of the same serial": (
        lambda loot: loot.leaf(serial=loot.issued),
        ("policy", "belongs to another certificate"),
    ),
    "an unknown critical extension": (
        lambda loot: loot.leaf(
            more=((x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3"), b"\x05\0"), True),)
        ),
        ("policy", "1.2.3"),
    ),
    "another algorithm than inside": (
        lambda loot: loot.thief.sign("devices", loot.thief.leaf("devices").tbs, "ecdsa-sha384"),
        ("policy", "was asked for"),
    ),
    "a digest": (
        lambda loot: loot.thief.sign("devices", hashlib.sha256(b"evil").digest()),
        ("kind", "of kind raw"),
    ),
    "any octets": (
        lambda loot: loot.thief.sign("devices", b"I owe you a million"),
        ("kind", "of kind raw"),
    ),
    "trailing octets": (
        lambda loot: loot.thief.sign("devices", loot.thief.leaf("devices").tbs + b"\0"),
        ("malformed", "1 octets follow"),
    ),
    "Authenticode": (
        lambda loot: loot.attributes(AUTHENTICODE),
        ("policy", "content type"),
    ),
    "Authenticode's content itself": (
        lambda loot: loot.thief.sign("devices", authenticode()),
        ("kind", "of kind raw"),
    ),
    "a time-stamp": (
        lambda loot: loot.thief.sign(
            "devices", made.stamped(made.tst_info()), content=made.tst_info()
        ),
        ("kind", "of kind tst"),
    ),
    "a time-stamp without what it stamps": (
        lambda loot: loot.attributes(made.TST_INFO),
        ("policy", "together with its TSTInfo only"),
    ),
    "a signed mail": (lambda loot: loot.attributes(made.DATA), ("policy", "content type")),
    "a CRL that forgets a serial": (
        lambda loot: loot.next_list([]),
        ("policy", "no more on the CRL"),
    ),
    "a CRL whose number goes back": (
        lambda loot: loot.list(1, [loot.revoked]),
        ("policy", "does not grow"),
    ),
    "a CRL for a year": (
        lambda loot: loot.next_list([loot.revoked], next_update=present() + 365 * DAY),
        ("policy", "max-next-update"),
    ),
    "a CRL of the past": (
        lambda loot: loot.next_list([loot.revoked], this_update=present() - 30 * DAY),
        ("policy", "thisUpdate goes back"),
    ),
    "a CRL of another issuer": (
        lambda loot: loot.next_list([loot.revoked], issuer=loot.name("CN=Bank").public_bytes()),
        ("policy", "the issuer is not the subject"),
    ),
    "an answer of OCSP for a year": (
        lambda loot: loot.thief.sign("devices", status(loot, 365)),
        ("policy", "max-validity"),
    ),
    "a request that came too late": (
        lambda loot: loot.thief.sign("devices", loot.thief.leaf("devices").tbs, expires=1),
        ("expired", "expired"),
    ),
    "a key that is not there": (
        lambda loot: loot.thief.sign("devices", loot.thief.leaf("devices").tbs, key=bytes(32)),
        ("unknown-key", "no key of that hash"),
    ),
    "one key more than max-keys": (
        lambda loot: loot.thief.generate("one-more"),
        ("policy", "max-keys"),
    ),
    "a key under rules of no profile": (
        lambda loot: loot.thief.generate("free", "everything"),
        ("policy", "is not one of [provision] profiles"),
    ),
    "a key outside of every store": (
        lambda loot: loot.thief.generate("../../etc/passwd"),
        ("unknown-key", "no store here"),
    ),
    "a key in the place of another": (
        lambda loot: loot.thief.generate("devices", "root"),
        ("exists", "another key already"),
    ),
    "a certificate of another subject": (
        lambda loot: loot.thief.put("devices", own(loot, "CN=Bank Issuing")),
        ("policy", "subject"),
    ),
    "a certificate over another key": (
        lambda loot: loot.thief.put("devices", made.CA_CERTIFICATE),
        ("policy", "key"),
    ),
    "no certificate": (lambda loot: loot.thief.put("devices", b"\x30\0"), ("policy", "")),
    "approval from afar as if at the host": (
        lambda loot: loot.thief.approve(bytes(32), "local", b""),
        ("policy", "at the agent itself"),
    ),
}


def own(loot, subject):
    """Return a CA certificate over the issuing key under another name."""
    key = loot.thief.authorities["devices"].public_key()
    return replace(made.AUTHORITY, subject=loot.name(subject), public_key=key).signed(
        made.OTHER_KEY
    )


def status(loot, days):
    """Return an OCSP answer that a revoked certificate is good, for so long."""
    issuer, now = loot.thief.authorities["devices"], present()
    twin_key = ec.generate_private_key(ec.SECP256R1())
    twin = replace(made.AUTHORITY, subject=issuer.subject, public_key=twin_key.public_key())
    twin = x509.load_der_x509_certificate(twin.signed(twin_key))
    issued = loot.thief.leaf("devices", serial=loot.revoked).signed(twin_key)
    builder = (
        ocsp.OCSPResponseBuilder()
        .add_response(
            cert=x509.load_der_x509_certificate(issued),
            issuer=twin,
            algorithm=hashes.SHA1(),  # noqa: S303 - the usual hash of a CertID
            cert_status=ocsp.OCSPCertStatus.GOOD,
            this_update=now,
            next_update=now + days * DAY,
            revocation_time=None,
            revocation_reason=None,
        )
        .responder_id(ocsp.OCSPResponderEncoding.HASH, twin)
    )
    # The builder wants to sign by itself; here the key is elsewhere.
    tbs = builder.sign(twin_key, hashes.SHA256()).tbs_response_bytes
    identifiers = (x509.SubjectKeyIdentifier.from_public_key(k) for k in keys_of(twin, issuer))
    before, after = (identifier.digest for identifier in identifiers)
    assert before in tbs
    return tbs.replace(before, after)


def keys_of(*certificates):
    return [certificate.public_key() for certificate in certificates]


def authenticode():
    """Return SpcIndirectDataContent: the digest of a program, as Windows has it signed."""
    program = der.sequence(der.oid("1.3.6.1.4.1.311.2.1.15"), der.sequence())
    digest = der.sequence(
        der.sequence(der.oid("2.16.840.1.101.3.4.2.1"), der.null()), der.octet_string(bytes(32))
    )
    return der.sequence(program, digest)
