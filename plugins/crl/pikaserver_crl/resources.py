"""CRLs, CA certificates and chains over plain HTTP (RFC 5280 section 4.2.1.13, RFC 4387)."""

import hashlib
from collections.abc import Iterator, Sequence
from functools import partial

import falcon
from cryptography import x509

from pikaserver.api.certificates import Authorities, AuthorityRecord, Generation
from pikaserver.api.crls import FULL_CRL, CrlContent, CrlRecord
from pikaserver.api.errors import NotFound
from pikaserver.api.server import Server
from pikaserver.asn1.cms import certificates_only
from pikaserver.asn1.der import pem_pieces, pem_size, write_pem
from pikaserver_crl import messages
from pikaserver_crl.downloads import Download, answer

CERTIFICATE_MAX_AGE = 3600
"""Seconds that a CA certificate may be kept: it changes rarely and never in a hurry."""

_PEM = "application/x-pem-file"
_LABEL = "X509 CRL"


class CrlFile:
    """``/crl/<authority>[.g<N>][-delta|-<shard>].crl``, and the same in PEM.

    With ``.g<N>`` it is a CRL of that key, as certificates name it, else of the current one.
    An authority whose own name ends like a shard's is found before the shard.
    """

    def __init__(self, server: Server, max_age: int) -> None:
        self._server = server
        self._max_age = max_age

    def on_get(self, request: falcon.Request, response: falcon.Response, name: str) -> None:
        """Answer the newest CRL."""
        file = messages.read_crl_name(name, self._server.authorities.names())
        if file is None:
            raise NotFound(f"no CRL {name!r} here")
        record = self._server.crls.latest(file.authority, file.generation, file.scope)
        pem = file.form != "crl"
        answer(request, response, crl_download(self._server, record, self._max_age, pem=pem))


class AuthorityFile:
    """``/ca/<authority>[.g<N>]`` with the endings ``.cer``, ``.pem``, ``.chain.pem``, ``.p7c``.

    The first two are the certificate, the third has all above it too, the last has all
    certificates that this authority's keys ever got, as caIssuers wants them (RFC 5280
    section 4.2.2.1).
    """

    def __init__(self, server: Server) -> None:
        self._server = server

    def on_get(self, request: falcon.Request, response: falcon.Response, name: str) -> None:
        """Answer the certificates."""
        file = messages.read_file_name(name, "cer", "pem", "chain.pem", "p7c")
        if file is None:
            raise NotFound(f"no CA certificate {name!r} here")
        authority = self._server.authorities.get(file.authority)
        generation = _generation(authority, file.generation)
        if file.form == "p7c":
            known = authority.generations if file.generation is None else (generation,)
            certificates = [der for one in known for der in (one.certificate, *one.others)]
            content_type = "application/pkcs7-mime; smime-type=certs-only"
            octets = certificates_only(certificates)
        elif file.form == "cer":
            content_type, octets = "application/pkix-cert", generation.certificate
        else:
            chain = generation.chain if file.form == "chain.pem" else ()
            content_type, octets = _PEM, _certificates_pem(generation.certificate, *chain)
        answer(request, response, _ca_download(generation, content_type, octets))


class ChainDownload:
    """``/downloads/chain``: the default authority's certificate and all above it, in PEM.

    Chains that the settings name follow, such as the one above the server's own certificate.
    """

    def __init__(self, server: Server, authority: str | None, also: Sequence[str]) -> None:
        self._server = server
        self._authority = authority
        self._also = also

    def on_get(self, request: falcon.Request, response: falcon.Response) -> None:
        """Answer the chain."""
        name = self._authority or default_authority(self._server.authorities)
        generation = _generation(self._server.authorities.get(name), None)
        others = [_generation(self._server.authorities.get(one), None) for one in self._also]
        octets = b"".join(
            _certificates_pem(one.certificate, *one.chain) for one in (generation, *others)
        )
        answer(request, response, _ca_download(generation, _PEM, octets))


class CrlDownload:
    """``/downloads/crl``: the default authority's CRL in PEM, as servers' settings want it."""

    def __init__(self, server: Server, authority: str | None, max_age: int) -> None:
        self._server = server
        self._authority = authority
        self._max_age = max_age

    def on_get(self, request: falcon.Request, response: falcon.Response) -> None:
        """Answer the CRL."""
        name = self._authority or default_authority(self._server.authorities)
        record = self._server.crls.latest(name)
        answer(request, response, crl_download(self._server, record, self._max_age, pem=True))


def default_authority(authorities: Authorities) -> str:
    """Return the authority meant where none is named.

    It is ``issuing`` where there is one, else the newest that has another one above it,
    else the newest.

    Raises:
        NotFound: no authority has a certificate yet.
    """
    found: dict[bool, str] = {}
    for name in authorities.names():
        current = [one for one in authorities.get(name).generations if one.current]
        if current and name == "issuing":
            return name
        found.update({bool(one.chain): name for one in current})
    if not found:
        raise NotFound("no authority has a certificate yet")
    return found.get(True) or found[False]


def crl_download(server: Server, record: CrlRecord, max_age: int, *, pem: bool) -> Download:
    """Return a CRL, or its form in PEM; caches may keep it until the next one, within bounds."""
    left = int((record.next_update - server.clock()).total_seconds())
    scope = "" if record.scope == FULL_CRL else f"-{record.scope}"
    content = record.content
    return Download(
        pieces=partial(_crl_pem, content) if pem else content.pieces,
        size=pem_size(_LABEL, content.size) if pem else content.size,
        content_type=_PEM if pem else "application/pkix-crl",
        tag=f"{record.authority}.g{record.generation}{scope}.{record.number}"
        + (".pem" if pem else ""),
        modified=record.this_update,
        max_age=max(0, min(left, max_age)),
    )


def _crl_pem(content: CrlContent) -> Iterator[bytes]:
    return pem_pieces(_LABEL, content.pieces())


def _generation(authority: AuthorityRecord, number: int | None) -> Generation:
    for generation in authority.generations:
        if generation.number == number or (number is None and generation.current):
            return generation
    raise NotFound(f"the authority {authority.name!r} has no such certificate")


def _ca_download(generation: Generation, content_type: str, octets: bytes) -> Download:
    return Download(
        pieces=lambda: iter([octets]),
        size=len(octets),
        content_type=content_type,
        tag=hashlib.sha256(octets).hexdigest(),
        modified=x509.load_der_x509_certificate(generation.certificate).not_valid_before_utc,
        max_age=CERTIFICATE_MAX_AGE,
    )


def _certificates_pem(*certificates: bytes) -> bytes:
    return b"".join(write_pem("CERTIFICATE", der) for der in certificates)
