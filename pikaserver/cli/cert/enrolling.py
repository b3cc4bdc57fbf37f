"""The operator's requests go down the one road; keys that were made for them are kept first."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from pikaserver.api.certificates import CertificateQuery
from pikaserver.api.errors import (
    PikaserverError,
    RequestRejected,
    SignatureFaulty,
    StorageUnavailable,
)
from pikaserver.api.issuance import CertificationRequest, EnrollmentRequest, Issued, Pending
from pikaserver.api.pairs import IssuedPair
from pikaserver.authority.enroll import DryRun
from pikaserver.authority.requests import key_hash
from pikaserver.cli.cert.options import IssueOptions
from pikaserver.cli.cert.pair_options import PairOptions
from pikaserver.cli.cert.pairing import SecondWish
from pikaserver.cli.files import write_secret
from pikaserver.clock import system_entropy
from pikaserver.server import PkiServer
from pikaserver.signing.private_keys import write_private_key


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key (PKCS#8 DER) that was made for a request, and where it is kept."""

    pkcs8: bytes
    csr: CertificationRequest
    path: Path
    passphrase: bytes | None = None


def keys_to_keep(
    wish: IssueOptions,
    pairing: PairOptions,
    first: tuple[bytes | None, CertificationRequest],
    second: SecondWish | None,
    passphrase: bytes | None,
) -> list[NewKey]:
    """Return the new keys that are to be written before anything is signed."""
    keys = []
    pkcs8, csr = first
    if pkcs8 is not None and wish.key_out is not None:
        keys.append(NewKey(pkcs8, csr, wish.key_out, passphrase if wish.encrypt_key else None))
    if second is not None and second.key is not None and pairing.pair_key_out is not None:
        keys.append(NewKey(second.key, second.csr, pairing.pair_key_out))
    return keys


def check_approval(server: PkiServer, wish: IssueOptions, second: SecondWish | None) -> None:
    """Refuse a request that has to wait while nobody keeps its key.

    Raises:
        RequestRejected: it would.
    """
    if wish.csr is not None or wish.key_out is not None:
        return
    template = server.templates.get(wish.template)
    pair = None if second is None else second.template or template.related.pair
    if template.approval or (pair is not None and server.templates.get(pair).approval):
        raise RequestRejected("somebody has to approve first: keep the key with --key-out")


def enroll(
    server: PkiServer, request: EnrollmentRequest, second: SecondWish | None, keys: list[NewKey]
) -> Issued | IssuedPair | Pending:
    """Keep the keys first: a certificate whose key is lost is of no use to anybody.

    Raises:
        PikaserverError: as the road does; keys for which nothing was signed are gone again.
    """
    with ExitStack() as stack:
        for key in keys:
            stack.enter_context(_kept(key, lambda csr: _is_used(server, csr)))
        if second is None:
            return server.enroll(request)
        return server.pairs.enroll_by(request, second.csr, second.template)


def dry_run(server: PkiServer, request: EnrollmentRequest, second: SecondWish | None) -> DryRun:
    """Return what would come of it."""
    if second is None:
        return server.enrollment.dry_run(request)
    return server.pairs.dry_run(request, second.csr, second.template)


@contextmanager
def _kept(key: NewKey, is_used: Callable[[CertificationRequest], bool]) -> Iterator[None]:
    write_secret(key.path, write_private_key(key.pkcs8, key.passphrase, system_entropy))
    try:
        yield
    except (StorageUnavailable, SignatureFaulty):
        # The certificate may be found later, and then its key is wanted.
        raise
    except PikaserverError:
        if not is_used(key.csr):
            key.path.unlink(missing_ok=True)
        raise


def _is_used(server: PkiServer, csr: CertificationRequest) -> bool:
    """Tell whether there is a certificate for a key, as for the first of a pair that failed."""
    query = CertificateQuery(key_hash=key_hash(csr.public_key), limit=1)
    return bool(server.certificates.find(query))
