"""PKCS#12 (RFC 7292) for keys that cryptography puts into no such file: ML-DSA, ML-KEM, others.

Encrypted is with PBES2 (AES-256-CBC), authenticated with HMAC-SHA-256: what OpenSSL writes by
default, and reads.
"""

import hashlib
import hmac
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pikaserver.api.errors import MalformedRequest
from pikaserver.api.operations import Entropy
from pikaserver.asn1 import der
from pikaserver.asn1.digests import DIGEST_NAMES, DIGEST_OIDS
from pikaserver.asn1.elements import (
    CONSTRUCTED,
    CONTEXT,
    INTEGER,
    OCTET_STRING,
    OID,
    Element,
    children,
    dotted,
    expect,
    members,
)
from pikaserver.asn1.identifiers import identifier, read_oid
from pikaserver.asn1.refusing import refusing
from pikaserver.signing import pbes2

LIMIT_OCTETS = 1 << 20

_DATA = "1.2.840.113549.1.7.1"
_ENCRYPTED_DATA = "1.2.840.113549.1.7.6"
_BAGS = "1.2.840.113549.1.12.10.1."
_KEY_BAG, _SHROUDED_KEY_BAG, _CERTIFICATE_BAG = (f"{_BAGS}{number}" for number in (1, 2, 3))
_X509_CERTIFICATE = "1.2.840.113549.1.9.22.1"
_FRIENDLY_NAME = "1.2.840.113549.1.9.20"
_LOCAL_KEY_ID = "1.2.840.113549.1.9.21"
_BMP_STRING = 0x1E
_VERSION = 3
_SALT_OCTETS = 16
_MAC_ROUNDS = 10_000
_MOST_ROUNDS = 1_000_000
_MAC_PURPOSE = 3
_MAC_HASHES = ("sha1", "sha256", "sha384", "sha512")
_FIRST = CONTEXT | CONSTRUCTED


class WrongPassphrase(MalformedRequest):
    """The file is not what its authentication says, or the passphrase is another one."""


@dataclass(frozen=True, slots=True)
class Pkcs12:
    """What a file holds: private keys (PKCS#8 DER) and certificates (DER), in its order."""

    keys: tuple[bytes, ...]
    certificates: tuple[bytes, ...]


def write(
    pkcs8: bytes, certificates: Sequence[bytes], passphrase: bytes, name: str, entropy: Entropy
) -> bytes:
    """Return PFX with one key, its certificate first, and those above."""
    key_id = _attribute(_LOCAL_KEY_ID, der.octet_string(_sha1(certificates[0])))
    named = _attribute(_FRIENDLY_NAME, der.element(_BMP_STRING, name.encode("utf-16-be")))
    bags = [
        _certificate_bag(one, (key_id, named) if one is certificates[0] else ())
        for one in certificates
    ]
    shrouded = _bag(_SHROUDED_KEY_BAG, pbes2.encrypt(pkcs8, passphrase, entropy), (key_id, named))
    encrypted = pbes2.encrypt(der.sequence(*bags), passphrase, entropy)
    safe = der.sequence(_encrypted_data(encrypted), _data(der.sequence(shrouded)))
    salt = entropy(_SALT_OCTETS)
    mac = _mac("sha256", passphrase, salt, _MAC_ROUNDS, safe)
    return der.sequence(
        der.integer(_VERSION),
        _data(safe),
        der.sequence(
            der.sequence(identifier(DIGEST_OIDS["sha256"], der.null()), der.octet_string(mac)),
            der.octet_string(salt),
            der.integer(_MAC_ROUNDS),
        ),
    )


def read(octets: bytes, passphrase: bytes) -> Pkcs12:
    """Read PFX in DER, authenticated and encrypted as in `write` or with other SHA-2 hashes.

    Raises:
        WrongPassphrase: it does not open with this one.
        MalformedRequest: it is no such file, or protected in ways that are not known here.
    """
    der.check(octets, limit_octets=LIMIT_OCTETS)
    with refusing("PKCS#12 file"):
        version, content, *mac = members(octets, "a PKCS#12 file")
        if expect(octets, version, INTEGER, "its version") != bytes((_VERSION,)) or len(mac) != 1:
            raise MalformedRequest("not a PKCS#12 file that a passphrase protects")
        safe = _content(octets, content)
        _check_mac(octets, mac[0], passphrase, safe)
        bags = [bag for info in children(safe) for bag in _bags(safe, info, passphrase)]
        keys = tuple(bag for kind, bag in bags if kind == _KEY_BAG)
        return Pkcs12(keys, tuple(bag for kind, bag in bags if kind == _CERTIFICATE_BAG))


