"""Every starter reads, is explained line by line, and gives certificates without a fault."""

import importlib.util
from ipaddress import ip_address

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, mldsa, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from pikaserver.api.errors import NotFound, RequestRejected
from pikaserver.api.issuance import EnrollmentRequest, Issued, Requester, Severity
from pikaserver.asn1.csr import read_csr
from pikaserver.authority.linting import built_in_lints, lint
from pikaserver.authority.templates.documents import read_template
from pikaserver.authority.templates.starters import STARTERS, starter, starters
from pikaserver.testing.servers import make_server

# What a requester of each starter would ask for; the rest asks for a common name alone.
NAMES = {
    # Not a wildcard: RFC 5280 leaves their meaning open, so pkilint takes them for a fault.
    "web": [x509.DNSName("www.example.com"), x509.IPAddress(ip_address("10.0.0.1"))],
    "smime": [x509.RFC822Name("ann@example.com")],
    "vpn": [x509.DNSName("vpn.example.com")],
    "kubernetes": [x509.DNSName("worker-1.example.com")],
    "mqtt-broker": [x509.DNSName("mqtt.example.com")],
    "device": [x509.DNSName("plc-21.example.com")],
}
COMMON_NAMES = {
    "web": "www.example.com",
    "vpn": "vpn.example.com",
    "mqtt-broker": "mqtt.example.com",
    "kubernetes": "system:node:worker-1.example.com",
}
KEYS = {
    "rsa-3072": lambda: rsa.generate_private_key(65537, 3072),
    "ec-p256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "ed25519": ed25519.Ed25519PrivateKey.generate,
    "ml-dsa-65": mldsa.MLDSA65PrivateKey.generate,
}
FAMILIES = [
    (name, key_type)
    for name in STARTERS
    for key_type in KEYS
    if key_type in read_template(starter(name), name=name, version=1).key_types
]
HAS_PKILINT = importlib.util.find_spec("pkilint") is not None


@pytest.fixture(scope="module")
def keys():
    return {key_type: make() for key_type, make in KEYS.items()}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with make_server(tmp_path_factory.mktemp("starters") / "data") as made:
        yield made


def request(name, key, *, subject=None, names=None):
    common_name = COMMON_NAMES.get(name, "Example 1") if subject is None else subject
    builder = x509.CertificateSigningRequestBuilder().subject_name(
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    )
    names = NAMES.get(name, []) if names is None else names
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    hashed = (
        hashes.SHA256() if isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) else None
    )
    csr = read_csr(builder.sign(key, hashed).public_bytes(Encoding.DER))
    return EnrollmentRequest(csr, Requester("cli:test", "operator"), name, "cli")


@pytest.mark.parametrize("name", STARTERS)
def test_a_starter_reads_and_each_of_its_lines_is_explained(name):
    """A newcomer reads what every option means where it stands."""
    document = starter(name)

    template = read_template(document, name=name, version=1)

    assert template.enabled
    assert template.description
    lines = [line for line in document.splitlines() if line and not line.startswith("[")]
    explained = [
        at for at, line in enumerate(lines) if "#" in line or lines[at - 1].startswith("#")
    ]
    assert list(range(len(lines))) == explained
    assert max(map(len, lines)) <= 175


@pytest.mark.parametrize(("name", "key_type"), FAMILIES)
def test_a_certificate_of_each_starter_has_no_fault(server, keys, name, key_type):
    """Zero findings of our own lints, and zero errors of pkilint, for each family of keys."""
    issued = server.enroll(request(name, keys[key_type]))

    assert isinstance(issued, Issued)
    leaf, above = (
        x509.load_der_x509_certificate(der) for der in (issued.certificate, issued.chain[0])
    )
    findings = lint(leaf, above, built_in_lints(server.clock))
    # A P-256 authority above an ML-DSA key is what the test set up, and is worth a warning.
    assert {"IssuerIsNotWeaker"} >= {finding.lint for finding in findings}


@pytest.mark.skipif(
    not HAS_PKILINT, reason="pkilint is not installed: pip install pikaserver[lint]"
)
@pytest.mark.parametrize(("name", "key_type"), FAMILIES)
def test_pkilint_finds_no_error(server, keys, name, key_type):
    """An independent judge of RFC 5280 and of the key types' RFCs."""
    from pikaserver.authority.pkilint_adapter import pkilint  # noqa: PLC0415 - optional

    issued = server.enroll(request(name, keys[key_type]))

    for certificate in (issued.certificate, *issued.chain):
        assert [] == [each for each in pkilint(certificate) if each.severity is Severity.ERROR]


@pytest.mark.skipif(
    not HAS_PKILINT, reason="pkilint is not installed: pip install pikaserver[lint]"
)
def test_pkilint_finds_what_is_wrong(certificates):
    """The adapter hands on what pkilint says."""
    from pikaserver.authority.pkilint_adapter import pkilint  # noqa: PLC0415 - optional

    draft = certificates.authority(basic=certificates.plain(x509.BasicConstraints(True, 1)))  # noqa: FBT003 - cryptography's order

    found = pkilint(draft.public_bytes(Encoding.DER))

    assert any(each.severity is Severity.ERROR and "critical" in each.lint for each in found)


@pytest.mark.parametrize(
    ("name", "subject", "names"),
    [
        ("device", "plc-21", [x509.RFC822Name("ann@example.com")]),
        ("device", "plc-21", [x509.UniformResourceIdentifier("urn:dev:1")]),
        ("web", "A server", [x509.DNSName("www.example.com")]),
        ("client", "ann", [x509.RFC822Name("ann@example.com")]),
        ("smime", "Ann", []),
        ("kubernetes", "system:node:a", []),
    ],
)
def test_starters_refuse_what_they_are_not_for(server, keys, name, subject, names):
    """Devices have no mailboxes, servers no free names, mail certificates an address."""
    with pytest.raises(RequestRejected):
        server.enroll(request(name, keys["ec-p256"], subject=subject, names=names))


def test_authorities_can_have_other_names():
    """The starter names the ones that the first start makes; an operator may have others."""
    assert (
        "plant-ca"
        == read_template(starter("web", issuing="plant-ca"), name="web", version=1).authority
    )
    assert "top" == read_template(starter("subca", root="top"), name="subca", version=1).authority
    assert set(STARTERS) == set(starters())
    with pytest.raises(NotFound, match="there is no starter 'wbe'"):
        starter("wbe")
