"""Composite keys: a whole life where the settings name the draft, and nothing where not."""

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509

from pikaserver.api.errors import RequestRejected
from pikaserver.api.issuance import EnrollmentRequest, Issued, Requester
from pikaserver.api.signing import KeyReference
from pikaserver.asn1.algorithms import key_type, verify
from pikaserver.asn1.certificate import (
    assemble,
    builder_public_key,
    inner_algorithm,
    is_signed_by,
    public_key_of,
    tbs,
)
from pikaserver.asn1.composite import DRAFT
from pikaserver.asn1.csr import assemble_csr, read_csr, request_info
from pikaserver.authority.templates.starters import starter
from pikaserver.signing.composite_keys import new_composite_key
from pikaserver.testing.damage import altered
from pikaserver.testing.servers import make_server
from pikaserver.testing.throw_away import distinguished_name

OPERATOR = Requester("cli:test", "operator")
KIND = "composite-ml-dsa-65-ec-p384"
START = datetime(2026, 1, 1, tzinfo=UTC)
SETTING = {"PIKASERVER__KEYS__ALLOW_DRAFT_ALGORITHMS": f'["{DRAFT}"]'}


@pytest.fixture(scope="module")
def open_server(tmp_path_factory):
    with make_server(tmp_path_factory.mktemp("drafts") / "data", environment=SETTING) as made:
        yield made


def wish():
    key = new_composite_key(KIND)
    info = request_info(distinguished_name("plc-21"), key.public_key, [])
    csr = read_csr(assemble_csr(info, KIND, key.sign(info)))
    return EnrollmentRequest(csr, OPERATOR, "device", "cli")


def let_them_in(server):
    document = starter("device").replace('"ml-dsa-87"]', f'"ml-dsa-87", "{KIND}"]')
    assert document != starter("device")
    server.templates.save("device", document, "test")


def test_where_the_draft_is_named_its_keys_are_certified(open_server):
    """A request that both halves sign, below a classical authority."""
    let_them_in(open_server)

    issued = open_server.enroll(wish())

    assert isinstance(issued, Issued)
    leaf = x509.load_der_x509_certificate(issued.certificate)
    assert KIND == key_type(public_key_of(leaf))


def test_where_the_draft_is_named_its_keys_sign(open_server):
    """Sealed, opened, and verified as any other key."""
    reference = KeyReference("software", "composite")
    backend = open_server.signers.backend(reference)
    spki = backend.generate(reference, KIND, exportable=True)

    signature = backend.open(reference, KIND).sign(b"octets")

    verify(spki, KIND, signature, b"octets")
    backend.remove_key(reference)


@pytest.mark.usefixtures("clock")
def test_without_the_setting_there_are_no_such_keys(tmp_path):
    """Neither certified nor made nor imported."""
    with make_server(tmp_path / "data") as server:
        let_them_in(server)
        reference = KeyReference("software", "composite")
        backend = server.signers.backend(reference)

        with pytest.raises(RequestRejected, match="allow-draft-algorithms"):
            server.enroll(wish())
        with pytest.raises(RequestRejected, match="allow-draft-algorithms"):
            backend.generate(reference, KIND, exportable=False)
        with pytest.raises(RequestRejected, match="allow-draft-algorithms"):
            backend.import_key(reference, new_composite_key(KIND).pkcs8, exportable=False)


def test_an_authority_may_stand_on_such_a_key(open_server, tmp_path):
    """Made by command, like any other; its certificate names the draft's algorithm inside."""
    from pikaserver.cli.main import run  # noqa: PLC0415 - one test only

    del open_server
    data = tmp_path / "data"
    with make_server(data, environment=SETTING):
        pass
    with pytest.MonkeyPatch.context() as patch:
        for name, value in SETTING.items():
            patch.setenv(name, value)
        made = ["ca", "create", "mixed", "--subject", "CN=Mixed", "--key-type", KIND]
        assert 0 == run([*made, "--data", str(data)])
        out = tmp_path / "mixed.der"
        words = ["ca", "export", "mixed", "--format", "der", "--out", str(out)]
        assert 0 == run([*words, "--data", str(data)])

    certificate = x509.load_der_x509_certificate(out.read_bytes())
    assert KIND == inner_algorithm(certificate.tbs_certificate_bytes)
    spki = public_key_of(certificate)
    verify(spki, KIND, certificate.signature, certificate.tbs_certificate_bytes)


def test_a_path_below_such_a_key_holds():
    """Cryptography knows no composites, so links are verified by us: no bent one is taken."""
    root, below = new_composite_key(KIND), new_composite_key("composite-ml-dsa-44-ed25519")
    name = distinguished_name("Mixed Root")
    made = []
    for subject, key in ((name, root), (distinguished_name("Mixed"), below)):
        builder = (
            x509.CertificateBuilder(name, subject)
            .public_key(builder_public_key(key.public_key))
            .serial_number(4711)
            .not_valid_before(START)
            .not_valid_after(START + timedelta(days=3650))
        )
        octets = tbs(builder, KIND)
        made.append(assemble(octets, KIND, root.sign(octets)))
    bent = altered(made[1])
    above, link, faulty = map(x509.load_der_x509_certificate, (*made, bent))

    assert is_signed_by(above, above)
    assert is_signed_by(link, above)
    assert not is_signed_by(faulty, above)
    assert not is_signed_by(above, link)
