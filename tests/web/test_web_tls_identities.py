"""Who the server is: certificates and keys of every kind, alone or several."""

import re
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, mldsa, rsa
from cryptography.x509.oid import SignatureAlgorithmOID

from pikaserver.api.errors import ConfigurationError
from pikaserver.testing.openssl import require_ml_dsa_openssl
from pikaserver.web.tls import IdentityFiles, TlsSettings
from pikaserver.web.tls_contexts import TlsIdentity

CLASSICAL = "ECDSA+SHA256:RSA-PSS+SHA256"
"""Signature algorithms of a client that never heard of ML-DSA."""
PEM = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----\n", re.DOTALL)


@pytest.fixture
def judge():
    """Return an ``openssl`` that knows ML-DSA."""
    return require_ml_dsa_openssl()


def rsa_key(bits=2048):
    """Return a key of an old kind."""
    return rsa.generate_private_key(65537, bits)


@pytest.mark.parametrize(
    "key",
    [
        rsa_key,
        lambda: ec.generate_private_key(ec.SECP384R1()),
        ed25519.Ed25519PrivateKey.generate,
        ed448.Ed448PrivateKey.generate,
    ],
    ids=["rsa", "ec-p384", "ed25519", "ed448"],
)
def test_classical_keys_are_served(house, authority, talk, key):
    """To any client."""
    running = house.start(tls=TlsSettings(IdentityFiles(*authority.issue("server", key()))))

    answer = talk(running, "-CAfile", authority.file, "-verify_return_error")

    assert "hello" in answer


@pytest.mark.parametrize(
    "kind", [mldsa.MLDSA44PrivateKey, mldsa.MLDSA65PrivateKey, mldsa.MLDSA87PrivateKey]
)
def test_post_quantum_keys_are_served(house, authority, talk, judge, kind):
    """Whatever the OpenSSL of this host knows."""
    pair = authority.issue("server", kind.generate())
    running = house.start(tls=TlsSettings(IdentityFiles(*pair)))

    answer = talk(running, "-CAfile", authority.file, "-verify_return_error", openssl=judge)

    assert "Verification: OK" in answer
    assert "hello" in answer


def test_a_hierarchy_without_classical_keys_works_from_end_to_end(
    house, make_authority, talk, judge
):
    """Root, issuing authority and server in ML-DSA-65; a device with an EC key below it."""
    root = make_authority("Root", mldsa.MLDSA65PrivateKey.generate())
    issuing = make_authority("Issuing", mldsa.MLDSA65PrivateKey.generate(), root)
    server = issuing.issue("server", mldsa.MLDSA65PrivateKey.generate())
    chain, key = issuing.issue("device")
    tls = TlsSettings(IdentityFiles(*server), lambda: [issuing.der])
    running = house.start(tls=tls, client_certificates="required")

    trusts = ("-CAfile", root.file, "-verify_return_error", "-verify_hostname", "localhost")
    answer = talk(running, *trusts, "-cert", chain, "-key", key, openssl=judge)

    assert "Verification: OK" in answer
    assert "Peer signature type: mldsa65" in answer
    assert "X25519MLKEM768" in answer
    assert "hello" in answer
    assert issuing.der_of(chain) == running.door.connection.tls.certificate


def test_a_device_with_a_post_quantum_key_is_believed(house, make_authority, tls, talk, judge):
    """And one of a stranger is not."""
    ours, foreign = (
        make_authority(name, mldsa.MLDSA44PrivateKey.generate()) for name in ("Ours", "Foreign")
    )
    running = house.start(
        tls=replace(tls, trust_anchors=lambda: [ours.der]), client_certificates="optional"
    )
    for authority, believed in ((ours, True), (foreign, False)):
        chain, key = authority.issue(authority.file.stem, mldsa.MLDSA87PrivateKey.generate())
        assert "hello" in talk(running, "-cert", chain, "-key", key, openssl=judge)
        told = running.door.connection.tls
        assert believed == (told.certificate is not None) == (told.certificate_fault is None)


@pytest.fixture
def both(house, make_authority):
    """Serve an ML-DSA chain, and a classical one for who does not know ML-DSA."""
    new_root = make_authority("New Root", mldsa.MLDSA65PrivateKey.generate())
    old_root = make_authority("Old Root")
    new = make_authority("New Issuing", mldsa.MLDSA65PrivateKey.generate(), new_root)
    old = make_authority("Old Issuing", above=old_root)
    new_pair = new.issue("new", mldsa.MLDSA65PrivateKey.generate())
    tls = TlsSettings(IdentityFiles(*new_pair), also=(IdentityFiles(*old.issue("old", rsa_key())),))
    return house.start(tls=tls), new_root, old_root


