"""Proofs of approvers: what convinces the agent, and what does not."""

import base64

import cbor2
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from hsm_agent.approvals.faults import ProofRefused
from hsm_agent.approvals.proofs import approver_of
from hsm_agent.approvals.ssh_signature import SshSignature
from hsm_agent.approvals.statement import statement
from hsm_agent.policy.policy import Approver
from pikaserver.testing.requirements import require_program
from tests.hsm_agent.authenticators import (
    SAID,
    Passkey,
    SecurityKey,
    SshKeygen,
    mpint,
    raw_public,
    sshsig,
    string,
)

KINDS = [
    ("ed25519", None),
    ("ecdsa", 256),
    ("ecdsa", 384),
    ("ecdsa", 521),
    ("rsa", 2048),
    ("rsa", 4096),
]


@pytest.fixture(scope="module")
def ssh_keygen():
    return require_program("ssh-keygen", package="openssh-client")


@pytest.fixture(scope="module")
def ssh_key(ssh_keygen, tmp_path_factory):
    return SshKeygen(ssh_keygen, tmp_path_factory.mktemp("ssh"), "ed25519")


def test_the_statement_is_the_text_that_people_sign():
    """Five lines; whoever signs them signs these octets for this key of this agent."""
    text = (
        "hsm-agent approval v1\n"
        "agent: vault-a\n"
        f"key: sha256:{'07' * 32}\n"
        "kind: ca-cert\n"
        "tbs: sha256:3595d0af0f0ba42721b917ff183f98a4f8208bee7c84efa02badb2d41e22d69f\n"
    )

    assert text.encode() == statement("vault-a", b"\x07" * 32, "ca-cert", b"tbs")


@pytest.mark.parametrize(("kind", "bits"), KINDS)
@pytest.mark.parametrize("hash_name", ["sha256", "sha512"])
def test_what_ssh_keygen_signs_is_verified(ssh_keygen, tmp_path, kind, bits, hash_name):
    """PROTOCOL.sshsig: each kind of key with both hashes."""
    key = SshKeygen(ssh_keygen, tmp_path, kind, bits)
    signature = SshSignature.read(key.sign(SAID, options=("-O", f"hashalg={hash_name}")))

    signature.verify(SAID)

    assert (key.blob, hash_name) == (signature.key, signature.hash_name)
    with pytest.raises(ProofRefused, match="does not fit"):
        signature.verify(SAID + b" ")


def test_an_ssh_signature_for_another_purpose_is_refused(ssh_key):
    """A namespace keeps a signature over a mail or a commit from being an approval."""
    with pytest.raises(ProofRefused, match="for 'git'"):
        SshSignature.read(ssh_key.sign(SAID, namespace="git"))


def test_a_short_rsa_key_is_refused(ssh_keygen, tmp_path):
    """Below 2048 bits nothing is approved, however well it is signed."""
    key = SshKeygen(ssh_keygen, tmp_path, "rsa", 1024)

    with pytest.raises(ProofRefused, match="1024 bits"):
        SshSignature.read(key.sign(SAID)).verify(SAID)


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa"])
def test_a_touched_security_key_is_verified(kind):
    """PROTOCOL.u2f: the signature covers application, flags and counter."""
    key = SecurityKey(kind)

    for hash_name in ("sha256", "sha512"):
        SshSignature.read(key.sign(SAID, hash_name=hash_name)).verify(SAID)
    with pytest.raises(ProofRefused, match="nobody touched"):
        SshSignature.read(key.sign(SAID, flags=4)).verify(SAID)
    with pytest.raises(ProofRefused, match="does not fit"):
        SshSignature.read(key.sign(b"another")).verify(SAID)


def test_a_security_key_does_not_sign_for_another_application():
    """The application is part of the key that the approver gave."""
    key = SecurityKey()
    other = SecurityKey(application=b"ssh:elsewhere", key=key.key)

    assert key.blob != SshSignature.read(other.sign(SAID)).key


def test_ssh_keys_of_other_types_do_not_approve():
    """DSA and certificates have no verifier here."""
    blob = string(b"ssh-dss") + mpint(7)

    with pytest.raises(ProofRefused, match="'ssh-dss' do not approve"):
        SshSignature.read(sshsig(blob, string(b"ssh-dss") + string(bytes(40)))).verify(SAID)