def _bags(safe: bytes, info: Element, passphrase: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield what is in the bags of one ContentInfo: keys as PKCS#8, certificates."""
    contents = _content(safe, info, passphrase)
    for bag in children(contents):
        kind, value, *_attributes = members(contents, "a bag", bag.at)
        name = _oid(contents, kind)
        held = expect(contents, value, _FIRST, "what a bag holds")
        if name == _SHROUDED_KEY_BAG:
            yield _KEY_BAG, _opened(held, passphrase)
        elif name == _KEY_BAG:
            yield _KEY_BAG, held
        elif name == _CERTIFICATE_BAG:
            form, wrapped = members(held, "a bag with a certificate")
            if _oid(held, form) == _X509_CERTIFICATE:
                (inner,) = children(held, wrapped.at)
                yield name, expect(held, inner, OCTET_STRING, "a certificate")


def _content(octets: bytes, info: Element, passphrase: bytes = b"") -> bytes:
    """Return the content of a ContentInfo: data as it is, EncryptedData opened."""
    kind, outer = members(octets, "a ContentInfo", info.at)
    expect(octets, outer, _FIRST, "a content")
    (inner,) = children(octets, outer.at)
    name = _oid(octets, kind)
    if name == _DATA:
        return expect(octets, inner, OCTET_STRING, "data")
    if name != _ENCRYPTED_DATA:
        raise MalformedRequest(f"a PKCS#12 file with content of type {name}")
    _version, encrypted = members(octets, "EncryptedData", inner.at)
    _type, algorithm, content = members(octets, "encrypted content", encrypted.at)
    ciphertext = expect(octets, content, CONTEXT, "encrypted octets")
    scheme = octets[algorithm.at : algorithm.end]
    return _opened(der.sequence(scheme, der.octet_string(ciphertext)), passphrase)


def _oid(octets: bytes, found: Element) -> str:
    return dotted(expect(octets, found, OID, "an OID"))


def _opened(encrypted: bytes, passphrase: bytes) -> bytes:
    plain = pbes2.decrypt(encrypted, passphrase)
    if plain is None:
        raise MalformedRequest("a PKCS#12 file whose encryption is not PBES2 with AES")
    return plain


def _check_mac(octets: bytes, mac: Element, passphrase: bytes, safe: bytes) -> None:
    info, salted, *rounds = members(octets, "MacData", mac.at)
    algorithm, told = members(octets, "DigestInfo", info.at)
    named = octets[algorithm.at : algorithm.end]
    name = DIGEST_NAMES.get(read_oid(named), "")
    # NULL or nothing, as everybody writes it (RFC 8017 appendix A.2.4).
    if name and named not in (
        identifier(DIGEST_OIDS[name], der.null()),
        identifier(DIGEST_OIDS[name]),
    ):
        raise MalformedRequest("a PKCS#12 file whose MAC has parameters")
    count = 1
    if rounds:
        number = expect(octets, rounds[0], INTEGER, "a number of rounds")
        count = int.from_bytes(number, "big", signed=True)
    if name not in _MAC_HASHES or not 0 < count <= _MOST_ROUNDS:
        raise MalformedRequest("a PKCS#12 file that is authenticated in a way not known here")
    salt = expect(octets, salted, OCTET_STRING, "a salt")
    found = _mac(name, passphrase, salt, count, safe)
    if not hmac.compare_digest(found, expect(octets, told, OCTET_STRING, "a MAC")):
        raise WrongPassphrase("the passphrase does not open the file, or the file is damaged")


def _mac(hash_name: str, passphrase: bytes, salt: bytes, rounds: int, safe: bytes) -> bytes:
    try:
        password = passphrase.decode("utf-8").encode("utf-16-be") + b"\0\0"
    except UnicodeDecodeError:
        raise WrongPassphrase("the passphrase of a PKCS#12 file is text in UTF-8") from None
    key = derive(hash_name, password, salt, rounds, purpose=_MAC_PURPOSE)
    return hmac.digest(key, safe, hash_name)


def derive(hash_name: str, password: bytes, salt: bytes, rounds: int, *, purpose: int) -> bytes:
    """Return as many octets as the hash has (RFC 7292 appendix B.2); one block is enough."""
    block = hashlib.new(hash_name).block_size
    filled = _filled(salt, block) + _filled(password, block)
    digest = hashlib.new(hash_name, bytes((purpose,)) * block + filled).digest()
    for _ in range(rounds - 1):
        digest = hashlib.new(hash_name, digest).digest()
    return digest


def _filled(octets: bytes, block: int) -> bytes:
    """Repeat octets up to whole blocks."""
    size = block * -(-len(octets) // block)
    return (octets * (size // len(octets) + 1))[:size] if octets else b""


def _data(octets: bytes) -> bytes:
    return der.sequence(der.oid(_DATA), der.context(0, der.octet_string(octets)))


def _encrypted_data(encrypted: bytes) -> bytes:
    """Return EncryptedData (RFC 5652 section 8) of what `pbes2.encrypt` made."""
    scheme, secret = children(encrypted)
    content = der.sequence(
        der.oid(_DATA),
        encrypted[scheme.at : scheme.end],
        der.context(0, encrypted[secret.start : secret.end], constructed=False),
    )
    inner = der.sequence(der.integer(0), content)
    return der.sequence(der.oid(_ENCRYPTED_DATA), der.context(0, inner))


def _bag(kind: str, value: bytes, attributes: Sequence[bytes]) -> bytes:
    last = der.set_of(*attributes) if attributes else b""
    return der.sequence(der.oid(kind), der.context(0, value), last)


def _certificate_bag(certificate: bytes, attributes: Sequence[bytes]) -> bytes:
    held = der.sequence(der.oid(_X509_CERTIFICATE), der.context(0, der.octet_string(certificate)))
    return _bag(_CERTIFICATE_BAG, held, attributes)


def _attribute(oid: str, value: bytes) -> bytes:
    return der.sequence(der.oid(oid), der.set_of(value))


def _sha1(octets: bytes) -> bytes:
    return hashlib.sha1(octets, usedforsecurity=False).digest()