def test_each_client_gets_the_certificate_that_it_knows(both, talk, judge):
    """With the chain that belongs to it, and no other."""
    running, new_root, old_root = both
    for root, options in (
        (new_root, {"openssl": judge}),
        (old_root, {}),
        (old_root, {"openssl": judge}),
    ):
        sigalgs = ("-sigalgs", CLASSICAL) if root is old_root else ()
        trusts = ("-CAfile", root.file, "-verify_return_error", "-showcerts")
        answer = talk(running, *trusts, *sigalgs, **options)

        assert "hello" in answer
        sent = [x509.load_pem_x509_certificate(pem.encode()) for pem in PEM.findall(answer)]
        assert {root is new_root} == {
            one.signature_algorithm_oid == SignatureAlgorithmOID.ML_DSA_65 for one in sent
        }


def test_a_client_of_tls_1_2_gets_the_classical_one(both, talk):
    """ML-DSA exists in TLS 1.3 only."""
    running, _, old_root = both

    trusts = ("-CAfile", old_root.file, "-verify_return_error")
    assert "hello" in talk(running, "-tls1_2", *trusts)


def test_a_second_certificate_is_renewed_too(house, authority, shake, until):
    """Without a restart."""
    first, second = authority.issue("first", rsa_key()), authority.issue("second")
    tls = TlsSettings(IdentityFiles(*first), also=(IdentityFiles(*second),))
    running = house.start(tls=tls)
    assert authority.der_of(second[0]) == shake(running).getpeercert(binary_form=True)

    authority.issue("second")

    until(lambda: authority.der_of(second[0]) == shake(running).getpeercert(binary_form=True))


def test_two_certificates_of_one_kind_stop_the_start(house, authority):
    """Only one of them would ever be served."""
    one, other = (IdentityFiles(*authority.issue(name)) for name in ("one", "other"))

    with pytest.raises(ConfigurationError, match="two TLS certificates have keys of the same"):
        house.start(tls=TlsSettings(one, also=(other,)))


def broken(chain=None, key=None):
    """Return a way to spoil a pair."""

    def make(authority):
        good = IdentityFiles(*authority.issue("server"))()
        spoilt = {"chain": chain, "key": key}
        made = {name: value(authority) for name, value in spoilt.items() if value is not None}
        return lambda: replace(good, **made)

    return make


def octets(index, *key):
    """Return a way to read another pair's certificate or key."""
    return lambda authority: authority.issue("other", *(make() for make in key))[index].read_bytes()


@pytest.mark.parametrize(
    ("identity", "why"),
    [
        (lambda _: IdentityFiles(Path("/no/such.pem"), Path("/no/such.key")), "No such file"),
        (broken(key=octets(1)), "do not belong together"),
        (broken(key=octets(1, rsa_key)), "do not belong together"),
        (broken(chain=lambda _: b"x"), "the TLS certificate is not a PEM certificate"),
        (broken(key=lambda _: b"x"), "the TLS key cannot be used"),
        (broken(key=octets(0)), "the TLS key cannot be used"),
        (
            broken(chain=octets(0, lambda: rsa_key(1024))),
            "the TLS certificate cannot be used: ee key",
        ),
        (lambda _: lambda: TlsIdentity(b"", b"", "1"), "the TLS certificate is not a PEM"),
    ],
    ids=["absent", "two keys", "two kinds", "no PEM", "no key", "no private key", "weak", "empty"],
)
def test_a_certificate_that_cannot_be_used_stops_the_start(house, authority, identity, why):
    """One sentence that names the listener."""
    with pytest.raises(ConfigurationError, match=rf"TLS of listener 'test'.*{why}"):
        house.start(tls=TlsSettings(identity(authority)))


@pytest.mark.parametrize(
    "command",
    [("pkcs8", "-topk8"), ("ec", "-aes256")],
    ids=["PKCS#8", "traditional"],
)
def test_an_encrypted_key_stops_the_start_instead_of_asking(house, authority, tmp_path, command):
    """OpenSSL would read the passphrase from the terminal."""
    chain, key = authority.issue("server")
    sealed = tmp_path / "sealed.key"
    openssl("openssl", *command, "-in", key, "-out", sealed, "-passout", "pass:secret")

    with pytest.raises(ConfigurationError, match="the TLS key is encrypted"):
        house.start(tls=TlsSettings(IdentityFiles(chain, sealed)))


def openssl(*command):
    """Run a command that must work."""
    subprocess.run(command, capture_output=True, check=True, timeout=60)


@pytest.mark.parametrize("kind", ["EC", "ML-DSA-65"])
def test_a_key_is_served_as_openssl_writes_it(house, talk, judge, tmp_path, kind):
    """ML-DSA as seed and expanded key; EC as of old, behind its parameters."""
    chain, key = tmp_path / "server.pem", tmp_path / "server.key"
    if kind == "EC":
        openssl(judge, "ecparam", "-name", "prime256v1", "-genkey", "-out", key)
    else:
        openssl(judge, "genpkey", "-algorithm", kind, "-out", key)
    openssl(judge, "req", "-x509", "-key", key, "-subj", "/CN=localhost", "-out", chain)
    running = house.start(tls=TlsSettings(IdentityFiles(chain, key)))

    answer = talk(running, "-CAfile", chain, "-verify_return_error", openssl=judge)

    assert "hello" in answer
