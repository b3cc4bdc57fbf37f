"""Security keys and passkeys that tests made, and ``ssh-keygen`` for the others."""

import base64
import hashlib
import json
import subprocess

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from hsm_agent.approvals.statement import statement

NAMESPACE = "hsm-agent-approval"
SAID = statement("vault-a", bytes(32), "ca-cert", b"tbs")
"""What people sign here."""


def string(octets):
    return len(octets).to_bytes(4, "big") + octets


def mpint(number):
    return string(number.to_bytes(number.bit_length() // 8 + 1, "big"))


def raw_public(key):
    return key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


def spki_of(key):
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


class SshKeygen:
    """A key pair of OpenSSH."""

    def __init__(self, program, folder, kind, bits=None):
        self._program = program
        self._file = folder / f"id_{kind}_{bits}"
        size = ["-b", str(bits)] if bits else []
        self._run("-q", "-t", kind, *size, "-N", "", "-C", "test", "-f", str(self._file))
        self.line = self._file.with_suffix(".pub").read_text().strip()
        self.blob = base64.b64decode(self.line.split()[1])

    def sign(self, message, *, namespace=NAMESPACE, options=()):
        """Return what ``ssh-keygen -Y sign`` writes."""
        path = self._file.with_suffix(".message")
        path.write_bytes(message)
        signature = path.with_suffix(".message.sig")
        signature.unlink(missing_ok=True)
        self._run("-q", "-Y", "sign", "-n", namespace, *options, "-f", str(self._file), str(path))
        return signature.read_bytes()

    def _run(self, *arguments):
        subprocess.run([self._program, *arguments], check=True, capture_output=True, timeout=60)


class SecurityKey:
    """An ``sk-`` key as OpenSSH has it (PROTOCOL.u2f, PROTOCOL.sshsig)."""

    def __init__(self, kind="ed25519", application=b"ssh:", key=None):
        self._kind = kind
        self._application = application
        if kind == "ed25519":
            self._name = b"sk-ssh-ed25519@openssh.com"
            self.key = key or Ed25519PrivateKey.generate()
            parts = [raw_public(self.key)]
        else:
            self._name = b"sk-ecdsa-sha2-nistp256@openssh.com"
            self.key = ec.generate_private_key(ec.SECP256R1())
            point = self.key.public_key().public_bytes(
                Encoding.X962, PublicFormat.UncompressedPoint
            )
            parts = [b"nistp256", point]
        self.blob = b"".join(map(string, [self._name, *parts, application]))
        self.line = f"{self._name.decode()} {base64.b64encode(self.blob).decode()} test"

    def sign(self, message, *, flags=1, counter=7, hash_name="sha512"):
        """Return an armoured signature; ``flags`` 1 says that somebody touched the key."""
        digest = hashlib.new(hash_name, message).digest()
        parts = (NAMESPACE.encode(), b"", hash_name.encode(), digest)
        signed = b"SSHSIG" + b"".join(map(string, parts))
        said = bytes([flags]) + counter.to_bytes(4, "big")
        sha256 = hashlib.sha256
        octets = sha256(self._application).digest() + said + sha256(signed).digest()
        if self._kind == "ed25519":
            signature = self.key.sign(octets)
        else:
            der = self.key.sign(octets, ec.ECDSA(hashes.SHA256()))
            signature = b"".join(map(mpint, decode_dss_signature(der)))
        return sshsig(self.blob, string(self._name) + string(signature) + said, hash_name)


def sshsig(blob, signature, hash_name="sha512", namespace=NAMESPACE, version=1, reserved=b""):
    """Return an armoured SSHSIG of these parts."""
    parts = (blob, namespace.encode(), reserved, hash_name.encode(), signature)
    octets = b"SSHSIG" + version.to_bytes(4, "big") + b"".join(map(string, parts))
    text = base64.encodebytes(octets).decode()
    return f"-----BEGIN SSH SIGNATURE-----\n{text}-----END SSH SIGNATURE-----\n".encode()


class Passkey:
    """An authenticator with its browser."""

    def __init__(self, kind="ES256", rp_id="pki.example.com"):
        self._kind = kind
        self.rp_id = rp_id
        self.origin = f"https://{rp_id}"
        makers = {
            "ES256": lambda: ec.generate_private_key(ec.SECP256R1()),
            "EdDSA": Ed25519PrivateKey.generate,
            "RS256": lambda: rsa.generate_private_key(65537, 2048),
        }
        self.key = makers[kind]()
        self.spki = spki_of(self.key)

    def client_data(self, statement, **other):
        challenge = base64.urlsafe_b64encode(hashlib.sha256(statement).digest())
        told = {
            "type": "webauthn.get",
            "challenge": challenge.decode().rstrip("="),
            "origin": self.origin,
            "crossOrigin": False,
        }
        return json.dumps({**told, **other}).encode()

    def authenticator_data(self, *, flags=0x05, rp_id=None, more=b""):
        rp_hash = hashlib.sha256((rp_id or self.rp_id).encode()).digest()
        return rp_hash + bytes([flags]) + (42).to_bytes(4, "big") + more

    def assertion(self, client_data, authenticator_data):
        """Return the three parts of a proof."""
        octets = authenticator_data + hashlib.sha256(client_data).digest()
        if self._kind == "ES256":
            signature = self.key.sign(octets, ec.ECDSA(hashes.SHA256()))
        elif self._kind == "EdDSA":
            signature = self.key.sign(octets)
        else:
            signature = self.key.sign(octets, padding.PKCS1v15(), hashes.SHA256())
        return {
            "authenticatorData": authenticator_data,
            "clientDataJSON": client_data,
            "signature": signature,
        }

    def prove(self, statement):
        return self.assertion(self.client_data(statement), self.authenticator_data())


def in_json(parts, *, nested=False):
    """Write a proof as the browser's JSON."""
    told = {
        name: base64.urlsafe_b64encode(value).decode().rstrip("=") for name, value in parts.items()
    }
    whole = {"id": "x", "type": "public-key", "response": {**told, "userHandle": None}}
    return json.dumps(whole if nested else told).encode()
