"""What the card remembers without power, and its form in a file."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
)

from tests.virtual_yubikey.keys import KeyType, PinPolicy, SlotKey, TouchPolicy
from tests.virtual_yubikey.secret_values import (
    ManagementKey,
    ManagementKeyType,
    Reference,
    Version,
    default_management_key,
    default_pin,
    default_puk,
)

ATTESTATION_SLOT = 0xF9
ATTESTATION_OBJECT = 0x5FFF01
PKCS8 = Encoding.DER, PrivateFormat.PKCS8, NoEncryption()


@dataclass
class Memory:
    """Secrets, keys by slot, and objects by their number."""

    management: ManagementKey
    pin: Reference = field(default_factory=default_pin)
    puk: Reference = field(default_factory=default_puk)
    keys: dict[int, SlotKey] = field(default_factory=dict)
    objects: dict[int, bytes] = field(default_factory=dict)

    def reset(self, version: Version) -> None:
        """Forget all but the attestation key and its certificate."""
        self.management = default_management_key(version)
        self.pin.restore()
        self.puk.restore()
        self.keys = {slot: key for slot, key in self.keys.items() if slot == ATTESTATION_SLOT}
        self.objects = {
            number: content
            for number, content in self.objects.items()
            if number == ATTESTATION_OBJECT
        }

    def save(self, path: Path) -> None:
        """Write it all, secrets in the clear: it is a card for tests."""
        document = {
            "pin": _write_reference(self.pin),
            "puk": _write_reference(self.puk),
            "management": {
                "type": self.management.type,
                "value": self.management.value.hex(),
                "touch": self.management.touch_policy,
            },
            "keys": {f"{slot:02x}": _write_key(key) for slot, key in self.keys.items()},
            "objects": {f"{number:06x}": octets.hex() for number, octets in self.objects.items()},
        }
        new = path.with_suffix(".new")
        new.write_text(json.dumps(document, indent=1), encoding="ascii")
        new.replace(path)


def load(path: Path) -> Memory:
    """Read what ``Memory.save`` wrote."""
    document = json.loads(path.read_text(encoding="ascii"))
    management = document["management"]
    return Memory(
        ManagementKey(
            ManagementKeyType(management["type"]),
            bytes.fromhex(management["value"]),
            TouchPolicy(management["touch"]),
        ),
        _read_reference(document["pin"]),
        _read_reference(document["puk"]),
        {int(slot, 16): _read_key(key) for slot, key in document["keys"].items()},
        {int(number, 16): bytes.fromhex(told) for number, told in document["objects"].items()},
    )


def _write_reference(reference: Reference) -> dict[str, Any]:
    return {
        "factory": reference.factory.hex(),
        "value": reference.value.hex(),
        "total": reference.total,
        "left": reference.left,
    }


def _read_reference(told: Mapping[str, Any]) -> Reference:
    factory, value = bytes.fromhex(told["factory"]), bytes.fromhex(told["value"])
    return Reference(factory, value, told["total"], told["left"])


def _write_key(key: SlotKey) -> dict[str, Any]:
    return {
        "type": key.type,
        "private": key.private.private_bytes(*PKCS8).hex(),
        "pin": key.pin_policy,
        "touch": key.touch_policy,
        "generated": key.generated,
    }


def _read_key(told: Mapping[str, Any]) -> SlotKey:
    return SlotKey(
        KeyType(told["type"]),
        load_der_private_key(bytes.fromhex(told["private"]), None),
        PinPolicy(told["pin"]),
        TouchPolicy(told["touch"]),
        told["generated"],
    )
