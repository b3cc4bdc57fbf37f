"""Keys of this command alone: made, or read from a file, and used for one request."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address

import idna
from cryptography import x509
from cryptography.x509.oid import NameOID

from pikaserver.api.errors import NotFound, RequestRejected
from pikaserver.api.signing import KeyReference, SealedKey, Signer
from pikaserver.asn1.algorithms import default_algorithm, key_type
from pikaserver.asn1.csr import assemble_csr, request_info
from pikaserver.authority.naming.forms import upn_general_name
from pikaserver.authority.naming.subject_text import read_subject
from pikaserver.cli.cert.wished_names import WishedNames
from pikaserver.clock import system_clock, system_entropy
from pikaserver.signing.sealing import KEY_OCTETS, FileKey
from pikaserver.signing.sign import sign_tbs
from pikaserver.signing.software import SCHEME, SoftwareBackend

_REFERENCE = KeyReference(SCHEME, "local")


def _dns_name(text: str) -> x509.DNSName:
    if text.isascii():
        return x509.DNSName(text)
    try:
        written = idna.encode(text, uts46=True).decode("ascii")
    except idna.IDNAError as error:
        raise ValueError(str(error)) from error
    raise ValueError(f"in a certificate this name is written {written!r}")


_BUILDERS: Mapping[str, Callable[[str], x509.GeneralName]] = {
    "dns": _dns_name,
    "ip": lambda text: x509.IPAddress(ip_address(text)),
    "email": x509.RFC822Name,
    "uri": x509.UniformResourceIdentifier,
    "upn": upn_general_name,
}

_COMMON_NAME_LIMIT = 64  # ub-common-name, RFC 5280 appendix A.1


class _Memory:
    """Keeps keys for as long as one command runs; see ``pikaserver.signing.software.KeyStore``."""

    def __init__(self) -> None:
        self._keys: dict[str, SealedKey] = {}

    def all(self) -> Sequence[SealedKey]:
        return list(self._keys.values())

    def get(self, name: str) -> SealedKey:
        if name not in self._keys:
            raise NotFound(f"there is no key {name!r}")
        return self._keys[name]

    def add(self, key: SealedKey) -> None:
        self._keys[key.name] = key

    def remove(self, name: str) -> None:
        del self._keys[name]


@dataclass(frozen=True, slots=True)
class LocalKey:
    """A private key (PKCS#8 DER) that this process holds, with its SubjectPublicKeyInfo."""

    pkcs8: bytes = field(repr=False)
    public_key: bytes
    backend: SoftwareBackend = field(repr=False)

    def csr(self, names: WishedNames, hash_name: str | None = None, *, pss: bool = False) -> bytes:
        """Return a CSR (DER) over this key.

        Raises:
            RequestRejected: a name cannot be read.
        """
        algorithm = default_algorithm(key_type(self.public_key), hash_name, pss=pss)
        return csr_of(self.backend.open(_REFERENCE, algorithm), names)

    def sign(self, algorithm: str, tbs: bytes) -> bytes:
        """Return this key's signature, verified."""
        return sign_tbs(self.backend.open(_REFERENCE, algorithm), tbs, self.public_key)


def make_local_key(kind: str) -> LocalKey:
    """Make a key of one of our types."""
    backend = _backend()
    spki = backend.generate(_REFERENCE, kind, exportable=True)
    return LocalKey(backend.export_key(_REFERENCE), spki, backend)


def load_local_key(pkcs8: bytes) -> LocalKey:
    """Return a key that stood in a file."""
    backend = _backend()
    return LocalKey(pkcs8, backend.import_key(_REFERENCE, pkcs8, exportable=True), backend)


def csr_of(signer: Signer, names: WishedNames) -> bytes:
    """Return a CSR (DER, RFC 2986) over a signer's key.

    Raises:
        RequestRejected: a name cannot be read, or there is none.
    """
    subject, wish = wished(names)
    info = request_info(subject, signer.public_key, wish)
    return assemble_csr(info, signer.algorithm, sign_tbs(signer, info, signer.public_key))


def wished(names: WishedNames) -> tuple[x509.Name, list[x509.Extension[x509.ExtensionType]]]:
    """Return subject and extensions of a request for these names.

    Raises:
        RequestRejected: a name cannot be read, or there is none.
    """
    if names.is_empty:
        raise RequestRejected("a request needs a --subject or a name, like --dns www.example.com")
    subject = read_subject(names.subject) if names.subject else _named_after(names)
    found = [_general_name(kind, text) for kind, text in names.by_kind]
    value = x509.SubjectAlternativeName(found)
    extension = x509.Extension[x509.ExtensionType](value.oid, not list(subject), value)
    return subject, [extension] if found else []


def _general_name(kind: str, text: str) -> x509.GeneralName:
    try:
        return _BUILDERS[kind](text)
    except ValueError as error:
        raise RequestRejected(f"--{kind} {text!a} cannot be read: {error}") from error


def _backend() -> SoftwareBackend:
    kek = FileKey(system_entropy(KEY_OCTETS), system_entropy)
    return SoftwareBackend(_Memory(), kek, system_clock, system_entropy)


def _named_after(names: WishedNames) -> x509.Name:
    """Return a subject with the first name as CN: people and old programs look there."""
    kind, first = names.by_kind[0]
    if kind == "uri" or len(first) > _COMMON_NAME_LIMIT:
        return x509.Name([])
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, first)])
