"""OCSP responders and time-stamp units get keys and certificates by themselves."""

from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID
from hypothesis import given
from hypothesis import strategies as st

from pikaserver.api.certificates import CertificateQuery, Revocation, RevocationReason
from pikaserver.api.errors import Conflict, NotFound, RequestRejected
from pikaserver.api.operations import HealthState
from pikaserver.api.services import ServiceUse
from pikaserver.api.signing import KeyReference
from pikaserver.asn1 import der
from pikaserver.asn1.algorithms import verify
from pikaserver.asn1.certificate import public_key_of
from pikaserver.asn1.ocsp import is_response_data
from pikaserver.asn1.signed_data import DATA, is_signed_attributes, signed_attributes
from pikaserver.authority.authorities import ServiceSettings
from pikaserver.authority.ca_certificates import CaContent
from pikaserver.authority.ceremony import AuthorityPlan
from pikaserver.authority.naming.subject_text import read_subject, write_subject
from pikaserver.authority.services.limits import refuse_authority_key
from pikaserver.testing.servers import make_server

OCSP = ServiceUse("ocsp", "OCSP", "issuing")
ANSWER = der.sequence(
    der.context(2, der.octet_string(bytes(20)), constructed=True),
    b"\x18\x0f20300101000000Z",
    der.sequence(der.sequence(der.integer(1))),
)


@pytest.fixture
def server(tmp_path):
    with make_server(tmp_path / "data") as made:
        yield made


def certificate(key):
    return x509.load_der_x509_certificate(key.certificate)


def with_settings(server, authority, **services):
    before = server.authorities.settings(authority)
    server.ceremony.save_settings(authority, before.model_copy(update={"services": services}), "t")


def revoke(server, key):
    record = server.certificates.by_certificate(key.certificate)
    server.revoke(record, Revocation(server.clock(), RevocationReason.KEY_COMPROMISE), "test")


def test_a_responder_is_certified_by_the_authority_it_speaks_for(server):
    """Purpose and no-check as RFC 6960 wants them; it is listed among the issued ones."""
    key = server.services.get(OCSP)

    made = certificate(key)
    usage = made.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    made.verify_directly_issued_by(server.authorities.key("issuing").certificate)
    assert [ExtendedKeyUsageOID.OCSP_SIGNING] == list(usage)
    assert made.extensions.get_extension_for_class(x509.OCSPNoCheck)
    assert "CN=Pikaserver Issuing CA OCSP" == made.subject.rfc4514_string()
    assert made.serial_number in [
        one.serial for one in server.certificates.find(CertificateQuery())
    ]
    verify(public_key_of(made), key.algorithm, key.sign(ANSWER), ANSWER)


def test_asking_again_gives_the_same_key(server):
    """Also in another process on the same data."""
    first = server.services.get(OCSP)

    again = type(server).__dict__["_services"](server)

    assert first.certificate == again.get(OCSP).certificate


def test_it_is_renewed_after_two_thirds_of_its_life(server):
    """With a new key; the former certificate holds until its end."""
    first = server.services.get(OCSP)
    server.clock.advance(timedelta(days=21))

    second = server.services.get(OCSP)

    assert certificate(first).public_key() != certificate(second).public_key()


def test_a_revoked_one_is_replaced_at_once(server):
    """The next answer is signed by another key."""
    first = server.services.get(OCSP)
    revoke(server, first)

    assert first.certificate != server.services.get(OCSP).certificate


def test_every_generation_has_its_own(server):
    """Certificates of an earlier key are spoken for by a responder of that key."""
    wanted = AuthorityPlan(
        "issuing",
        CaContent(x509.Name([])),
        "ec-p384",
        KeyReference("software", "issuing-2"),
        "ecdsa-sha384",
    )
    server.succession.rekey("issuing", wanted, "test")

    old = server.services.get(ServiceUse("ocsp", "OCSP", "issuing", 1))
    new = server.services.get(OCSP)

    certificate(old).verify_directly_issued_by(server.authorities.key("issuing", 1).certificate)
    certificate(new).verify_directly_issued_by(server.authorities.key("issuing", 2).certificate)


def test_settings_choose_key_hash_validity_and_subject(server):
    """Per authority, and per unit where there are several."""
    with_settings(
        server,
        "issuing",
        **{
            "ocsp": ServiceSettings(
                key_type="rsa-2048",
                hash="sha512",
                validity_seconds=86400,
                subject="CN=Answers,O=Acme AG,C=CH",
            ),
            "tsa.night": ServiceSettings(key="software:night-1", key_type="ec-p384"),
        },
    )

    answers = certificate(server.services.get(OCSP))
    night = server.services.get(ServiceUse("tsa", "Time", "issuing", unit="night"))

    life = answers.not_valid_after_utc - answers.not_valid_before_utc
    assert "CN=Answers,O=Acme AG,C=CH" == write_subject(answers.subject)
    assert 2048 == answers.public_key().key_size
    assert timedelta(0) < timedelta(days=1) + timedelta(minutes=5) - life < timedelta(minutes=6)
    assert "secp384r1" == certificate(night).public_key().curve.name
    assert server.signers.find(KeyReference("software", "night-1"))


