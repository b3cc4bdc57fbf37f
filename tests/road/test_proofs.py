"""What a proof buys: the template, the names and the holder that it is for, and nothing else."""

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from pikaserver.api.errors import MalformedRequest, NotAllowed, NotAuthenticated, RequestRejected
from pikaserver.api.issuance import EnrollmentRequest, Requester
from pikaserver.api.signing import KeyReference
from pikaserver.asn1.csr import read_csr
from pikaserver.authority.ca_certificates import CaContent
from pikaserver.authority.ceremony import AuthorityPlan

OPERATOR = Requester("cli:test", "operator")


def wish(csr, template="device", door="cli", requester=OPERATOR, **more):
    return EnrollmentRequest(csr=csr, requester=requester, template=template, door=door, **more)


def holder_of(record):
    return Requester(f"certificate:{record.subject}", "certificate", certificate=record)


def csr_of(serial_number, common_name=None):
    pairs = [(NameOID.SERIAL_NUMBER, serial_number), (NameOID.COMMON_NAME, common_name)]
    subject = x509.Name([x509.NameAttribute(oid, text) for oid, text in pairs if text])
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
    names = x509.SubjectAlternativeName([x509.DNSName("a.example.test")])
    builder = builder.add_extension(names, critical=False)
    signed = builder.sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())
    return read_csr(signed.public_bytes(Encoding.DER))


@pytest.fixture(scope="module")
def born(server):
    """A device with the certificate of its maker, which names a serial number only."""
    maker = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Maker CA")])
    plan = AuthorityPlan(
        "maker",
        CaContent(maker, path_length=0),
        "ec-p256",
        KeyReference("software", "maker-1"),
        "ecdsa-sha256",
    )
    server.ceremony.create_root(plan, "test")
    document = server.templates.document("device")
    for before, after in (
        ('authority = "issuing"', 'authority = "maker"'),
        ('client-authorities = ["issuing"]', ""),
        ('required = ["CN"]', 'required = ["serialNumber"]'),
    ):
        document = document.replace(before, after)
    server.templates.save("born", document, "test")
    for name in ("web", "device"):
        document = server.templates.document(name)
        trusting = 'client-authorities = ["issuing", "maker"]'
        document = document.replace('client-authorities = ["issuing"]', trusting)
        server.templates.save(f"{name}-by-maker", document, "test")
    return server.enroll(wish(csr_of("4711"), "born")).record


@pytest.fixture
def by_code(server):
    """Make somebody who shows a code: ``by_code("web", common_name="a.example.test")``."""

    def make(template, **more):
        code = server.codes.create(template, "test")
        return Requester(
            f"code:{code.user}",
            "code",
            templates=frozenset({template}),
            proof=server.codes.find(code.user).proof,
            **more,
        )

    return make


class TestCodes:
    """An enrolment code is good for one template, and for one name where it is bound."""

    @pytest.mark.parametrize("lacking", ["proof", "templates"])
    def test_a_door_that_forgets_half_of_a_code_issues_nothing(
        self, server, make_csr, by_code, lacking
    ):
        """The core demands the proof; a plugin that forgets a check cannot issue."""
        whole = by_code("device")
        kept = {"proof": whole.proof, "templates": whole.templates} | {lacking: None}

        with pytest.raises(NotAuthenticated, match="code"):
            server.enroll(
                wish(make_csr("half.example.test"), requester=Requester("c", "code", **kept))
            )

    @pytest.mark.parametrize("template", ["web", "device"])
    def test_a_bound_code_buys_no_other_name(self, server, make_csr, by_code, template):
        """TLS clients compare the alternative names, so these are bound like the common name."""
        names = [x509.DNSName("a.example.test"), x509.DNSName("bank.example.test")]
        requester = by_code(template, common_name="a.example.test")

        with pytest.raises(RequestRejected, match=r"for 'a\.example\.test' only"):
            server.enroll(
                wish(make_csr("a.example.test", names=names), template, requester=requester)
            )

    def test_a_bound_code_buys_its_name(self, server, make_csr, by_code):
        requester = by_code("web", common_name="a.example.test")
        csr = make_csr("a.example.test", names=[x509.DNSName("A.example.test")])

        assert ("dns:a.example.test",) == server.enroll(
            wish(csr, "web", requester=requester)
        ).record.names

    @pytest.mark.parametrize("user", ["a:b", "a b", "a\nb", "u" * 101, "ä"])
    def test_a_user_is_what_http_basic_can_carry(self, server, user):
        """RFC 7617 section 2; and it stands in logs, lists and the audit trail."""
        with pytest.raises(RequestRejected, match="user"):
            server.codes.create("device", "test", user=user)

    def test_a_new_code_does_not_show_its_secret_in_passing(self, server):
        """P7: whoever logs the object logs no secret."""
        code = server.codes.create("device", "test")

        assert code.code not in repr(code)


class TestCertificates:
    """A certificate vouches for its holder, as far as the new one speaks of the same holder."""

    def test_the_identity_goes_into_the_new_certificate(self, server, born):
        """IEEE 802.1AR: the LDevID is of the device that the IDevID names."""
        csr = csr_of("4711", "a.example.test")

        issued = server.enroll(wish(csr, "device-by-maker", requester=holder_of(born)))

        assert "4711" in issued.record.subject

    def test_an_identity_that_would_be_left_out_vouches_for_nothing(self, server, born):
        """Else whoever has any such certificate gets one for any name, and it tells no source."""
        csr = csr_of("4711", "a.example.test")

        with pytest.raises(RequestRejected, match="vouch for"):
            server.enroll(wish(csr, "web-by-maker", requester=holder_of(born)))

    def test_a_server_is_no_client(self, server, born):
        """TLS lets a server renew with its own certificate; elsewhere that proves nothing."""
        document = server.templates.document("born").replace('"clientAuth"', '"serverAuth"')
        server.templates.save("born-server", document, "test")
        record = server.enroll(wish(csr_of("4711"), "born-server")).record
        csr = csr_of("4711", "a.example.test")

        with pytest.raises(RequestRejected, match="not made for clients"):
            server.enroll(wish(csr, "device-by-maker", requester=holder_of(record)))

    def test_an_authority_does_not_renew_itself_like_a_device(self, server):
        """Whoever holds the key of an issuing authority gets no further certificate for it."""
        document = server.templates.document("subca")
        for before, after in (
            ('proofs = ["operator"]', 'proofs = ["certificate"]'),
            ('doors = ["api", "ui", "cli"]', 'doors = ["est"]'),
            ("allowed = false", "allowed = true"),
        ):
            document = document.replace(before, after)
        server.templates.save("subca-renewing", document, "test")
        key = server.authorities.key("issuing")
        record = server.certificates.by_certificate(key.generation.certificate)
        builder = x509.CertificateSigningRequestBuilder().subject_name(key.certificate.subject)
        signed = builder.sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())
        csr = read_csr(signed.public_bytes(Encoding.DER))

        with pytest.raises(NotAllowed, match="authority"):
            server.enroll(
                wish(csr, "subca-renewing", "est", requester=holder_of(record), renews=record)
            )


@pytest.mark.parametrize("transaction", ["", "t" * 201, "t\x00", "t\n", "tä"])
def test_a_transaction_is_a_short_printable_word(server, make_csr, transaction):
    """Clients choose it; PostgreSQL would refuse it later and with a 500."""
    with pytest.raises(MalformedRequest, match="transaction"):
        server.enroll(wish(make_csr("t.example.test"), transaction=transaction))
