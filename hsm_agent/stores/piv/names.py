"""The card's slots, key types and policies by our names."""

from collections.abc import Mapping
from types import MappingProxyType

from yubikit.piv import KEY_TYPE, PIN_POLICY, SLOT, TOUCH_POLICY

from hsm_agent.stores.store import Unsupported

SLOTS: Mapping[str, SLOT] = MappingProxyType(
    {f"{slot:02x}": slot for slot in SLOT if slot != SLOT.ATTESTATION}
)
"""Where keys may lie: 9a, 9c, 9d, 9e and the retired slots 82 to 95."""

KEY_TYPES: Mapping[str, KEY_TYPE] = MappingProxyType(
    {
        "rsa-2048": KEY_TYPE.RSA2048,
        "rsa-3072": KEY_TYPE.RSA3072,
        "rsa-4096": KEY_TYPE.RSA4096,
        "ec-p256": KEY_TYPE.ECCP256,
        "ec-p384": KEY_TYPE.ECCP384,
        "ed25519": KEY_TYPE.ED25519,
    }
)
"""The types that sign here; a card may hold others, which are shown and not used."""

PIN_POLICIES: Mapping[str, PIN_POLICY] = MappingProxyType(
    {"never": PIN_POLICY.NEVER, "once": PIN_POLICY.ONCE, "always": PIN_POLICY.ALWAYS}
)
TOUCH_POLICIES: Mapping[str, TOUCH_POLICY] = MappingProxyType(
    {"never": TOUCH_POLICY.NEVER, "always": TOUCH_POLICY.ALWAYS, "cached": TOUCH_POLICY.CACHED}
)
USUAL_PIN_POLICY = "once"
USUAL_TOUCH_POLICY = "never"
"""What a key gets that is to sign without a person beside it."""

_OTHER_TYPES = {KEY_TYPE.RSA1024: "rsa-1024", KEY_TYPE.X25519: "x25519"}
_NAMES = {number: name for name, number in KEY_TYPES.items()} | _OTHER_TYPES


def slot_named(label: str) -> SLOT:
    """Return the slot that a label names.

    Raises:
        Unsupported: it names none.
    """
    slot = SLOTS.get(label)
    if slot is None:
        raise Unsupported(f"a YubiKey has no slot {label!r}: there are {', '.join(SLOTS)}")
    return slot


def key_type_name(number: KEY_TYPE) -> str:
    """Return our name of a key type."""
    return _NAMES[number]


def key_type_named(name: str) -> KEY_TYPE:
    """Return the card's number of a key type.

    Raises:
        Unsupported: no YubiKey has such keys.
    """
    number = KEY_TYPES.get(name)
    if number is None:
        raise Unsupported(f"a YubiKey has no {name} keys: there are {', '.join(KEY_TYPES)}")
    return number


def pin_policy_named(name: str) -> PIN_POLICY:
    """Return the PIN policy of a new key; without a name the usual one.

    Raises:
        Unsupported: there is none of that name.
    """
    policy = PIN_POLICIES.get(name or USUAL_PIN_POLICY)
    if policy is None:
        raise Unsupported(f"{name!r} is no PIN policy: there are {', '.join(PIN_POLICIES)}")
    return policy


def touch_policy_named(name: str) -> TOUCH_POLICY:
    """Return the touch policy of a new key; without a name the usual one.

    Raises:
        Unsupported: there is none of that name.
    """
    policy = TOUCH_POLICIES.get(name or USUAL_TOUCH_POLICY)
    if policy is None:
        raise Unsupported(f"{name!r} is no touch policy: there are {', '.join(TOUCH_POLICIES)}")
    return policy


def pin_policy_name(policy: int) -> str:
    """Return our name of a PIN policy; those of fingerprint readers are ``other``."""
    return next((name for name, value in PIN_POLICIES.items() if value == policy), "other")


def touch_policy_name(policy: int) -> str:
    """Return our name of a touch policy."""
    return next((name for name, value in TOUCH_POLICIES.items() if value == policy), "other")
