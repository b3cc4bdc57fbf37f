"""Proofs of approvers: what convinces the agent, and what does not."""

import base64

import cbor2
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from hsm_agent.approvals.faults import ProofRefused
from hsm_agent.approvals.proofs import approver_of
from hsm_agent.approvals.ssh_signature import SshSignature
from hsm_agent.approvals.statement import statement
from hsm_agent.approvals.webauthn import Assertion, read_key
from hsm_agent.policy.policy import Approver
from pikaserver.testing.requirements import require_program
from tests.hsm_agent.authenticators import (
    Passkey,
    SecurityKey,
    SshKeygen,
    in_json,
    mpint,
    raw_public,
    spki_of,
    sshsig,
    string,
)

SAID = statement("vault-a", bytes(32), "ca-cert", b"tbs")
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


@pytest.mark.parametrize("kind", ["ES256", "EdDSA", "RS256"])
@pytest.mark.parametrize("write", [cbor2.dumps, in_json, lambda parts: in_json(parts, nested=True)])
def test_a_passkey_that_verified_its_user_is_verified(kind, write):
    """Web Authentication section 7.2, as CBOR and as the browser's JSON."""
    passkey = Passkey(kind)
    proof = write(passkey.prove(SAID))

    Assertion.read(proof).verify(SAID, passkey.spki, passkey.rp_id, [passkey.origin])

    with pytest.raises(ProofRefused, match="another challenge"):
        Assertion.read(proof).verify(b"other", passkey.spki, passkey.rp_id, [passkey.origin])
    with pytest.raises(ProofRefused, match="not used for"):
        Assertion.read(proof).verify(SAID, passkey.spki, "example.com", [passkey.origin])
    with pytest.raises(ProofRefused, match="origin"):
        Assertion.read(proof).verify(SAID, passkey.spki, passkey.rp_id, ["https://other"])
    with pytest.raises(ProofRefused, match="does not fit"):
        Assertion.read(proof).verify(SAID, Passkey(kind).spki, passkey.rp_id, [passkey.origin])


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"type": "webauthn.create"}, "not of an assertion"),
        ({"crossOrigin": True}, "inside another page"),
        ({"crossOrigin": "no"}, "inside another page"),
        ({"challenge": "AAAA"}, "another challenge"),
        ({"challenge": 7}, "authenticatorData, clientDataJSON"),
        ({"challenge": "\u00e9"}, "base64url"),
        ({"origin": ["https://pki.example.com"]}, "origin"),
        ({"origin": None}, "origin"),
    ],
)
def test_client_data_of_another_deed_is_refused(change, why):
    """The page, the deed and the challenge are part of what was signed."""
    passkey = Passkey("EdDSA")
    parts = passkey.assertion(passkey.client_data(SAID, **change), passkey.authenticator_data())

    with pytest.raises(ProofRefused, match=why):
        Assertion.read(cbor2.dumps(parts)).verify(
            SAID, passkey.spki, passkey.rp_id, [passkey.origin]
        )


@pytest.mark.parametrize(
    ("flags", "more", "why"),
    [
        (0x01, b"", "verified its user"),
        (0x04, b"", "verified its user"),
        (0x45, b"", "not of an assertion"),
        (0x85, b"", "not of an assertion"),
        (0x05, b"\xa0", "not of an assertion"),
        (0x85, b"\xa0", None),
    ],
)
def test_flags_of_the_authenticator_decide(flags, more, why):
    """Present and verified, both; what follows only where the flag announces it."""
    passkey = Passkey("EdDSA")
    octets = passkey.authenticator_data(flags=flags, more=more)
    assertion = Assertion.read(cbor2.dumps(passkey.assertion(passkey.client_data(SAID), octets)))

    def verify():
        assertion.verify(SAID, passkey.spki, passkey.rp_id, [passkey.origin])

    if why is None:
        verify()
        return
    with pytest.raises(ProofRefused, match=why):
        verify()


def test_keys_of_passkeys_are_read_as_cose_too():
    """RFC 9052: ES256, EdDSA and RS256, and no other."""
    es256, eddsa = ec.generate_private_key(ec.SECP256R1()), Ed25519PrivateKey.generate()
    rs256 = rsa.generate_private_key(65537, 2048)
    numbers = es256.public_key().public_numbers()
    point = {-2: numbers.x.to_bytes(32, "big"), -3: numbers.y.to_bytes(32, "big")}
    n = rs256.public_key().public_numbers().n.to_bytes(256, "big")
    cose = [
        (es256, {1: 2, 3: -7, -1: 1, **point}),
        (eddsa, {1: 1, 3: -8, -1: 6, -2: raw_public(eddsa)}),
        (rs256, {1: 3, 3: -257, -1: n, -2: b"\1\0\1"}),
    ]
    for key, found in cose:
        assert key.public_key() == read_key(cbor2.dumps(found))
        assert key.public_key() == read_key(spki_of(key))
    for wrong in ({1: 2, 3: -35, -1: 2, **point}, {1: 1, 3: -8, -1: 6, -2: b"short"}, [], 7):
        with pytest.raises(ProofRefused):
            read_key(cbor2.dumps(wrong))
    short = rsa.generate_private_key(65537, 1024)  # noqa: S505 - it has to be refused
    for weak in (ec.generate_private_key(ec.SECP384R1()), short):
        with pytest.raises(ProofRefused, match="ES256"):
            read_key(spki_of(weak))


@given(st.binary(max_size=200))
def test_no_octets_make_the_reader_of_passkeys_fail(octets):
    """Neither as a proof nor as a key."""
    for proof in (octets, b"{" + octets):
        with pytest.raises(ProofRefused):
            Assertion.read(proof)
    with pytest.raises(ProofRefused):
        read_key(octets)


@given(st.recursive(st.none() | st.text() | st.integers(), lambda x: st.dictionaries(st.text(), x)))
def test_other_json_is_no_passkey(value):
    """Whatever the map holds, it is refused."""
    with pytest.raises(ProofRefused):
        Assertion.read(cbor2.dumps(value))
    with pytest.raises(ProofRefused):
        Assertion(b"x" * 37, cbor2.dumps(value), b"").verify(SAID, b"", "", [])


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
