"""The signed envelope of every request (RFC 8555 section 6.2): read first, verified then.

Reading tells who claims to have signed; nothing of the payload is looked at before
`SignedMessage.verify` has returned.
"""

from collections.abc import Collection
from dataclasses import dataclass

from joserfc import jws
from joserfc.errors import JoseError, UnsupportedAlgorithmError
from joserfc.jwa import JWSAlgModel
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey
from joserfc.registry import HeaderParameter

from pikaserver.api.json_text import JsonObject
from pikaserver_acme.jose import base64url
from pikaserver_acme.jose.json_text import malformed, read_object, text_of
from pikaserver_acme.jose.keys import ALGORITHMS, AccountKey
from pikaserver_acme.problems import AcmeError

LIMIT_OCTETS = 64 * 1024
"""The largest request that we read."""

SIGNATURES = tuple(sorted(set(ALGORITHMS.values())))
"""The algorithms that account keys sign with."""
MACS = ("HS256", "HS384", "HS512")
"""The algorithms that bind external accounts (RFC 8555 section 7.3.4)."""

_MEMBERS = {"protected", "payload", "signature"}
_HEADERS = {"alg", "jwk", "kid", "nonce", "url"}
# Said by clients that are polite, and without meaning here.
_IDLE = {"typ", "cty"}
_TEXT = HeaderParameter("of ACME", "str")


class _Registry(jws.JWSRegistry):
    """joserfc's rules with the headers of ACME, and room for keys in them."""

    max_header_length = LIMIT_OCTETS
    max_payload_length = LIMIT_OCTETS

    def get_alg(self, name: str) -> JWSAlgModel:
        """Return an algorithm of ours, without joserfc's warning that EdDSA has newer names."""
        if name not in (self.allowed or ()):
            raise UnsupportedAlgorithmError(f"{name} is not allowed")
        return self.algorithms[name]


_EXTRA = {"nonce": _TEXT, "url": _TEXT}
_REGISTRY = _Registry(_EXTRA, (*SIGNATURES, *MACS))


@dataclass(frozen=True, slots=True)
class SignedMessage:
    """One envelope: its protected header, which is not believed yet, and its payload.

    Either ``jwk`` or ``kid`` is there, never both.
    """

    algorithm: str
    url: str
    nonce: str | None
    jwk: JsonObject | None
    kid: str | None
    payload: bytes
    _parts: tuple[str, str, str]

    def verify(self, key: AccountKey) -> None:
        """Return when this key has signed.

        Raises:
            AcmeError: badSignatureAlgorithm: not the algorithm of this key; malformed: somebody
                else has signed, or something else.
        """
        if self.algorithm != key.algorithm:
            raise bad_algorithm(
                f"a key of this kind signs with {key.algorithm}, not {self.algorithm}",
                SIGNATURES,
            )
        self._check(key.key)

    def verify_mac(self, key: OctKey) -> None:
        """Return when the MAC was made with this key.

        Raises:
            AcmeError: it was not.
        """
        if self.algorithm not in MACS:
            raise bad_algorithm(f"a MAC key goes with HS256, not {self.algorithm}", MACS)
        self._check(key)

    def _check(self, key: ECKey | RSAKey | OKPKey | OctKey) -> None:
        protected, payload, signature = self._parts
        value: jws.FlattenedJSONSerialization = {
            "protected": protected,
            "payload": payload,
            "signature": signature,
        }
        try:
            jws.deserialize_json(value, key, registry=_REGISTRY)
        except (JoseError, ValueError, TypeError):
            raise AcmeError("malformed", "the signature does not verify") from None


def read_message(octets: bytes, algorithms: Collection[str] = SIGNATURES) -> SignedMessage:
    """Return an envelope as it came over the wire.

    Raises:
        AcmeError: malformed, or badSignatureAlgorithm with those that are allowed.
    """
    return read_envelope(read_object(octets, "the body"), algorithms)


def read_envelope(document: JsonObject, algorithms: Collection[str] = SIGNATURES) -> SignedMessage:
    """Return an envelope that stands in another one.

    Raises:
        AcmeError: as for `read_message`.
    """
    if document.keys() != _MEMBERS:
        raise malformed(
            "the body is to be a flattened JWS of protected, payload and signature"
            " (RFC 8555 section 6.2)"
        )
    protected, payload, signature = (
        _text(document, name) for name in ("protected", "payload", "signature")
    )
    header = read_object(base64url.decode(protected, "protected"), "the protected header")
    _check_names(header)
    base64url.decode(signature, "signature")
    jwk, kid = header.get("jwk"), text_of(header, "kid")
    if (jwk is None) == (kid is None):
        raise malformed("the protected header is to have either jwk or kid")
    if jwk is not None and not isinstance(jwk, dict):
        raise malformed("jwk is to be a JSON object")
    return SignedMessage(
        algorithm=_algorithm(header, algorithms),
        url=_text(header, "url"),
        nonce=text_of(header, "nonce"),
        jwk=jwk,
        kid=kid,
        payload=base64url.decode(payload, "payload"),
        _parts=(protected, payload, signature),
    )


def bad_algorithm(detail: str, allowed: Collection[str]) -> AcmeError:
    """Return the error for an algorithm that does not count (RFC 8555 section 6.2)."""
    return AcmeError("badSignatureAlgorithm", detail, extra={"algorithms": list(allowed)})


def _algorithm(header: JsonObject, allowed: Collection[str]) -> str:
    found = header.get("alg")
    if isinstance(found, str) and found in allowed:
        return found
    shown = ascii(found)[:40]
    raise bad_algorithm(f"alg is {shown}; allowed are {', '.join(allowed)}", allowed)


def _check_names(header: JsonObject) -> None:
    """Refuse what would change the meaning of the rest: crit, b64, x5u and the like."""
    for name in header:
        if name not in _HEADERS and name not in _IDLE:
            raise malformed(
                f"the protected header has {ascii(name)[:40]}, which ACME does not know"
            )


def _text(document: JsonObject, name: str) -> str:
    found = text_of(document, name)
    if found is None:
        raise malformed(f"{name!r} is missing")
    return found
