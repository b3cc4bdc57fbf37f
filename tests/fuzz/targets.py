"""Every parser that reads what others wrote, and the only errors that it may answer with."""

import base64
import tempfile
from collections.abc import Callable, Mapping
from ipaddress import ip_network
from pathlib import Path

from pikaserver.api.errors import (
    ConfigurationError,
    MalformedRequest,
    RequestRejected,
)
from pikaserver.api.signing import KeyReference
from pikaserver.api.web import ClientConnection, TlsSession
from pikaserver.asn1 import serials
from pikaserver.asn1.chains import read_certificates
from pikaserver.asn1.cms import read_certificates_only
from pikaserver.asn1.csr import read_csr, read_csr_text, verify_possession
from pikaserver.asn1.der import check, read_pem
from pikaserver.authority.naming import forms
from pikaserver.authority.naming.rules import read_pattern
from pikaserver.authority.naming.subject_text import read_subject, write_subject
from pikaserver.authority.naming.subtrees import read_subtree
from pikaserver.authority.templates.documents import read_template, write_template
from pikaserver.authority.templates.durations import read_duration, write_duration
from pikaserver.settings.loading import check_host
from pikaserver.settings.sources import Kind, Layer, Origin, merge, read_file, read_variable
from pikaserver.signing.private_keys import read_key_file
from pikaserver.web.authentication import read_basic
from pikaserver.web.forwarded import ProxyRules, caller
from pikaserver.web.limits import Limits
from pikaserver.web.requests import Request
from pikaserver.web.strict import ChunkedBody, RequestRefused, read_head
from pikaserver_crl.messages import read_file_name
from pikaserver_est.messages import read_request
from tests.fuzz import seeds
from tests.fuzz.agent_targets import AGENT_TARGETS
from tests.fuzz.host_targets import HOST_TARGETS
from tests.fuzz.ocsp_targets import OCSP_TARGETS
from tests.fuzz.rest_targets import REST_TARGETS
from tests.fuzz.road import walk
from tests.fuzz.service_targets import SERVICE_TARGETS
from tests.fuzz.target import Target


def _text(parse: Callable[[str], object]) -> Callable[[bytes], object]:
    """Let a parser of text read octets as a command line gives them."""
    return lambda octets: parse(octets.decode("utf-8", "surrogateescape"))


def _header(parse: Callable[[str], object]) -> Callable[[bytes], object]:
    """Let a parser of a header read octets as WSGI gives them."""
    return lambda octets: parse(octets.decode("latin-1"))


def _csr(octets: bytes) -> None:
    verify_possession(read_csr(octets))


def _keys(octets: bytes) -> None:
    for passphrase in (None, seeds.PASSPHRASE):
        try:
            read_key_file(octets, passphrase)
        except MalformedRequest:
            continue


def _template(octets: bytes) -> None:
    template = read_template(octets.decode("utf-8", "surrogateescape"), name="fuzz", version=1)
    again = read_template(write_template(template), name="fuzz", version=1)
    if again != template:
        raise AssertionError("the template that was written is not the one that was read")


def _settings(octets: bytes) -> None:
    with tempfile.NamedTemporaryFile(suffix=".toml") as file:
        file.write(octets)
        file.flush()
        table = read_file(Path(file.name))
    check_host(merge([Layer(table, Origin(Kind.FILE, "fuzz.toml"))]))


def _duration(text: str) -> None:
    length = read_duration(text)
    if read_duration(write_duration(length)) != length:
        raise AssertionError("the duration that was written is not the one that was read")


def _subject(text: str) -> None:
    write_subject(read_subject(text))


def _pattern(text: str) -> None:
    for kind in ("dns", "ip", "email", "upn", "uri"):
        try:
            read_pattern(kind, text)
        except RequestRejected:
            continue


def _file_name(text: str) -> None:
    read_file_name(text, "crl", "crl.pem", "pem", "chain.pem")


_PEER = ClientConnection("fuzz", "10.0.0.1", TlsSession("TLSv1.3", "x", None))


