"""The usual OCSP request, read several times as quickly: one CertID, perhaps a nonce.

Nearly all requests have this form.  What is read here, ``pikaserver.asn1.ocsp_requests`` would
read alike; whatever is not quite of this form is left to it.
"""

import hashlib

from pikaserver.asn1 import der
from pikaserver.asn1.elements import INTEGER, LONG_LENGTH, OCTET_STRING, SEQUENCE
from pikaserver.asn1.ocsp import FORMS, NONCE, CertId

_LONGEST = 0x81
_EXTENSIONS = 0xA2
_NONCE = der.oid(NONCE)
_NONCE_OCTETS = range(1, LONG_LENGTH)


def _issuer_forms() -> tuple[tuple[bytes, bytes, int], ...]:
    """Return for each form what stands before both hashes, and how long these are."""
    sizes = {name: hashlib.new(name, usedforsecurity=False).digest_size for name, _ in FORMS}
    return tuple(
        (
            algorithm + der.header(OCTET_STRING, sizes[name]),
            der.header(OCTET_STRING, sizes[name]),
            sizes[name],
        )
        for name, algorithm in FORMS
    )


_ISSUER_FORMS = _issuer_forms()


def read_usual(octets: bytes) -> tuple[CertId, bytes | None] | None:
    """Return CertID and nonce of a request of the usual form; ``None`` for any other one."""
    try:
        at, whole = _inside(octets, 0, SEQUENCE)
        at, end = _inside(octets, at, SEQUENCE)
        if not whole == end == len(octets):
            return None
        at, list_end = _inside(octets, at, SEQUENCE)
        start, asked_end = _inside(octets, at, SEQUENCE)
        at, id_end = _inside(octets, start, SEQUENCE)
        if not list_end == asked_end == id_end:
            return None
        cert_id = _cert_id(octets, start, at, id_end)
        nonce = None if list_end == end else _nonce(octets, list_end, end)
    except (IndexError, ValueError):
        return None
    return cert_id, nonce


def _inside(octets: bytes, at: int, tag: int) -> tuple[int, int]:
    """Return where the content of an element begins and ends; lengths of one octet only."""
    size, start = octets[at + 1], at + 2
    if size == _LONGEST:
        size, start = octets[at + 2], at + 3
        if size < LONG_LENGTH:
            raise ValueError
    elif size >= LONG_LENGTH:
        raise ValueError
    if octets[at] != tag:
        raise ValueError
    return start, start + size


def _cert_id(octets: bytes, start: int, at: int, end: int) -> CertId:
    for first, second, size in _ISSUER_FORMS:
        if octets.startswith(first, at):
            middle = at + len(first) + size
            issuer_end = middle + len(second) + size
            break
    else:
        raise ValueError
    serial_at, serial_end = _inside(octets, issuer_end, INTEGER)
    serial = octets[serial_at:serial_end]
    if not octets.startswith(second, middle) or serial_end != end or not serial:
        raise ValueError
    # A positive number of the fewest octets; others are for the patient reader.
    if serial[0] >= LONG_LENGTH or (len(serial) > 1 and serial[0] == 0 and serial[1] < LONG_LENGTH):
        raise ValueError
    number = int.from_bytes(serial, "big")
    return CertId(octets[start:end], octets[at:issuer_end], number)


def _nonce(octets: bytes, at: int, end: int) -> bytes:
    at, outer_end = _inside(octets, at, _EXTENSIONS)
    at, list_end = _inside(octets, at, SEQUENCE)
    at, one_end = _inside(octets, at, SEQUENCE)
    if not octets.startswith(_NONCE, at):
        raise ValueError
    at, value_end = _inside(octets, at + len(_NONCE), OCTET_STRING)
    at, nonce_end = _inside(octets, at, OCTET_STRING)
    if not outer_end == list_end == one_end == value_end == nonce_end == end:
        raise ValueError
    if nonce_end - at not in _NONCE_OCTETS:
        raise ValueError
    return octets[at:nonce_end]
