"""Good inputs of every kind, made in code: what mutation starts from."""

import base64
from datetime import UTC, datetime, timedelta
from functools import cache
from ipaddress import ip_address

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, mldsa, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    pkcs12,
)
from cryptography.x509.oid import AttributeOID, ExtendedKeyUsageOID, NameOID

from pikaserver.asn1 import der
from pikaserver.asn1.cms import certificates_only
from pikaserver.asn1.names import UPN
from pikaserver.authority.templates.starters import starters

PASSPHRASE = b"sesame"
_MOMENT = datetime(2026, 5, 1, tzinfo=UTC)

NAMES = (
    x509.DNSName("www.example.com"),
    x509.DNSName("*.plant.example"),
    x509.DNSName("xn--bcher-kva.example"),
    x509.IPAddress(ip_address("192.0.2.1")),
    x509.IPAddress(ip_address("2001:db8::1")),
    x509.RFC822Name("anna@example.com"),
    x509.UniformResourceIdentifier("https://example.com/a?b"),
    x509.OtherName(UPN, der.element(0x0C, b"anna@realm.example")),
    x509.RegisteredID(x509.ObjectIdentifier("1.3.6.1.4.1.1")),
    x509.DirectoryName(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "x")])),
)


def subject() -> x509.Name:
    """Return a name with attributes of several kinds."""
    return x509.Name(
        [
            x509.NameAttribute(NameOID.COUNTRY_NAME, "CH"),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Zürich Büro"),
            x509.NameAttribute(NameOID.COMMON_NAME, "www.example.com"),
        ]
    )


@cache
def keys() -> tuple[object, ...]:
    """Return one private key of each family."""
    return (
        ec.generate_private_key(ec.SECP256R1()),
        rsa.generate_private_key(65537, 2048),
        ed25519.Ed25519PrivateKey.generate(),
        mldsa.MLDSA44PrivateKey.generate(),
    )


def _hash(key: object) -> hashes.HashAlgorithm | None:
    return (
        hashes.SHA256() if isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) else None
    )


@cache
def requests() -> list[bytes]:
    """Return CSRs in DER: few and many names, a challenge, wishes that nobody grants."""
    builder = x509.CertificateSigningRequestBuilder(subject())
    made = [builder.sign(key, _hash(key)) for key in keys()]
    key = keys()[0]
    builder = builder.add_extension(x509.SubjectAlternativeName(NAMES), critical=False)
    made.append(builder.sign(key, hashes.SHA256()))
    builder = (
        builder.add_extension(x509.BasicConstraints(ca=True, path_length=3), critical=True)
        .add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE]), critical=True
        )
        .add_extension(
            x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3"), b"\x05\x00"), critical=False
        )
        .add_attribute(AttributeOID.CHALLENGE_PASSWORD, b"sesame")
    )
    made.append(builder.sign(key, hashes.SHA256()))
    empty = x509.CertificateSigningRequestBuilder(x509.Name([]))
    for name in NAMES:
        san = x509.SubjectAlternativeName([name])
        made.append(empty.add_extension(san, critical=True).sign(key, hashes.SHA256()))
    return [csr.public_bytes(Encoding.DER) for csr in made]


@cache
def request_infos() -> list[bytes]:
    """Return what of the CSRs with the first key is signed."""
    return [
        csr.tbs_certrequest_bytes
        for csr in map(x509.load_der_x509_csr, requests())
        if csr.public_key() == keys()[0].public_key()  # type: ignore[attr-defined]  # a private key
    ]


@cache
def certificates() -> list[bytes]:
    """Return certificates in DER, one of an authority with all extensions."""
    key = keys()[0]
    plain = (
        x509.CertificateBuilder(subject(), subject())
        .public_key(key.public_key())
        .serial_number(2**140 + 1)
        .not_valid_before(_MOMENT)
        .not_valid_after(_MOMENT + timedelta(days=365))
    )
    url = x509.UniformResourceIdentifier("http://example.com/x")
    full = (
        plain.add_extension(x509.BasicConstraints(ca=True, path_length=1), critical=True)
        .add_extension(x509.SubjectAlternativeName(NAMES), critical=False)
        .add_extension(
            x509.NameConstraints(NAMES[:1], [x509.DNSName("bad.example")]), critical=True
        )
        .add_extension(
            x509.CRLDistributionPoints([x509.DistributionPoint([url], None, None, None)]),
            critical=False,
        )
        .add_extension(
            x509.CertificatePolicies(
                [x509.PolicyInformation(x509.ObjectIdentifier("1.2.3.4"), ["http://example.com"])]
            ),
            critical=False,
        )
        .add_extension(x509.SubjectKeyIdentifier(b"12345678"), critical=False)
        .add_extension(x509.TLSFeature([x509.TLSFeatureType.status_request]), critical=False)
    )
    return [one.sign(key, hashes.SHA256()).public_bytes(Encoding.DER) for one in (plain, full)]


@cache
def bags() -> list[bytes]:
    """Return certs-only CMS messages in DER."""
    return [certificates_only(certificates()), certificates_only(certificates()[:1])]


