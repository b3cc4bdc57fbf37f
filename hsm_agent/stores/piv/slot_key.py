"""A key in a slot of a card."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SlotKey:
    """A key in a slot; ``origin`` is ``generated``, ``imported`` or ``unknown``.

    ``attestation`` and ``certificate`` are DER, empty where there is none.
    """

    slot: str
    key_type: str
    public_key: bytes
    origin: str
    pin_policy: str
    touch_policy: str
    attestation: bytes = b""
    certificate: bytes = b""
