"""What an approver signs: which agent may sign which octets with which key."""

import hashlib

NO_KEY = bytes(32)
"""In the place of a key where one is to be made."""


def statement(agent: str, key: bytes, kind: str, tbs: bytes) -> bytes:
    """Return the text; ``key`` is the SHA-256 of the key's SubjectPublicKeyInfo."""
    return (
        "hsm-agent approval v1\n"
        f"agent: {agent}\n"
        f"key: sha256:{key.hex()}\n"
        f"kind: {kind}\n"
        f"tbs: sha256:{hashlib.sha256(tbs).hexdigest()}\n"
    ).encode()
