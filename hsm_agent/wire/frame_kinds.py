"""The kinds of keys that sign frames: how each is written, pinned, and how long it signs.

An Ed25519 key is its 32 octets, as in version 1.  An ML-DSA key is its SubjectPublicKeyInfo
(DER, RFC 9881), which says its parameter set.  The *pin* of a key names it where the key itself
would be too long: an Ed25519 key is its own pin; of any other it is the kind, a colon and the
SHA-256 of what is written.  No two kinds have keys or pins of one length and beginning, so none
can be taken for another's.
"""

import hashlib
from dataclasses import dataclass

from hsm_agent.wire.errors import WireError

ED25519 = "ed25519"
_HASH_OCTETS = 32
_ALGORITHM = bytes.fromhex("300b06096086480165030403")
"""AlgorithmIdentifier of ML-DSA (RFC 9881 section 2) without the last octet of its OID."""


@dataclass(frozen=True, slots=True)
class FrameKind:
    """``header`` is what stands before the octets of the key; sizes are those of FIPS 204."""

    name: str
    header: bytes
    key_octets: int
    signature_octets: int

    @property
    def written_octets(self) -> int:
        """How long a key is as it is written."""
        return len(self.header) + self.key_octets


def _ml_dsa(name: str, parameter_set: int, key_octets: int, signature_octets: int) -> FrameKind:
    bits = b"\x03\x82" + (key_octets + 1).to_bytes(2, "big") + b"\0"
    inner = _ALGORITHM + bytes([parameter_set]) + bits
    whole = b"\x30\x82" + (len(inner) + key_octets).to_bytes(2, "big")
    return FrameKind(name, whole + inner, key_octets, signature_octets)


FRAME_KINDS = {
    kind.name: kind
    for kind in (
        FrameKind(ED25519, b"", 32, 64),
        _ml_dsa("ml-dsa-44", 17, 1312, 2420),
        _ml_dsa("ml-dsa-65", 18, 1952, 3309),
        _ml_dsa("ml-dsa-87", 19, 2592, 4627),
    )
}
"""By name; there are no others."""
_BY_LENGTH = {kind.written_octets: kind for kind in FRAME_KINDS.values()}
LARGEST_KEY = max(_BY_LENGTH)
LARGEST_SIGNATURE = max(kind.signature_octets for kind in FRAME_KINDS.values())


def frame_kind(public: bytes) -> FrameKind:
    """Return the kind of a frame key.

    Raises:
        WireError: it is written like none.
    """
    kind = _BY_LENGTH.get(len(public))
    if kind is None or not public.startswith(kind.header):
        raise WireError(f"a frame key of no known kind: {', '.join(FRAME_KINDS)}")
    return kind


def frame_pin(known: bytes) -> bytes:
    """Return the pin of a frame key; what is a pin already is its own.

    Raises:
        WireError: it is neither.
    """
    name, colon, digest = known.partition(b":")
    if colon and len(digest) == _HASH_OCTETS:
        kind = FRAME_KINDS.get(name.decode("latin-1"))
        if kind is not None and kind.header:
            return known
    kind = frame_kind(known)
    if not kind.header:
        return known
    return f"{kind.name}:".encode() + hashlib.sha256(known).digest()


def pinned_kind(known: bytes) -> str:
    """Return the name of the kind of a frame key, or of the one that a pin stands for.

    Raises:
        WireError: it is neither.
    """
    pin = frame_pin(known)
    return ED25519 if len(pin) == _HASH_OCTETS else pin.partition(b":")[0].decode()


def is_frame_pin(known: bytes) -> bool:
    """Tell whether these octets are a frame key, or the pin of one."""
    try:
        frame_pin(known)
    except WireError:
        return False
    return True
