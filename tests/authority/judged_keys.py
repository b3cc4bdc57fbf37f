"""Public keys that a policy judges."""

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from pikaserver.api.errors import RequestRejected
from pikaserver.asn1.algorithms import KEY_TYPES
from pikaserver.authority.decisions import DecisionTrace

ALL = frozenset(KEY_TYPES)


def octets(key):
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def refusal(policy, spki, allowed=ALL):
    with pytest.raises(RequestRejected) as refused:
        policy.check_key(spki, allowed, DecisionTrace())
    assert not refused.value.trace[-1].allowed
    return str(refused.value)
