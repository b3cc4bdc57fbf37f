"""Authorities are made, signed elsewhere, imported, renewed, rekeyed and cross-signed."""

from dataclasses import replace
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from pikaserver.api.certificates import CertificateQuery
from pikaserver.api.errors import Conflict, KeyUnavailable, RequestRejected
from pikaserver.api.issuance import EnrollmentRequest, Requester
from pikaserver.api.signing import KeyReference, KeyRole
from pikaserver.asn1.csr import read_csr, verify_possession
from pikaserver.authority import issuance
from pikaserver.authority.ca_certificates import CaContent
from pikaserver.authority.signers import SignerRegistry
from pikaserver.testing.servers import make_server
from tests.road.ceremony_plans import current, enrol, plan


@pytest.mark.parametrize(
    "key_type", ["rsa-2048", "ec-p384", "ec-p521", "ed25519", "ed448", "ml-dsa-44", "ml-dsa-65"]
)
def test_a_hierarchy_of_every_key_type_signs_itself(server, key_type):
    """Root and subordinate verify with another implementation's path check."""
    root, sub = f"root-{key_type}", f"sub-{key_type}"
    server.ceremony.create_root(plan(root, key_type, path_length=1), "test")

    server.ceremony.create_subordinate(plan(sub, key_type, path_length=0), root, "test")

    below, above = current(server, sub).certificate, current(server, root).certificate
    below.verify_directly_issued_by(above)
    above.verify_directly_issued_by(above)
    assert below.not_valid_after_utc <= above.not_valid_after_utc


def test_every_ca_certificate_is_in_the_database(server):
    """P1 holds for ceremonies, too."""
    server.ceremony.create_root(plan("recorded"), "test")

    found = server.certificates.find(CertificateQuery(subject="recorded"))

    assert [current(server, "recorded").generation.certificate] == [
        record.certificate for record in found
    ]


@pytest.mark.parametrize("name", ["", "A", "a.g1", "-a", "a/b", "x" * 64])
def test_a_name_that_would_not_do_in_a_url_is_refused(server, name):
    with pytest.raises(RequestRejected, match="name"):
        server.ceremony.create_root(plan(name), "test")


def test_a_name_is_given_once(server):
    with pytest.raises(Conflict, match="already"):
        server.ceremony.create_root(plan("root"), "test")


def test_a_root_whose_signature_failed_is_finished_by_the_same_words(server, monkeypatch):
    """Its key may have been away, or the process killed: nothing has to be mended by hand."""
    wanted = plan("late-root", path_length=0)
    with monkeypatch.context() as patched:
        patched.setattr(issuance, "sign_tbs", refuse_to_sign)
        with pytest.raises(KeyUnavailable):
            server.ceremony.create_root(wanted, "test")
    assert () == server.authorities.get("late-root").generations

    server.ceremony.create_root(wanted, "test")

    assert (
        "CN=late-root,O=Example"
        == current(server, "late-root").certificate.subject.rfc4514_string()
    )
    with pytest.raises(Conflict, match="already"):
        server.ceremony.create_root(wanted, "test")


def test_a_root_that_signed_nothing_may_try_another_key(server, monkeypatch):
    """Its keeper may refuse the first one for good: neither name nor operator is stuck."""
    with monkeypatch.context() as patched:
        patched.setattr(issuance, "sign_tbs", refuse_to_sign)
        with pytest.raises(KeyUnavailable):
            server.ceremony.create_root(plan("stuck-root"), "test")
    other = replace(plan("stuck-root"), key=KeyReference("software", "other-key"))

    record = server.ceremony.create_root(other, "test")

    assert ["software:other-key"] == [one.key for one in record.generations]
    assert server.authorities.issuing_key("stuck-root").generation.current


class RolesApart:
    """A place that makes the keys of roots in another way."""

    def __init__(self, backend):
        self._backend = backend
        self.scheme = "apart"
        self.made = []

    def __getattr__(self, name):
        return getattr(self._backend, name)

    def generate_for(self, role, reference, key_type):
        self.made.append((role.value, str(reference)))
        return self._backend.generate(reference, key_type, exportable=False)


def test_who_makes_a_key_knows_what_it_is_for(server):
    """Rules of a key are fixed when it is made; those of a root differ."""
    software = server.signers.backend(KeyReference("software", "x"))
    apart = RolesApart(software)
    registry = SignerRegistry({"apart": apart})

    for role in KeyRole:
        registry.generate(role, KeyReference("apart", role.value), "ec-p256")

    assert [(role.value, f"apart:{role.value}") for role in KeyRole] == apart.made


def refuse_to_sign(*_words):
    raise KeyUnavailable("the key is away")


def test_the_path_length_above_is_obeyed(server):
    """RFC 5280 section 4.2.1.9: below path length 0 there is no CA."""
    with pytest.raises(RequestRejected, match="no CA below"):
        server.ceremony.create_subordinate(plan("too-deep"), "issuing", "test")


