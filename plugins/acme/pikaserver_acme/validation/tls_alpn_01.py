"""tls-alpn-01 (RFC 8737, RFC 8738 section 6): a certificate that carries the key authorization."""

import hashlib
import ipaddress
import socket
import ssl
from contextlib import closing
from hmac import compare_digest

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

from pikaserver.api.errors import MalformedRequest
from pikaserver.asn1 import der
from pikaserver.asn1.certificate import read_certificate
from pikaserver_acme.validation.attempt import Failed
from pikaserver_acme.validation.http_exchange import unverified
from pikaserver_acme.validation.lookout import Lookout
from pikaserver_acme.validation.question import Question

PROTOCOL = "acme-tls/1"
ACME_IDENTIFIER = x509.ObjectIdentifier("1.3.6.1.5.5.7.1.31")


def check(question: Question, lookout: Lookout) -> None:
    """Return when the certificate is the one that the account was asked to make.

    Raises:
        Failed: it is not, or nobody shows one.
    """
    host, port = question.identifier_value, question.limits.tls_port
    with closing(lookout.connect(host, port)) as line:
        certificate = _shown(line, server_name(question), lookout)
    lookout.attempt.note(f"got a certificate of {len(certificate)} octets from {host} port {port}")
    try:
        _compare(read_certificate(certificate), question)
    except MalformedRequest as error:
        raise Failed("unauthorized", f"the certificate cannot be read: {error}") from error


def server_name(question: Question) -> str:
    """Return what the server is asked for: an address by its name in the reverse tree."""
    if question.identifier_type == "ip":
        return ipaddress.ip_address(question.identifier_value).reverse_pointer
    return question.identifier_value


def _shown(line: socket.socket, name: str, lookout: Lookout) -> bytes:
    context = unverified()
    context.set_alpn_protocols([PROTOCOL])
    line.settimeout(lookout.attempt.remaining())
    try:
        wrapped = context.wrap_socket(line, server_hostname=name, do_handshake_on_connect=False)
        with closing(wrapped) as secured:
            secured.do_handshake()
            if secured.selected_alpn_protocol() != PROTOCOL:
                raise Failed("unauthorized", f"the server does not speak {PROTOCOL}")
            return secured.getpeercert(binary_form=True) or b""
    except ssl.SSLError as error:
        raise Failed("tls", f"no TLS for {name}: {error.reason or error}", again=True) from error
    except (OSError, ValueError) as error:
        why = f"no TLS for {name}: {error}"
        raise Failed("connection", why, again=True) from error


def _compare(certificate: x509.Certificate, question: Question) -> None:
    _check_self_signed(certificate)
    wanted: x509.GeneralName
    if question.identifier_type == "ip":
        wanted = x509.IPAddress(ipaddress.ip_address(question.identifier_value))
    else:
        wanted = x509.DNSName(question.identifier_value)
    if _names(certificate) != [wanted]:
        raise Failed("unauthorized", f"the certificate should name {wanted.value} and nothing else")
    digest = hashlib.sha256(question.key_authorization.encode()).digest()
    if not compare_digest(_acme_identifier(certificate), der.octet_string(digest)):
        raise Failed("unauthorized", "the certificate carries another key authorization")


def _check_self_signed(certificate: x509.Certificate) -> None:
    try:
        certificate.verify_directly_issued_by(certificate)
    except (InvalidSignature, TypeError, UnsupportedAlgorithm, ValueError) as error:
        raise Failed("unauthorized", "the certificate is not self-signed") from error


def _names(certificate: x509.Certificate) -> list[x509.GeneralName]:
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return []
    return [
        x509.DNSName(name.value.lower()) if isinstance(name, x509.DNSName) else name
        for name in found.value
    ]


def _acme_identifier(certificate: x509.Certificate) -> bytes:
    try:
        found = certificate.extensions.get_extension_for_oid(ACME_IDENTIFIER)
    except x509.ExtensionNotFound:
        raise Failed("unauthorized", "the certificate has no acmeIdentifier") from None
    if not found.critical or not isinstance(found.value, x509.UnrecognizedExtension):
        raise Failed("unauthorized", "the certificate's acmeIdentifier is not critical")
    return found.value.value
