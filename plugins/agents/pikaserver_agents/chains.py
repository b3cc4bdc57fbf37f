"""Chains of certificates as agents take them."""

from collections.abc import Sequence

from pikaserver.api.errors import MalformedRequest
from pikaserver.asn1.certificate import inner_algorithm, tbs_of
from pikaserver.asn1.composite import COMPOSITES
from pikaserver.asn1.slh_dsa import PARAMETER_SETS


def verifiable(certificates: Sequence[bytes]) -> tuple[bytes, ...]:
    """Return a chain as far as an agent verifies it: without SLH-DSA and composites."""
    for place, certificate in enumerate(certificates):
        if _is_signed_otherwise(certificate):
            return tuple(certificates[: place + 1])
    return tuple(certificates)


def _is_signed_otherwise(certificate: bytes) -> bool:
    try:
        algorithm = inner_algorithm(tbs_of(certificate))
    except MalformedRequest:
        return False
    return algorithm in PARAMETER_SETS or algorithm in COMPOSITES
