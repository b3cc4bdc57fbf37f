"""What a client sends to begin device-attest-01: an attestation object of WebAuthn, in JSON."""

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NoReturn, TypeAlias

import cbor2

from pikaserver_acme.validation.attempt import Failed, printable

LIMIT_OCTETS = 64 * 1024
DEEPEST = 8
LONGEST_CHAIN = 8

Value: TypeAlias = "bool | int | bytes | str | list[Value] | Mapping[str, Value]"


@dataclass(frozen=True, slots=True)
class Statement:
    """An attestation statement: its format, and the fields of ``attStmt``."""

    format: str
    fields: Mapping[str, Value]

    def octets(self, name: str) -> bytes:
        """Return a field of octets.

        Raises:
            Failed: it is missing, empty or of another kind.
        """
        found = self.fields.get(name)
        return found if isinstance(found, bytes) and found else _refuse(f"no octets {name!r}")

    def number(self, name: str) -> int:
        """Return a field with a number.

        Raises:
            Failed: it is missing or of another kind.
        """
        found = self.fields.get(name)
        if isinstance(found, bool) or not isinstance(found, int):
            _refuse(f"no number {name!r}")
        return found

    def certificates(self) -> list[bytes]:
        """Return ``x5c``: the certificate of the attestation, then those above it, DER.

        Raises:
            Failed: there is none, or something else stands there.
        """
        found = self.fields.get("x5c")
        if not isinstance(found, list) or not 0 < len(found) <= LONGEST_CHAIN:
            _refuse(f"x5c should hold 1 to {LONGEST_CHAIN} certificates")
        chain = [one for one in found if isinstance(one, bytes)]
        return chain if len(chain) == len(found) else _refuse("x5c holds what is no certificate")


def read_response(response: bytes) -> Statement:
    """Read ``{"attObj": "..."}``.

    Raises:
        Failed: the client says that it cannot attest, or what it sends cannot be read.
    """
    try:
        document = json.loads(response)
    except (ValueError, RecursionError) as error:
        raise Failed("malformed", f"the response is no JSON: {error}") from error
    if not isinstance(document, dict):
        raise Failed("malformed", 'the response should be {"attObj": "..."}')
    if "error" in document and "attObj" not in document:
        told = printable(str(document["error"]))
        raise Failed("badAttestationStatement", f"the client cannot attest: {told}")
    text = document.get("attObj")
    if not isinstance(text, str) or len(text) > 2 * LIMIT_OCTETS:
        raise Failed("malformed", "the response should have an attObj in base64url")
    try:
        octets = base64.b64decode(text + "=" * (-len(text) % 4), b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise Failed("malformed", f"attObj is not base64url: {error}") from error
    return read_attestation_object(octets)


def read_attestation_object(octets: bytes) -> Statement:
    """Read an attestation object (WebAuthn section 6.5); authData is of no use here.

    Raises:
        Failed: it is not CBOR, or not an attestation object.
    """
    document = read_cbor(octets)
    if not isinstance(document, dict):
        _refuse("it is not a map")
    name, fields = document.get("fmt"), document.get("attStmt")
    if not isinstance(name, str) or not isinstance(fields, dict):
        _refuse("it has no fmt with an attStmt")
    return Statement(name, fields)


def read_cbor(octets: bytes) -> object:
    """Read one item of CBOR (RFC 8949) without tags, indefinite lengths or repeated keys.

    Raises:
        Failed: it cannot be read, or something follows.
    """
    if len(octets) > LIMIT_OCTETS:
        _refuse(f"more than {LIMIT_OCTETS} octets")
    try:
        value: object = cbor2.loads(
            octets,
            max_depth=DEEPEST,
            allow_indefinite=False,
            allow_duplicate_keys=False,
            strict_hashable_types=True,
        )
    # What its hooks for tags raise is of every kind; each of them means the same.
    except Exception as error:
        why = f"the attestation cannot be read: it is not the CBOR that is taken: {error}"
        raise Failed("badAttestationStatement", why) from error
    return value


def _refuse(why: str) -> NoReturn:
    raise Failed("badAttestationStatement", f"the attestation cannot be read: {why}")
