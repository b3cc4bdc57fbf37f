"""Two CAs may have one name: by default every root here is called alike."""

import pytest
from cryptography import x509

from pikaserver.api.errors import Conflict
from pikaserver.api.signing import KeyReference
from pikaserver.asn1.csr import read_csr
from pikaserver.authority.ca_certificates import CaContent
from pikaserver.authority.ceremony import AuthorityPlan
from pikaserver.testing.servers import make_server


@pytest.fixture
def signed_elsewhere(server, tmp_path, clock):
    """An authority that the root of another server signed, which is called like ours."""
    subject = x509.Name.from_rfc4514_string("CN=Branch CA,O=Example")
    key = KeyReference("software", "branch-1")
    plan = AuthorityPlan("branch", CaContent(subject), "ec-p256", key, "ecdsa-sha256")
    request = read_csr(server.ceremony.create_waiting(plan, "test"))
    with make_server(tmp_path / "other", clock=clock) as other:
        root = other.authorities.issuing_key("root")
        content = CaContent(request.subject, path_length=0)
        draft = other.ceremony.certificates.subordinate(content, request.public_key, root)
        record = other.issuance.issue(draft)
    assert root.certificate.subject == server.authorities.key("root").certificate.subject
    certificate = x509.load_der_x509_certificate(record.certificate)
    server.ceremony.import_signed("branch", [certificate, root.certificate], "test")
    return "branch"


def test_what_the_other_one_signed_is_not_renewed_by_ours(server, signed_elsewhere):
    """Who trusts that root would not trust the successor, and ours never vouched for it."""
    with pytest.raises(Conflict, match="signed elsewhere"):
        server.succession.renew(signed_elsewhere, "test")


def test_what_our_root_signed_is_renewed_after_its_change_of_keys(server):
    """The old key of the root signed it; the new one signs its successor."""
    key = KeyReference("software", "root-2")
    plan = AuthorityPlan("", CaContent(x509.Name([])), "ec-p256", key, "ecdsa-sha256")
    server.succession.rekey("root", plan, "test")

    server.succession.renew("issuing", "test")

    issuing = server.authorities.key("issuing").certificate
    issuing.verify_directly_issued_by(server.authorities.key("root").certificate)