def test_a_child_must_not_outlive_its_issuer(server):
    wish = plan("long", validity=timedelta(days=365 * 40))

    with pytest.raises(RequestRejected, match="itself ends"):
        server.ceremony.create_subordinate(wish, "root", "test")


def test_name_constraints_bind_everything_below(server, make_csr):
    """RFC 5280 section 4.2.1.10, over the whole chain and before anything is signed."""
    wish = plan("fenced", path_length=0, permitted_names=("dns:inside.example.test",))
    server.ceremony.create_subordinate(wish, "root", "test")
    document = server.templates.document("web").replace('"issuing"', '"fenced"')
    server.templates.save("fenced", document, "test")

    enrol(server, make_csr, "www.inside.example.test", "fenced")

    with pytest.raises(RequestRejected, match="constraints"):
        enrol(server, make_csr, "www.outside.example.test", "fenced")


class TestSignedElsewhere:
    """Another CA signs: CSR out, certificate and chain in."""

    @pytest.fixture
    def elsewhere(self, tmp_path, clock):
        with make_server(tmp_path / "other", clock=clock) as other:
            yield other

    def sign(self, elsewhere, csr, name="from-elsewhere"):
        request = read_csr(csr)
        verify_possession(request)
        authority = elsewhere.authorities.issuing_key("root")
        content = CaContent(request.subject, path_length=0)
        draft = elsewhere.ceremony.certificates.subordinate(content, request.public_key, authority)
        record = elsewhere.issuance.issue(draft)
        return [
            x509.load_der_x509_certificate(record.certificate),
            authority.certificate,
        ]

    def test_it_becomes_an_authority(self, server, elsewhere, make_csr):
        csr = server.ceremony.create_waiting(plan("waiting"), "test")
        assert csr == server.authorities.get("waiting").waiting_csr

        server.ceremony.import_signed("waiting", self.sign(elsewhere, csr), "test")

        document = server.templates.document("web").replace('"issuing"', '"waiting"')
        server.templates.save("waiting", document, "test")
        leaf = enrol(server, make_csr, "below.example.test", "waiting")
        leaf.verify_directly_issued_by(current(server, "waiting").certificate)
        assert 1 == len(current(server, "waiting").generation.chain)

    def test_a_foreign_key_is_refused(self, server, elsewhere):
        server.ceremony.create_waiting(plan("foreign"), "test")
        other = elsewhere.ceremony.create_waiting(plan("other-key"), "test")

        with pytest.raises(RequestRejected, match="key"):
            server.ceremony.import_signed("foreign", self.sign(elsewhere, other), "test")

    def test_an_incomplete_chain_is_refused(self, server, elsewhere):
        csr = server.ceremony.create_waiting(plan("orphan"), "test")

        with pytest.raises(RequestRejected, match="missing"):
            server.ceremony.import_signed("orphan", self.sign(elsewhere, csr)[:1], "test")

    def test_a_leaf_is_no_authority(self, server, elsewhere):
        csr = server.ceremony.create_waiting(plan("leafy"), "test")
        request = EnrollmentRequest(
            replace(read_csr(csr)), Requester("t", "operator"), "device", "cli"
        )
        issued = elsewhere.enroll(request)
        chain = [x509.load_der_x509_certificate(one) for one in (issued.certificate, *issued.chain)]

        with pytest.raises(RequestRejected, match="not one of a CA"):
            server.ceremony.import_signed("leafy", chain, "test")


def test_an_existing_key_and_certificate_are_taken_over(server, tmp_path, clock, make_csr):
    """Migration: the old CA's key and certificate go on signing here."""
    with make_server(tmp_path / "old", clock=clock) as old:
        backend = old.signers.backend(KeyReference("software", "x"))
        reference = KeyReference("software", "movable")
        backend.generate(reference, "ec-p256", exportable=True)
        wish = replace(plan("movable"), key=reference)
        old.ceremony.create_root(wish, "test")
        pkcs8 = backend.export_key(reference)
        certificate = current(old, "movable").certificate
    server.signers.backend(reference).import_key(reference, pkcs8, exportable=False)

    server.ceremony.import_existing(wish, [certificate], "test")

    server.templates.save(
        "movable", server.templates.document("web").replace('"issuing"', '"movable"'), "test"
    )
    leaf = enrol(server, make_csr, "moved.example.test", "movable")
    leaf.verify_directly_issued_by(certificate)


def test_settings_change_what_certificates_point_to(server, make_csr):
    before = server.authorities.settings("issuing")
    changed = before.model_copy(update={"crl_urls": ("http://crl.example.test/issuing.crl",)})
    server.ceremony.save_settings("issuing", changed, "test")
    try:
        leaf = enrol(server, make_csr, "pointer.example.test")
    finally:
        server.ceremony.save_settings("issuing", before, "test")

    points = leaf.extensions.get_extension_for_class(x509.CRLDistributionPoints).value
    assert "http://crl.example.test/issuing.crl" == points[0].full_name[0].value


def test_der_and_pem_of_what_was_made_are_the_same(server):
    certificate = current(server, "root").certificate

    assert current(server, "root").generation.certificate == certificate.public_bytes(Encoding.DER)
