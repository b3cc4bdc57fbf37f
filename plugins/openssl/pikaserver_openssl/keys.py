"""Private keys between their forms: as engines make and read them, and as they are kept."""

from pikaserver.asn1 import private_key_forms
from pikaserver.asn1.algorithms import SIGNATURE_ALGORITHMS, default_algorithm, key_type, verify
from pikaserver.asn1.private_key_forms import PrivateKey
from pikaserver_openssl.engine import Engine, EngineFault, OpenedKey, way_of

_OQS = "oqs"


def kept(pkcs8: bytes) -> bytes:
    """Return a private key (PKCS#8 DER) as it is kept: the smallest form that says everything.

    Raises:
        MalformedRequest: its parts contradict each other.
    """
    found = private_key_forms.read(pkcs8)
    if found is None:
        return pkcs8
    return private_key_forms.write(found, "seed" if found.seed is not None else "expanded")


def opened(engine: Engine, pkcs8: bytes, probe: bytes) -> OpenedKey:
    """Return a kept key ready to sign, after it has signed and we have verified.

    Args:
        engine: who signs.
        pkcs8: as `kept` returned it.
        probe: some random octets to be signed.

    Raises:
        EngineFault: it cannot be read, or is of a type that the engine does not sign with.
        SignatureFaulty: what the engine makes with it does not verify.
        RequestRejected: the key is of a type that is not ours.
    """
    found = private_key_forms.read(pkcs8)
    if found is not None:
        check_offered(engine, found.key_type)
        pkcs8 = _for_engine(engine, found)
    key = engine.open(pkcs8)
    kind = key_type(key.public_key)
    algorithm = default_algorithm(kind)
    check_offered(engine, kind)
    if found is not None and found.public_key() != key.public_key:
        raise EngineFault(f"OpenSSL takes this {kind} key for another one")
    entry = SIGNATURE_ALGORITHMS[algorithm]
    signature = key.sign(probe, way_of(entry.family, entry.hash))
    verify(key.public_key, algorithm, signature, probe)
    return key


def check_offered(engine: Engine, kind: str) -> None:
    """Return when an engine signs with keys of this type.

    Raises:
        EngineFault: it does not; the text says what would.
    """
    if kind not in engine.offered:
        raise EngineFault(without(engine, kind))


def without(engine: Engine, kind: str) -> str:
    """Say that an engine has no such keys, and what would have them."""
    hint = "another provider may"
    if kind.startswith("ml-dsa-"):
        hint = "OpenSSL 3.5 has them, and so has oqsprovider"
    elif kind.startswith("slh-dsa-"):
        hint = "OpenSSL 3.5 has them"
    return f"{engine.title} has no {kind} keys: {hint} (see plugins.openssl in the settings)"


def _for_engine(engine: Engine, found: PrivateKey) -> bytes:
    """Write a key so that the provider reads it: oqsprovider knows no form but its own."""
    if found.form != "raw" and _OQS in engine.offered[found.key_type]:
        return private_key_forms.write(found, "oqs")
    return private_key_forms.write(found, "seed" if found.seed is not None else "expanded")
