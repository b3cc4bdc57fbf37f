"""Keys that the server's backends keep: listed, made, brought in, handed out, removed."""

from collections.abc import Iterator

from pikaserver.api.errors import Conflict, NotFound, RequestRejected
from pikaserver.api.signing import (
    KeyDescription,
    KeyExporter,
    KeyImporter,
    KeyReference,
    KeyRemover,
    SignerBackend,
)
from pikaserver.asn1.algorithms import default_algorithm
from pikaserver.cli.cert.wished_names import WishedNames
from pikaserver.cli.invocation import Invocation
from pikaserver.cli.local_keys import csr_of
from pikaserver.cli.opened import opened
from pikaserver.cli.output import Record
from pikaserver.server import PkiServer
from pikaserver.storage import authorities as storage


def described(server: PkiServer) -> Iterator[tuple[KeyDescription, str | None]]:
    """Yield every key with the authority that uses it."""
    users = _users(server)
    for backend in server.signers.backends().values():
        for key in backend.keys():
            yield key, users.get(key.public_key)


def key_row(key: KeyDescription, authority: str | None) -> Record:
    """Return the columns of a list."""
    return {
        "key": str(key.reference),
        "type": key.key_type,
        "authority": authority,
        "exportable": key.exportable,
        "state": key.state,
    }


def one_key(server: PkiServer, text: str) -> tuple[KeyDescription, str | None]:
    """Return one key with the authority that uses it.

    Raises:
        NotFound: there is none of this name.
        ConfigurationError: the text is no key reference.
    """
    reference = KeyReference.parse(text)
    backend = server.signers.backend(reference)
    for key in backend.keys():
        if key.reference == reference:
            return key, _users(server).get(key.public_key)
    raise NotFound(f"there is no key {text}")


def generate(server: PkiServer, text: str, kind: str, actor: str, *, exportable: bool) -> None:
    """Make a key.

    Raises:
        Conflict: there is one of that name.
    """
    reference = KeyReference.parse(text)
    server.signers.backend(reference).generate(reference, kind, exportable=exportable)
    _record(server, "key.generated", actor, text, key_type=kind)


def bring_in(server: PkiServer, text: str, pkcs8: bytes, actor: str, *, exportable: bool) -> None:
    """Store a key that was made elsewhere.

    Raises:
        Conflict: there is one of that name.
        RequestRejected: that backend takes no keys.
    """
    reference = KeyReference.parse(text)
    backend = server.signers.backend(reference)
    if not isinstance(backend, KeyImporter):
        raise _unable(backend, "takes no keys from elsewhere")
    backend.import_key(reference, pkcs8, exportable=exportable)
    _record(server, "key.imported", actor, text, exportable=exportable)


def hand_out(server: PkiServer, text: str, actor: str) -> bytes:
    """Return a private key (PKCS#8 DER); the audit trail tells of it before it leaves.

    Raises:
        NotAllowed: it was not made exportable.
        RequestRejected: keys never leave that backend.
    """
    key, _ = one_key(server, text)
    backend = server.signers.backend(key.reference)
    if not isinstance(backend, KeyExporter):
        raise _unable(backend, "never hands out keys")
    pkcs8 = backend.export_key(key.reference)
    _record(server, "key.exported", actor, text)
    return pkcs8


def remove(server: PkiServer, text: str, actor: str) -> None:
    """Destroy a key that no authority uses.

    Raises:
        Conflict: an authority uses it, or used it: its CRLs need it.
        RequestRejected: that backend destroys no keys.
    """
    key, authority = one_key(server, text)
    check_unused(key, authority)
    backend = server.signers.backend(key.reference)
    if not isinstance(backend, KeyRemover):
        raise _unable(backend, "destroys no keys; its device does")
    backend.remove_key(key.reference)
    _record(server, "key.removed", actor, text)


def check_unused(key: KeyDescription, authority: str | None) -> None:
    """Return when no authority stands on this key.

    Raises:
        Conflict: one does.
    """
    if authority is not None:
        raise Conflict(
            f"key {key.reference} belongs to authority {authority!r}: without it there would be "
            "no certificates and no CRLs any more"
        )


def csr_with_server_key(
    invocation: Invocation, text: str, names: WishedNames, hash_name: str | None, *, pss: bool
) -> bytes:
    """Return a CSR (DER) over a key that the server keeps; the audit trail knows of it first."""
    with opened(invocation) as server:
        key, _ = one_key(server, text)
        algorithm = default_algorithm(key.key_type, hash_name, pss=pss)
        _record(server, "csr.signing", invocation.actor, text, subject=names.subject or "")
        return csr_of(server.signers.open(key.reference, algorithm), names)


def _users(server: PkiServer) -> dict[bytes, str]:
    """Return who uses which key; authorities that wait for their certificate count, too."""
    found: dict[bytes, str] = {}
    with server.database.reading() as connection:
        for record, _ in storage.load_all(connection):
            for public_key in storage.public_keys(connection, record.id):
                found[public_key] = record.name
    return found


def _record(server: PkiServer, event: str, actor: str, key: str, **fields: str | bool) -> None:
    with server.database.transaction() as connection:
        server.audit.record(connection, event, actor, key=key, **fields)


def _unable(backend: SignerBackend, what: str) -> RequestRejected:
    return RequestRejected(f"the place {backend.scheme!r} {what}")