def test_an_rsa_signature_with_a_weaker_hash_is_refused(ssh_keygen, tmp_path):
    """rsa-sha2-512 and nothing else."""
    key = SshKeygen(ssh_keygen, tmp_path, "rsa", 2048)

    for name in (b"ssh-rsa", b"rsa-sha2-256"):
        with pytest.raises(ProofRefused, match="rsa-sha2-512"):
            SshSignature.read(sshsig(key.blob, string(name) + string(bytes(256)))).verify(SAID)


@pytest.mark.parametrize(
    "armoured",
    [
        sshsig(b"k", b"s", version=2),
        sshsig(b"k", b"s", reserved=b"r"),
        sshsig(b"k", b"s", hash_name="sha1"),
        b"-----BEGIN SSH SIGNATURE-----\n!!\n-----END SSH SIGNATURE-----\n",
        b"-----BEGIN SSH SIGNATURE-----\n-----END SSH SIGNATURE-----\n",
        b"x" * 20_000,
        b"\xff",
        b"",
    ],
)
def test_other_armour_is_refused(armoured):
    """Another version, a reserved field, an old hash, or no signature at all."""
    with pytest.raises(ProofRefused):
        SshSignature.read(armoured)


@given(st.data())
def test_no_changed_ssh_signature_holds(ssh_key_pair, data):
    """Any one octet of the blob: refused, and nothing else is raised."""
    armoured, blob = ssh_key_pair
    place = data.draw(st.integers(0, len(blob) - 1))
    other = bytearray(blob)
    other[place] ^= data.draw(st.integers(1, 255))
    cut = data.draw(st.sampled_from([bytes(other), blob[:place], blob + b"\0"]))
    text = base64.encodebytes(cut).decode()
    changed = f"-----BEGIN SSH SIGNATURE-----\n{text}-----END SSH SIGNATURE-----\n".encode()

    try:
        found = SshSignature.read(changed)
        found.verify(SAID)
    except ProofRefused:
        return
    # Another key may well have made another signature: then it is not the approver's.
    assert found.key != SshSignature.read(armoured).key


@pytest.fixture(scope="module")
def ssh_key_pair():
    armoured = SecurityKey().sign(SAID)
    return armoured, base64.b64decode(b"".join(armoured.splitlines()[1:-1]))


@given(st.binary(max_size=300))
def test_no_octets_make_the_reader_of_ssh_signatures_fail(octets):
    """What somebody made up is refused."""
    text = base64.encodebytes(b"SSHSIG\0\0\0\1" + octets).decode()
    with pytest.raises(ProofRefused):
        SshSignature.read(
            f"-----BEGIN SSH SIGNATURE-----\n{text}-----END SSH SIGNATURE-----\n".encode()
        ).verify(SAID)


def test_a_proof_is_matched_with_its_approver(ssh_key):
    """Each kind finds whose it is; one of nobody is refused with what is wrong."""
    ed25519, passkey = Ed25519PrivateKey.generate(), Passkey()
    approvers = {
        "alice": Approver("alice", "ssh", ssh_key.blob),
        "bob": Approver("bob", "ed25519", raw_public(Ed25519PrivateKey.generate())),
        "carol": Approver("carol", "ed25519", raw_public(ed25519)),
        "dave": Approver("dave", "webauthn", passkey.spki, passkey.rp_id, (passkey.origin,)),
    }

    def found(kind, proof):
        return approver_of(approvers, SAID, kind, proof).name

    assert "alice" == found("ssh", ssh_key.sign(SAID))
    assert "carol" == found("ed25519", ed25519.sign(SAID))
    assert "dave" == found("webauthn", cbor2.dumps(passkey.prove(SAID)))
    with pytest.raises(ProofRefused, match="none of the approvers"):
        found("ssh", SecurityKey().sign(SAID))
    with pytest.raises(ProofRefused, match="none of the approvers"):
        found("ed25519", Ed25519PrivateKey.generate().sign(SAID))
    with pytest.raises(ProofRefused, match="no kind of proof"):
        found("local", b"")
    with pytest.raises(ProofRefused, match="no approver"):
        approver_of({}, SAID, "ssh", b"")
