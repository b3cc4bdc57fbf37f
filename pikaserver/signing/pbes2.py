"""Encrypted PKCS#8 (RFC 5958 section 3), sealed and opened by PBES2 (RFC 8018).

cryptography opens them too, but refuses what is inside when it is an ML-DSA key in OpenSSL's
usual form.
"""

from collections.abc import Mapping

from cryptography.hazmat.primitives import hashes, padding
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from pikaserver.api.errors import MalformedRequest
from pikaserver.api.operations import Entropy
from pikaserver.asn1 import der
from pikaserver.asn1.elements import (
    INTEGER,
    OCTET_STRING,
    OID,
    SEQUENCE,
    Element,
    children,
    dotted,
    expect,
)
from pikaserver.asn1.identifiers import identifier

_PBES2 = "1.2.840.113549.1.5.13"
_PBKDF2 = "1.2.840.113549.1.5.12"
_SCRYPT = "1.3.6.1.4.1.11591.4.11"
_KEY_OCTETS = {
    "2.16.840.1.101.3.4.1.2": 16,  # AES-CBC
    "2.16.840.1.101.3.4.1.22": 24,
    "2.16.840.1.101.3.4.1.42": 32,
}
_HASHES: Mapping[str, type[hashes.HashAlgorithm]] = {
    "1.2.840.113549.2.7": hashes.SHA1,  # the default of RFC 8018, and of older OpenSSL
    "1.2.840.113549.2.9": hashes.SHA256,
    "1.2.840.113549.2.10": hashes.SHA384,
    "1.2.840.113549.2.11": hashes.SHA512,
}
_AES_256_CBC = "2.16.840.1.101.3.4.1.42"
_AES_256_OCTETS = 32
_HMAC_SHA256 = "1.2.840.113549.2.9"
_ROUNDS = 100_000
_SALT_OCTETS = 16
_BLOCK_OCTETS = 16
_ITERATIONS_LIMIT = 10_000_000
_WORK_LIMIT = 1 << 30


def decrypt(encrypted: bytes, passphrase: bytes) -> bytes | None:
    """Return the PKCS#8 inside, ``None`` when it is encrypted in a way not known here.

    Raises:
        MalformedRequest: it is not an EncryptedPrivateKeyInfo, or the passphrase is wrong.
    """
    scheme, secret = _pair(encrypted, 0)
    ciphertext = expect(encrypted, secret, OCTET_STRING, "encrypted octets")
    name, parameters = _algorithm(encrypted, scheme)
    if name != _PBES2 or parameters is None:
        return None
    derivation, cipher = _pair(encrypted, parameters.at)
    cipher_name, cipher_parameters = _algorithm(encrypted, cipher)
    key_octets = _KEY_OCTETS.get(cipher_name)
    if key_octets is None or cipher_parameters is None:
        return None
    vector = expect(encrypted, cipher_parameters, OCTET_STRING, "an initialisation vector")
    if len(vector) != _BLOCK_OCTETS or not ciphertext or len(ciphertext) % _BLOCK_OCTETS:
        raise MalformedRequest("the encrypted private key has a wrong length")
    key = _derive(encrypted, derivation, passphrase, key_octets)
    return None if key is None else _open(key, vector, ciphertext)


def encrypt(pkcs8: bytes, passphrase: bytes, entropy: Entropy) -> bytes:
    """Return EncryptedPrivateKeyInfo: AES-256-CBC, PBKDF2 with HMAC-SHA-256."""
    salt, vector = entropy(_SALT_OCTETS), entropy(_BLOCK_OCTETS)
    key = PBKDF2HMAC(hashes.SHA256(), _AES_256_OCTETS, salt, _ROUNDS).derive(passphrase)
    derivation = identifier(
        _PBKDF2,
        der.sequence(
            der.octet_string(salt), der.integer(_ROUNDS), identifier(_HMAC_SHA256, der.null())
        ),
    )
    cipher = identifier(_AES_256_CBC, der.octet_string(vector))
    padder = padding.PKCS7(8 * _BLOCK_OCTETS).padder()
    encryptor = Cipher(algorithms.AES(key), modes.CBC(vector)).encryptor()
    padded = padder.update(pkcs8) + padder.finalize()
    return der.sequence(
        identifier(_PBES2, der.sequence(derivation, cipher)),
        der.octet_string(encryptor.update(padded) + encryptor.finalize()),
    )


