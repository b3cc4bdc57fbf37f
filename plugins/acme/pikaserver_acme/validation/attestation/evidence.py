"""What an attestation of whatever format comes down to."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes


@dataclass(frozen=True, slots=True)
class Evidence:
    """A key that hardware holds, and the names of that hardware.

    ``permanent`` are the values that an identifier ``permanent-identifier`` may have, ``modules``
    HardwareModuleName in DER; ``facts`` are kept for people.
    """

    key: PublicKeyTypes
    permanent: tuple[str, ...]
    modules: tuple[bytes, ...] = ()
    facts: Mapping[str, str] = field(default_factory=dict)