def _proxy(header: str, certificate_header: str) -> Callable[[str], object]:
    rules = ProxyRules((ip_network("10.0.0.0/8"),), certificate_header)
    return lambda text: caller(_PEER, {header: text}, rules, is_proxy=True)


def _chunks(octets: bytes) -> None:
    body = bytearray()
    chunks = ChunkedBody(body.extend)
    half = len(octets) // 2
    used = chunks.received(octets[:half])
    if used == half:
        chunks.received(octets[half:])


def _request(octets: bytes) -> None:
    """Feed a listener's reader in three pieces; it never raises, it refuses."""
    request = Request(
        Limits(),
        lambda headers: caller(_PEER, headers, ProxyRules(), is_proxy=False),
        refuse=False,
    )
    third = len(octets) // 3 + 1
    for start in range(0, len(octets), third):
        piece = octets[start : start + third]
        while piece and not request.completed:
            piece = piece[request.received(piece) :]
    request.close()


def _texts(kind: str) -> Callable[[], list[bytes]]:
    return lambda: seeds.TEXTS[kind]


MALFORMED = (MalformedRequest,)
REJECTED = (RequestRejected,)
_DER_WORDS = (
    *(b"\x30\x80", b"\x24\x80", b"\x00\x00", b"\x30\x84\xff\xff\xff\xff", b"\x06\x03\x55\x04\x03"),
    *(
        b"\x02\x01\x00",
        b"\x01\x01\xff",
        b"\x0c\x00",
        b"\x1e\x02\xd8\x00",
        b"\x1c\x04\x00\x11\x00\x00",
    ),
)
_TEXT_WORDS = (
    *(
        b"\x00",
        b"..",
        b"*",
        b"%00",
        b"xn--",
        b"\xe2\x80\x8b",
        b"\xd0\xb0",
        b"\xef\xbc\x8e",
        b"\r\n",
    ),
    *(b"\xed\xa0\x80", b"\\", b"'", b'"', b"[", b"]", b"0x7f.1", b"9" * 5000, b"a." * 500, b"@"),
)
_TOML_WORDS = (
    *(b"[" * 500, b"a." * 3000 + b"a = 1\n", b"{a=" * 400, b"1979-05-27", b"inf", b"nan", b"'''"),
    *(
        b'"""',
        b"0x" + b"f" * 5000,
        b" = " + b"1" * 5000 + b"\n",
        b"1e400",
        b"\\u0000",
        b"true",
        b"[[a]]\n",
        b"\x00",
    ),
)
_HTTP_WORDS = (
    *(b"\r\n", b"\n", b"\r", b"\x00", b"Transfer-Encoding: chunked\r\n", b"Content-Length: 5\r\n"),
    *(
        b"Host: b\r\n",
        b" ",
        b"\t",
        b"%",
        b"%00",
        b"#",
        b"+5",
        b"0x5",
        b"5;a=b",
        b"ffffffff\r\n",
        b"\xff",
    ),
)