def _open(key: bytes, vector: bytes, ciphertext: bytes) -> bytes:
    decryptor = Cipher(algorithms.AES(key), modes.CBC(vector)).decryptor()
    unpadder = padding.PKCS7(8 * _BLOCK_OCTETS).unpadder()
    padded = decryptor.update(ciphertext) + decryptor.finalize()
    try:
        plain = unpadder.update(padded) + unpadder.finalize()
    except ValueError:
        plain = b""
    if plain[:1] != bytes((SEQUENCE,)):
        raise MalformedRequest("the passphrase does not open this private key")
    return plain


def _derive(octets: bytes, derivation: Element, passphrase: bytes, size: int) -> bytes | None:
    name, parameters = _algorithm(octets, derivation)
    if parameters is None:
        return None
    fields = list(children(octets, parameters.at))
    if not fields:
        raise MalformedRequest("a key derivation without its salt")
    salt = expect(octets, fields[0], OCTET_STRING, "a salt")
    numbers = [_number(octets, field) for field in fields[1:] if field.tag == INTEGER]
    if name == _PBKDF2 and numbers:
        _check_work(0 < numbers[0] <= _ITERATIONS_LIMIT)
        return _pbkdf2(_pseudo_random(octets, fields), salt, numbers[0], passphrase, size)
    if name == _SCRYPT and len(numbers) > 2:  # noqa: PLR2004 - N, r, p
        cost, block, parallel = numbers[:3]
        work = 128 * cost * block * parallel
        _check_work(
            min(block, parallel) > 0 and cost.bit_count() == 1 < cost and work <= _WORK_LIMIT
        )
        return Scrypt(salt, size, cost, block, parallel).derive(passphrase)
    return None


def _check_work(bearable: bool) -> None:  # noqa: FBT001 - a condition, named by the caller
    # cryptography would set to work whatever the file asks.
    if not bearable:
        raise MalformedRequest("the private key's encryption asks for senseless or endless work")


def _pbkdf2(
    hashed: type[hashes.HashAlgorithm] | None,
    salt: bytes,
    rounds: int,
    passphrase: bytes,
    size: int,
) -> bytes | None:
    return None if hashed is None else PBKDF2HMAC(hashed(), size, salt, rounds).derive(passphrase)


def _pseudo_random(octets: bytes, fields: list[Element]) -> type[hashes.HashAlgorithm] | None:
    named = [field for field in fields if field.tag == SEQUENCE]
    name = _algorithm(octets, named[0])[0] if named else "1.2.840.113549.2.7"
    return _HASHES.get(name)


def _number(octets: bytes, found: Element) -> int:
    return int.from_bytes(octets[found.start : found.end], "big", signed=True)


def _pair(octets: bytes, at: int) -> tuple[Element, Element]:
    parts = list(children(octets, at))
    if len(parts) != 2:  # noqa: PLR2004 - two fields in each of these structures
        raise MalformedRequest("not an encrypted PKCS#8 private key")
    return parts[0], parts[1]


def _algorithm(octets: bytes, found: Element) -> tuple[str, Element | None]:
    expect(octets, found, SEQUENCE, "an AlgorithmIdentifier")
    parts = list(children(octets, found.at))
    if not parts:
        raise MalformedRequest("an AlgorithmIdentifier without its OID")
    name = dotted(expect(octets, parts[0], OID, "an OID"))
    return name, parts[1] if parts[1:] else None