def test_a_named_key_stays_over_renewals(server):
    """A slot of a token is not left behind each month."""
    with_settings(server, "issuing", ocsp=ServiceSettings(key="software:answers"))
    first = server.services.get(OCSP)
    server.clock.advance(timedelta(days=21))

    second = server.services.get(OCSP)

    assert first.certificate != second.certificate
    assert certificate(first).public_key() == certificate(second).public_key()


def test_what_cannot_be_renewed_serves_on_and_is_told(server):
    """Answers go on while there is a certificate; the readiness says what is wrong."""
    first = server.services.get(OCSP)
    server.templates.set_enabled("ocsp", "test", enabled=False)
    server.clock.advance(timedelta(days=21))

    assert first.certificate == server.services.get(OCSP).certificate
    assert HealthState.DEGRADED is server.services.health().state
    server.templates.set_enabled("ocsp", "test", enabled=True)
    server.clock.advance(timedelta(minutes=2))
    assert first.certificate != server.services.get(OCSP).certificate
    assert HealthState.OK is server.services.health().state


def test_none_is_made_for_a_stranger_or_by_a_disabled_template(server):
    """And no key is left over."""
    server.templates.set_enabled("tsa", "test", enabled=False)
    before = list(server.signers.backend(KeyReference("software", "x")).keys())

    with pytest.raises(NotFound):
        server.services.get(ServiceUse("ocsp", "OCSP", "nobody"))
    with pytest.raises(RequestRejected, match="disabled"):
        server.services.get(ServiceUse("tsa", "Time", "issuing"))

    assert before == list(server.signers.backend(KeyReference("software", "x")).keys())


def test_expired_keys_are_removed(server):
    """A sealed key that nobody needs is still a risk."""
    server.services.get(OCSP)
    server.clock.advance(timedelta(days=40))
    server.services.get(OCSP)

    keys = server.signers.backend(KeyReference("software", "x")).keys()
    names = [key.reference.name for key in keys]
    assert 1 == len([name for name in names if name.startswith("server.ocsp-issuing.g1-")])


def test_an_authoritys_own_key_signs_answers_only(server):
    """Whatever a plugin hands in: no certificate comes of it."""
    key = server.services.authority_key("issuing")
    own = server.authorities.key("issuing")

    verify(own.public_key, key.algorithm, key.sign(ANSWER), ANSWER)
    for other in (own.certificate.tbs_certificate_bytes, b"octets", ANSWER + b"\0", b""):
        with pytest.raises(RequestRejected, match="answers"):
            key.sign(other)


def test_other_structures_are_no_response_data():
    """Told apart by their first elements."""
    assert is_response_data(ANSWER)
    assert not is_response_data(der.sequence(der.integer(0), der.sequence()))
    assert not is_response_data(der.sequence())


def test_a_stranger_has_no_key(server):
    """An authority that is not here cannot be spoken for."""
    with pytest.raises(NotFound):
        server.services.authority_key("nobody")


def test_a_responders_key_signs_answers_only(server):
    """A plugin that holds it makes no certificate, and no message of another protocol."""
    key = server.services.get(OCSP)
    attributes = signed_attributes(DATA, bytes(32))

    verify(public_key_of(certificate(key)), key.algorithm, key.sign(ANSWER), ANSWER)
    for other in (certificate(key).tbs_certificate_bytes, attributes, b"octets", b""):
        with pytest.raises(RequestRejected, match="OCSP answers"):
            key.sign(other)


@pytest.mark.parametrize("service", ["tsa", "scep"])
def test_other_services_sign_attributes_only(server, service):
    """Signed attributes are a SET; certificates, CRLs, CSRs and answers are none."""
    key = server.services.get(ServiceUse(service, "Service", "issuing"))
    attributes = signed_attributes(DATA, bytes(32))
    own = certificate(key)

    verify(public_key_of(own), key.algorithm, key.sign(attributes), attributes)
    for other in (own.tbs_certificate_bytes, ANSWER, der.set_of(own.tbs_certificate_bytes), b""):
        with pytest.raises(RequestRejected, match=r"SCEP|CMS"):
            key.sign(other)


def test_an_authoritys_key_is_no_services_key(server):
    """Neither by the settings nor, where those are older than the authority, when it is used."""
    own = server.authorities.key("issuing")
    named = ServiceSettings(key=str(own.generation.key))

    for authority in ("issuing", "root"):
        with pytest.raises(Conflict, match="is that of authority 'issuing'"):
            with_settings(server, authority, ocsp=named)

    with pytest.raises(Conflict, match="needs a key of its own"):
        refuse_authority_key(
            KeyReference("software", "other-name"), own.public_key, server.authorities.all_keys()
        )


def test_a_key_that_became_an_authoritys_answers_no_more(server):
    """The same key under another name, or settings written before: found when it is certified."""
    with_settings(server, "issuing", ocsp=ServiceSettings(key="software:later"))
    content = CaContent(read_subject("CN=Second"))
    place = KeyReference("software", "later")
    plan = AuthorityPlan("second", content, "ec-p256", place, "ecdsa-sha256")
    server.ceremony.create_root(plan, "test")

    with pytest.raises(Conflict, match="authority 'second'"):
        server.services.get(OCSP)


@given(st.binary(max_size=200))
def test_no_other_octets_are_signed_attributes(octets):
    """Whatever comes is told apart without a fault."""
    assert not is_signed_attributes(octets)
    assert not is_signed_attributes(b"\x31" + bytes([len(octets) & 0x7F]) + octets)
