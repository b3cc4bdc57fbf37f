"""What a key of a service signs: the answers of that service, never a certificate."""

from collections.abc import Callable, Sequence

from pikaserver.api.errors import Conflict, RequestRejected
from pikaserver.api.signing import KeyReference
from pikaserver.asn1.ocsp import is_response_data
from pikaserver.asn1.scep_attributes import is_scep_attributes
from pikaserver.asn1.signed_data import is_signed_attributes
from pikaserver.authority.authorities import AuthoritySettings, IssuingKey

Limit = Callable[[bytes], None]
"""Raises RequestRejected for octets that a key must not sign."""


def limit_of(service: str) -> Limit:
    """Return what a service's own key may sign.

    ``ocsp`` signs answers (RFC 6960), ``scep`` its messages (RFC 8894), and every other service
    the signed attributes of a CMS message (RFC 5652).  A certificate, a CRL and a CSR begin
    otherwise than each of these, so a plugin that holds such a key cannot make one.
    """
    return _LIMITS.get(service, only_attributes)


def refuse_authority_key(
    reference: KeyReference, public_key: bytes | None, authorities: Sequence[IssuingKey]
) -> None:
    """Keep apart what makes certificates and what answers: plugins are handed the latter.

    Args:
        reference: where a service's key lives.
        public_key: its SubjectPublicKeyInfo, where that is known already.
        authorities: every generation of every authority.

    Raises:
        Conflict: it is an authority's own key.
    """
    for key in authorities:
        if str(reference) == key.generation.key or public_key == key.public_key:
            raise Conflict(
                f"key {reference} is that of authority {key.authority!r}; a service needs a key"
                " of its own"
            )


def refuse_shared_keys(settings: AuthoritySettings, authorities: Sequence[IssuingKey]) -> None:
    """Refuse settings by which a service would answer with an authority's own key.

    Raises:
        Conflict: it would.
    """
    for service in settings.services.values():
        if service.key is not None:
            refuse_authority_key(KeyReference.parse(service.key), None, authorities)


def only_messages(tbs: bytes) -> None:
    """Let an authority's own key sign answers about certificates, and messages of SCEP."""
    if not is_response_data(tbs) and not is_scep_attributes(tbs):
        raise RequestRejected("an authority's key signs answers here, and these octets are none")


def only_answers(tbs: bytes) -> None:
    """Let a key sign the ResponseData of OCSP answers."""
    if not is_response_data(tbs):
        raise RequestRejected("a responder's key signs OCSP answers, and these octets are none")


def only_scep(tbs: bytes) -> None:
    """Let a key sign messages of SCEP."""
    if not is_scep_attributes(tbs):
        raise RequestRejected("this key signs messages of SCEP, and these octets are of none")


def only_attributes(tbs: bytes) -> None:
    """Let a key sign CMS messages."""
    if not is_signed_attributes(tbs):
        raise RequestRejected(
            "a service's key signs the attributes of CMS messages, and these octets are none"
        )


_LIMITS: dict[str, Limit] = {"ocsp": only_answers, "scep": only_scep}
