"""certbot's library ``acme`` over the wire: what no installed client does."""

from datetime import timedelta

import josepy
import pytest
from acme import challenges, client, errors, messages
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, mldsa, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from pikaserver.asn1.csr import assemble_csr, request_info
from pikaserver.asn1.related_certificates import related_attribute, related_hash
from tests.acme.desk import csr_of


def _pem(csr):
    return x509.load_der_x509_csr(csr).public_bytes(Encoding.PEM)


@pytest.fixture
def connect(place, monkeypatch):
    """Return a function that gives a client with an account under a policy."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(place.root))

    def make(policy, key=None):
        key = key or josepy.JWKRSA(key=rsa.generate_private_key(65537, 2048))
        algorithm = josepy.ES256 if isinstance(key, josepy.JWKEC) else josepy.RS256
        net = client.ClientNetwork(key, alg=algorithm)
        directory = client.ClientV2.get_directory(place.directory(policy), net)
        found = client.ClientV2(directory, net)
        registration = messages.NewRegistration.from_data(
            email="me@example.com", terms_of_service_agreed=True
        )
        found.net.account = found.new_account(registration)
        return found

    return make


def test_an_order_by_the_library(connect):
    """From order to chain; the account is found again by its key."""
    ours = connect("pre")
    order = ours.new_order(_pem(csr_of("library.example.com", "*.library.example.com")))
    done = ours.poll_and_finalize(order)

    (leaf, issuer) = x509.load_pem_x509_certificates(done.fullchain_pem.encode())
    leaf.verify_directly_issued_by(issuer)
    assert "valid" == ours.query_registration(ours.net.account).body.status


def test_keys_change_and_accounts_end(connect):
    """An elliptic key; contacts; then the account is given up and answers 401."""
    key = josepy.JWKEC(key=ec.generate_private_key(ec.SECP256R1()))
    ours = connect("pre", key)
    changed = ours.update_registration(
        ours.net.account, messages.Registration.from_data(email="other@example.com")
    )
    ours.deactivate_registration(ours.net.account)

    with pytest.raises(errors.Error):
        ours.new_order(_pem(csr_of("ended.example.com")))
    assert ("other@example.com",) == changed.body.emails


def _bound_csr(name, first, first_key):
    """Return a CSR of a new ML-DSA key that the key of another certificate signed for, too."""
    key = mldsa.MLDSA65PrivateKey.generate()
    spki = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    value = x509.SubjectAlternativeName([x509.DNSName(name)])
    asked = [x509.Extension(value.oid, critical=False, value=value)]
    octets = first.public_bytes(Encoding.DER)
    bound = related_attribute(
        octets,
        first.not_valid_before_utc + timedelta(minutes=5),  # it is backdated by so much
        lambda signed: first_key.sign(signed, ec.ECDSA(hashes.SHA256())),
    )
    info = request_info(x509.Name([]), spki, asked, bound)
    return assemble_csr(info, "ml-dsa-65", key.sign(info))


def test_the_other_one_of_a_pair_is_an_alternate(connect, place):
    """RFC 9763 over RFC 8555: EC first, then ML-DSA; each is offered beside the other."""
    ours, key = connect("pairs"), ec.generate_private_key(ec.SECP256R1())

    def fetched(order):
        return ours.poll_finalization(order, place.deadline(), fetch_alternative_chains=True)

    plain = ours.new_order(_pem(csr_of("pair.example.com", key=key)))
    first = ours.poll_and_finalize(plain)
    (classical, issuer) = x509.load_pem_x509_certificates(first.fullchain_pem.encode())

    wish = ours.new_order(_pem(_bound_csr("pair.example.com", classical, key)))
    second = fetched(ours.poll_and_finalize(wish))

    (quantum, above) = x509.load_pem_x509_certificates(second.fullchain_pem.encode())
    (other,) = second.alternative_fullchains_pem
    assert isinstance(quantum.public_key(), mldsa.MLDSA65PublicKey)
    assert related_hash(quantum).fits(classical.public_bytes(Encoding.DER))
    assert [classical, issuer] == x509.load_pem_x509_certificates(other.encode())
    (back,) = fetched(first).alternative_fullchains_pem
    assert [quantum, above] == x509.load_pem_x509_certificates(back.encode())
    ours.revoke(quantum, 4)
    assert [] == fetched(first).alternative_fullchains_pem


class BothCsrs(messages.CertificateRequest):
    """What finalize takes where the directory says so."""

    related_csr: x509.CertificateSigningRequest = josepy.field(
        "relatedCsr", encoder=josepy.encode_csr, decoder=josepy.decode_csr
    )


def test_one_order_brings_both_of_a_pair(connect, place):
    """RFC 9763 by one order: the library fetches the second as it fetches another chain."""
    ours, key = connect("both"), mldsa.MLDSA65PrivateKey.generate()
    order = ours.new_order(_pem(csr_of("both.example.com")))
    spki = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    value = x509.SubjectAlternativeName([x509.DNSName("both.example.com")])
    wish = [x509.Extension(value.oid, critical=False, value=value)]
    info = request_info(x509.Name([]), spki, wish, b"")
    second = x509.load_der_x509_csr(assemble_csr(info, "ml-dsa-65", key.sign(info)))
    first = x509.load_pem_x509_csr(order.csr_pem)

    ours._post(order.body.finalize, BothCsrs(csr=first, related_csr=second))  # noqa: SLF001 - the library has no word for it
    done = ours.poll_finalization(order, place.deadline(), fetch_alternative_chains=True)

    (classical, issuer) = x509.load_pem_x509_certificates(done.fullchain_pem.encode())
    (other,) = done.alternative_fullchains_pem
    (quantum, above) = x509.load_pem_x509_certificates(other.encode())
    assert related_hash(quantum).fits(classical.public_bytes(Encoding.DER))
    quantum.verify_directly_issued_by(above)
    classical.verify_directly_issued_by(issuer)


def test_a_failed_challenge_is_told_whole(connect, place):
    """The authorization is invalid, with what was seen; no certificate comes."""
    ours = connect("open")
    order = ours.new_order(_pem(csr_of("absent.example.com")))
    (absent,) = order.authorizations
    challenge = next(
        one for one in absent.body.challenges if isinstance(one.chall, challenges.DNS01)
    )
    ours.answer_challenge(challenge, challenge.response(ours.net.key))

    with pytest.raises(errors.ValidationError) as failure:
        ours.poll_authorizations(order, place.deadline())

    (failed,) = failure.value.failed_authzrs
    problem = next(one.error for one in failed.body.challenges if one.error)
    assert problem.code in {"dns", "unauthorized"}
    assert problem.detail


def test_renewal_information_by_the_library(connect):
    """RFC 9773, as certbot asks for it."""
    ours = connect("pre")
    order = ours.poll_and_finalize(ours.new_order(_pem(csr_of("ari.example.com"))))

    at, _ = ours.renewal_time(order.fullchain_pem.encode())

    leaf = x509.load_pem_x509_certificate(order.fullchain_pem.encode())
    assert leaf.not_valid_before_utc < at < leaf.not_valid_after_utc


def test_revocation_by_the_library(connect, place):
    ours = connect("pre")
    order = ours.poll_and_finalize(ours.new_order(_pem(csr_of("gone.example.com"))))
    leaf = x509.load_pem_x509_certificate(order.fullchain_pem.encode())

    ours.revoke(leaf, 4)

    with pytest.raises(messages.Error) as again:
        ours.revoke(leaf, 4)
    assert "alreadyRevoked" == again.value.code
    place.server.wait_for_crl(leaf.serial_number)
