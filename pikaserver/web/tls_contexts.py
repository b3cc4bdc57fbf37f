"""OpenSSL's contexts: protocols and ciphers, the server's identities, the trust in clients'.

Only TLS 1.2 and 1.3 with forward secrecy and AEAD (RFC 9325).  OpenSSL is the one inside
cryptography's wheel, so ML-DSA and X25519MLKEM768 do not depend on the host's.

Sessions are never resumed: a resumed one skips the verification of the client's certificate,
and its channel binding ``tls-unique`` could be forged (RFC 7627 section 1).
"""

import logging
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from OpenSSL import SSL, crypto

from pikaserver.api.errors import ConfigurationError
from pikaserver.web.tls_lines import Judge, reason

ClientCertificates = Literal["none", "optional", "required"]

TLS_1_2_CIPHERS = b"ECDHE+AESGCM:ECDHE+CHACHA20"
HTTP_1_1 = b"http/1.1"
LONGEST_CHAIN = 8
"""Authorities between a client and its anchor: each costs a verification, whoever it is."""
ENCRYPTED = re.compile(rb"^(-----BEGIN ENCRYPTED |Proc-Type: *4, *ENCRYPTED)", re.MULTILINE)

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class TlsIdentity:
    """Who the server is: chain (leaf first) and key as PEM, and a token that changes with them."""

    chain: bytes
    key: bytes = field(repr=False)
    version: str

    def certificate(self) -> x509.Certificate:
        """Return the server's own certificate.

        Raises:
            ConfigurationError: there is none.
        """
        try:
            return x509.load_pem_x509_certificates(self.chain)[0]
        except ValueError as error:
            raise ConfigurationError("the TLS certificate is not a PEM certificate") from error


def build_context(
    identities: Sequence[TlsIdentity], anchors: Sequence[bytes], ask: ClientCertificates
) -> SSL.Context:
    """Return a context for new connections.

    Of several identities a client gets the first in OpenSSL's order that it can verify: ML-DSA
    before the classical ones.

    Raises:
        ConfigurationError: certificate and key cannot be served.
    """
    context = SSL.Context(SSL.TLS_SERVER_METHOD)
    context.set_min_proto_version(SSL.TLS1_2_VERSION)
    context.set_options(
        SSL.OP_NO_RENEGOTIATION
        | SSL.OP_NO_COMPRESSION
        | SSL.OP_NO_TICKET
        | SSL.OP_CIPHER_SERVER_PREFERENCE
    )
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    # A silent connection gives OpenSSL's buffers back.
    context.set_mode(SSL.MODE_RELEASE_BUFFERS)
    context.set_cipher_list(TLS_1_2_CIPHERS)
    context.set_alpn_select_callback(
        lambda _tls, offered: HTTP_1_1 if HTTP_1_1 in offered else SSL.NO_OVERLAPPING_PROTOCOLS
    )
    _check_kinds(identities)
    for identity in identities:
        _load_identity(context, identity)
    if ask != "none":
        required = ask == "required"
        mode = SSL.VERIFY_PEER | (SSL.VERIFY_FAIL_IF_NO_PEER_CERT * required)
        context.set_verify(mode, Judge(strict=required))
        context.set_verify_depth(LONGEST_CHAIN)
        _load_anchors(context, anchors)
    return context


def _check_kinds(identities: Sequence[TlsIdentity]) -> None:
    # OpenSSL has one place for each kind of key, and a second one would silently be the only one.
    try:
        kinds = {type(identity.certificate().public_key()) for identity in identities}
    except UnsupportedAlgorithm as error:
        raise ConfigurationError(f"the TLS certificate cannot be served: {error}") from error
    if len(kinds) < len(identities):
        raise ConfigurationError("two TLS certificates have keys of the same kind; one must go")


def _load_identity(context: SSL.Context, identity: TlsIdentity) -> None:
    if ENCRYPTED.search(identity.key):
        # OpenSSL would ask for the passphrase on the terminal and wait.
        raise ConfigurationError("the TLS key is encrypted; it must be readable as it is")
    with _said_of("the TLS key cannot be used"), _as_file(identity.key) as path:
        context.use_privatekey_file(path)
    with _said_of("the TLS certificate cannot be used"), _as_file(identity.chain) as path:
        context.use_certificate_chain_file(path)
    with _said_of("the TLS certificate and key do not belong together"):
        context.check_privatekey()


@contextmanager
def _said_of(what: str) -> Iterator[None]:
    try:
        yield
    except SSL.Error as error:
        raise ConfigurationError(f"{what}: {reason(error)}") from error


@contextmanager
def _as_file(octets: bytes) -> Iterator[str]:
    """Give octets a path.

    pyOpenSSL takes ML-DSA keys, and chains of several identities, from paths only.  The file
    lives in memory and has no name: the key never touches a disk, and nothing is left behind
    when the process dies in between.
    """
    with os.fdopen(os.memfd_create("pikaserver-tls", os.MFD_CLOEXEC), "wb") as file:
        file.write(octets)
        file.flush()
        yield f"/proc/self/fd/{file.fileno()}"


def _load_anchors(context: SSL.Context, anchors: Sequence[bytes]) -> None:
    store = context.get_cert_store()
    if store is None:
        raise ConfigurationError("OpenSSL has no room for trust anchors")
    # Each anchor is an end of its own: a client need not send what stands above it.
    store.set_flags(crypto.X509StoreFlags.PARTIAL_CHAIN)
    for anchor in anchors:
        try:
            certificate = x509.load_der_x509_certificate(anchor)
            store.add_cert(crypto.X509.from_cryptography(certificate))
        except (ValueError, crypto.Error) as error:
            # One authority that OpenSSL cannot read must not shut out the others' clients.
            logger.warning(
                "trust anchor not usable", extra={"event": "tls-anchor-bad", "why": str(error)}
            )