@cache
def pems() -> list[bytes]:
    """Return text with blocks of several kinds."""
    blocks = [der.write_pem("CERTIFICATE REQUEST", one) for one in requests()[:2]]
    blocks += [der.write_pem("CERTIFICATE", one) for one in certificates()]
    blocks += [der.write_pem("PKCS7", one) for one in bags()]
    return [*blocks, b"note\n" + b"note\n".join(blocks)]


@cache
def key_files() -> list[bytes]:
    """Return private keys in all forms, some behind a passphrase."""
    made = []
    for key in keys():
        pkcs8 = PrivateFormat.PKCS8
        made += [
            key.private_bytes(encoding, pkcs8, NoEncryption())
            for encoding in (Encoding.DER, Encoding.PEM)
        ]
    key = keys()[0]
    hidden = BestAvailableEncryption(PASSPHRASE)
    for form in (PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL):
        made += [key.private_bytes(Encoding.PEM, form, one) for one in (NoEncryption(), hidden)]
    made.append(key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, hidden))
    certificate = x509.load_der_x509_certificate(certificates()[0])
    quick = PrivateFormat.PKCS12.encryption_builder().kdf_rounds(1).build(PASSPHRASE)
    made += [
        pkcs12.serialize_key_and_certificates(b"name", key, certificate, None, one)
        for one in (quick, NoEncryption())
    ]
    return made


@cache
def bodies() -> list[bytes]:
    """Return bodies of enrolments: base64 in one line and in many, PEM, DER."""
    csr = requests()[4]
    return [
        base64.b64encode(csr),
        base64.encodebytes(csr),
        der.write_pem("CERTIFICATE REQUEST", csr),
        csr,
    ]


def templates() -> list[bytes]:
    """Return the starters, and one that says as little as possible."""
    least = b'authority = "issuing"\n[key]\ntypes = ["ec-p256"]\n[validity]\nperiod = "1d"\n'
    return [document.encode() for document in starters().values()] + [least]


SETTINGS = [
    b"""\
[server]
hostname = "pki.example.org"
node = 7
base-urls = { est = "https://est.example.org" }
[data]
directory = "."
[plugins]
enabled = ["crl", "est"]
[plugins.est]
realm = "plant"
[listeners.public]
bind = "127.0.0.1:8080"
serve = ["health", "crl"]
[listeners.devices]
bind = "[::]:8443"
tls = { certificate = "auto" }
client-certificates = "optional"
trusted-proxies = ["10.0.0.0/8", "unix"]
proxy-certificate-header = "Client-Cert"
serve = ["est"]
[listeners.devices.limits]
connections = 10
[limits]
header-octets = 16384
[logs]
format = "json"
level = "info"
""",
    b'[listeners]\na = { bind = "unix:/run/x", serve = [] }\n',
    b"",
]

HEADS = [
    b"GET / HTTP/1.1\r\nHost: pki.example.org",
    b"POST /x HTTP/1.1\r\nHost: [::1]:8443\r\nContent-Length: 12\r\nExpect: 100-continue",
    b"PUT /x HTTP/1.1\r\nHost: a\r\nConnection: close, x\r\nContent-Type: application/pkcs10",
    b"GET http://pki.example.org/a%20b?c=d HTTP/1.1\r\nHost: pki.example.org\r\nX_Y: z",
    b"OPTIONS * HTTP/1.0\r\nTransfer-Encoding: chunked",
]
CHUNKS = [b"5\r\nhello\r\n0\r\n\r\n", b"a\r\n0123456789\r\n00000001\r\nx\r\n0\r\n\r\n"]
FORWARDED = [
    b"for=192.0.2.1;proto=https, for=10.0.0.1",
    b'for="[2001:db8::1]:4711";by=x;host="a b"',
    b"192.0.2.1, 10.0.0.1",
]
TEXTS = {
    "basic": [b"Basic YW5uYTpzZXNhbWU=", b"basic " + base64.b64encode("ä:ö".encode()), b"Bearer x"],
    "serial": [b"01D0B09B7B8F", b"0x01:d0:b0", b"serial=01D0B09B"],
    "dns": [b"www.example.com", b"*.example.com", b"xn--bcher-kva.example", b"localhost"],
    "email": [b"anna.b+c@example.com", b"a@b"],
    "upn": ["ännä@realm.example".encode()],
    "uri": [b"https://www.example.com:8443/a/b?c=d", b"urn:uuid:1-2", b"https://[2001:db8::1]/"],
    "subject": [b"CN=Root\\, one,O=Acme+OU=x,C=CH", b"/C=CH/O=Acme/CN=Root", b"CN=#0c0161"],
    "subtree": [b"dns:example.com", b"ip:10.0.0.0/8", b"email:.example.com", b"dirname:O=x,C=CH"],
    "pattern": [b"*.example.com", b"10.0.0.0/8", b"*@example.com", b"https://*.example.com/a*"],
    "key-reference": [b"software:issuing-1", b"agent:vault-a/piv-9c"],
    "duration": [b"90d", b"10y", b"0s"],
    "file-name": [b"issuing.g2.crl", b"root.chain.pem", b"a.b.cer"],
}
