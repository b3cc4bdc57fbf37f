"""Private keys into PKCS#12 (RFC 7292), with their certificates: by cryptography where it can."""

from collections.abc import Sequence

from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, pkcs12

from pikaserver.api.errors import RequestRejected
from pikaserver.api.operations import Entropy
from pikaserver.asn1.algorithms import key_type
from pikaserver.asn1.certificate import public_key_of, read_certificate
from pikaserver.signing import pkcs12 as own_pkcs12
from pikaserver.signing import private_keys

_CLASSICAL = ("rsa-", "ec-", "ed25519", "ed448")
_Classical = (
    rsa.RSAPrivateKey
    | ec.EllipticCurvePrivateKey
    | ed25519.Ed25519PrivateKey
    | ed448.Ed448PrivateKey
)


def write_pkcs12(
    pkcs8: bytes, certificates: Sequence[bytes], passphrase: bytes, name: str, entropy: Entropy
) -> bytes:
    """Return a PKCS#12 file with a key, its certificate first, and those above.

    For keys that cryptography puts into no such file, those of ML-DSA for one, it is written by
    ourselves.

    Raises:
        RequestRejected: the key is not the certificate's, or the passphrase is empty.
    """
    if not passphrase:
        raise RequestRejected("a PKCS#12 file needs a passphrase")
    own, *above = (read_certificate(one) for one in certificates)
    spki = private_keys.public_key(pkcs8)
    if spki != public_key_of(own):
        raise RequestRejected("the private key is not the certificate's")
    if not key_type(spki).startswith(_CLASSICAL):
        return own_pkcs12.write(pkcs8, certificates, passphrase, name, entropy)
    key = private_keys.load(pkcs8)
    if not isinstance(key, _Classical):
        raise RequestRejected(f"PKCS#12 has no place for {key_type(spki)} keys")
    encryption = BestAvailableEncryption(passphrase)
    return pkcs12.serialize_key_and_certificates(name.encode(), key, own, above, encryption)