TARGETS: Mapping[str, Target] = {
    **OCSP_TARGETS,
    **REST_TARGETS,
    **SERVICE_TARGETS,
    "der": Target(check, MALFORMED, seeds.requests, _DER_WORDS, is_der=True),
    "csr": Target(_csr, MALFORMED, seeds.requests, _DER_WORDS, is_der=True),
    "csr-text": Target(read_csr_text, MALFORMED, seeds.pems, (b"-----BEGIN ", b"-----", b"=")),
    "road": Target(walk, (), seeds.request_infos, _DER_WORDS, is_der=True),
    "est-body": Target(read_request, MALFORMED, seeds.bodies, (b"=", b"\n", b"0", b"-----BEGIN ")),
    "pem": Target(
        lambda octets: read_pem(octets, "CERTIFICATE"),
        MALFORMED,
        seeds.pems,
        (b"-----BEGIN A-----",),
    ),
    "cms": Target(read_certificates_only, MALFORMED, seeds.bags, _DER_WORDS, is_der=True),
    "certificates": Target(
        read_certificates,
        MALFORMED,
        lambda: [*seeds.certificates(), *seeds.bags(), *seeds.pems()],
        _DER_WORDS,
        is_der=True,
    ),
    "private-key": Target(
        _keys,
        (MalformedRequest, RequestRejected),
        seeds.key_files,
        _DER_WORDS,
        is_der=True,
        is_trusted=True,
    ),
    "template": Target(_template, REJECTED, seeds.templates, _TOML_WORDS),
    "settings": Target(
        _settings, (ConfigurationError,), lambda: seeds.SETTINGS, _TOML_WORDS, is_trusted=True
    ),
    "variable": Target(
        _text(read_variable),
        (ConfigurationError,),
        lambda: [b"[1, 2]", b"{a = 1}"],
        _TOML_WORDS,
        is_trusted=True,
    ),
    "http-head": Target(read_head, (RequestRefused,), lambda: seeds.HEADS, _HTTP_WORDS),
    "http-chunks": Target(_chunks, (RequestRefused,), lambda: seeds.CHUNKS, _HTTP_WORDS),
    "http-request": Target(
        _request,
        (),
        lambda: [f"{head.decode()}\r\n\r\n".encode() + seeds.CHUNKS[0] for head in seeds.HEADS],
        _HTTP_WORDS,
    ),
    "basic": Target(_header(read_basic), MALFORMED, _texts("basic"), (b"=", b"Og==", b"AAA=")),
    "client-cert": Target(
        _header(_proxy("CLIENT_CERT", "Client-Cert")),
        (RequestRefused,),
        lambda: [b":" + base64.b64encode(der) + b":" for der in seeds.certificates()],
        (b":", b"="),
    ),
    "escaped-cert": Target(
        _header(_proxy("X_SSL_CERT", "X-SSL-Cert")),
        (RequestRefused,),
        lambda: [pem.replace(b"\n", b"%0A").replace(b"+", b"%2B") for pem in seeds.pems()[2:4]],
        (b"%0A", b"%", b"%ff"),
    ),
    "forwarded": Target(
        _header(_proxy("FORWARDED", "Client-Cert")),
        (RequestRefused,),
        lambda: seeds.FORWARDED,
        (b"for=", b";", b",", b'"', b"unknown", b"_x"),
    ),
    "forwarded-for": Target(
        _header(_proxy("X_FORWARDED_FOR", "Client-Cert")),
        (RequestRefused,),
        lambda: seeds.FORWARDED,
    ),
    "serial": Target(_text(serials.read_serial), MALFORMED, _texts("serial"), _TEXT_WORDS),
    "dns-name": Target(
        _text(lambda text: forms.dns_name(text, wildcards=True)),
        REJECTED,
        _texts("dns"),
        _TEXT_WORDS,
    ),
    "email-name": Target(_text(forms.email_name), REJECTED, _texts("email"), _TEXT_WORDS),
    "upn-name": Target(_text(forms.upn_name), REJECTED, _texts("upn"), _TEXT_WORDS),
    "uri-name": Target(_text(forms.uri_name), REJECTED, _texts("uri"), _TEXT_WORDS),
    "subject": Target(_text(_subject), REJECTED, _texts("subject"), _TEXT_WORDS),
    "subtree": Target(_text(read_subtree), REJECTED, _texts("subtree"), _TEXT_WORDS),
    "pattern": Target(_text(_pattern), REJECTED, _texts("pattern"), _TEXT_WORDS),
    "key-reference": Target(
        _text(KeyReference.parse), (ConfigurationError,), _texts("key-reference"), _TEXT_WORDS
    ),
    "duration": Target(_text(_duration), REJECTED, _texts("duration"), _TEXT_WORDS),
    "file-name": Target(_text(_file_name), (), _texts("file-name"), _TEXT_WORDS),
    **AGENT_TARGETS,
    **HOST_TARGETS,
}
