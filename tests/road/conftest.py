"""A whole server without sockets, made once, and requests for it."""

from collections.abc import Callable, Iterator

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from pikaserver.api.issuance import CertificationRequest
from pikaserver.asn1.csr import read_csr
from pikaserver.server import PkiServer
from pikaserver.testing.clock import FrozenClock
from pikaserver.testing.servers import make_server

MakeCsr = Callable[..., CertificationRequest]


@pytest.fixture(scope="module")
def clock() -> FrozenClock:
    return FrozenClock()


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, clock: FrozenClock
) -> Iterator[PkiServer]:
    """Root, issuing authority and all starters; one for the tests of a file and a database."""
    url = None
    if request.param == "postgresql":
        cluster = request.getfixturevalue("postgres")
        url = cluster.url(cluster.create_database())
    folder = tmp_path_factory.mktemp("road") / "data"
    with make_server(folder, clock=clock, database_url=url) as made:
        yield made


@pytest.fixture
def make_csr() -> MakeCsr:
    """Make a CSR: ``make_csr("a.example.test", names=[x509.DNSName(...)], key=...)``."""

    def make(common_name, *, names=None, key=None, extensions=()):
        key = key or ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
        builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
        if names is None:
            names = [x509.DNSName(common_name)]
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        for extension in extensions:
            builder = builder.add_extension(extension, critical=True)
        return read_csr(builder.sign(key, hashes.SHA256()).public_bytes(Encoding.DER))

    return make
