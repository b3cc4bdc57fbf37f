"""PKIOperation: octets in, a signed CertRep out, whatever came (RFC 8894 section 3)."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from pikaserver.api.errors import (
    AlgorithmRefused,
    Conflict,
    MalformedRequest,
    NotAllowed,
    NotAuthenticated,
    NotFound,
    PikaserverError,
    RequestRejected,
)
from pikaserver.api.server import Server
from pikaserver.api.services import ServiceKey
from pikaserver.api.templates import Template
from pikaserver.asn1.enveloped_data import Envelope, read_envelope
from pikaserver.asn1.signed_data import digest_of
from pikaserver.asn1.weak_signatures import WEAK_HASHES
from pikaserver_scep.asking import Asked
from pikaserver_scep.challenges.method import Challenges
from pikaserver_scep.enrolling import Done, Enrolling, Waiting
from pikaserver_scep.looking_up import LookingUp
from pikaserver_scep.messages import (
    FailInfo,
    Header,
    Message,
    MessageType,
    PkiStatus,
    Reply,
    UnknownMessageType,
    cert_rep,
    read_header,
    read_message,
    read_signed,
)
from pikaserver_scep.registrars import Registrar, Registrars
from pikaserver_scep.weak_algorithms import log_weak

NONCE_OCTETS = 16

FAIL_INFO: Mapping[type[PikaserverError], FailInfo] = {
    AlgorithmRefused: FailInfo.BAD_ALG,
    UnknownMessageType: FailInfo.BAD_REQUEST,
    MalformedRequest: FailInfo.BAD_MESSAGE_CHECK,
    NotAuthenticated: FailInfo.BAD_REQUEST,
    NotAllowed: FailInfo.BAD_REQUEST,
    RequestRejected: FailInfo.BAD_REQUEST,
    Conflict: FailInfo.BAD_REQUEST,
    NotFound: FailInfo.BAD_CERT_ID,
}
"""SCEP's word for each error; all others are told in HTTP's words, for they pass."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back, and in two words what it was about and how it ended."""

    octets: bytes
    operation: str
    outcome: str


@dataclass(slots=True)
class _Progress:
    """How far a message was understood: the answer is made of that."""

    header: Header
    message: Message | None = None
    registrar: Registrar | None = None


class Operations:
    """Reads messages, has them carried out, and writes the answers."""

    def __init__(
        self,
        server: Server,
        registrars: Registrars,
        challenges: Challenges,
        enrolling: Enrolling,
        looking_up: LookingUp,
    ) -> None:
        self._server = server
        self._registrars = registrars
        self._challenges = challenges
        self._deeds: Mapping[MessageType, Callable[[Asked], Reply]] = {
            MessageType.PKCS_REQ: lambda asked: self._enrolled(asked, enrolling.enrol(asked)),
            MessageType.RENEWAL_REQ: lambda asked: self._enrolled(asked, enrolling.enrol(asked)),
            MessageType.CERT_POLL: lambda asked: self._enrolled(asked, enrolling.poll(asked)),
            MessageType.GET_CERT: lambda asked: self._found(
                asked, certificate=looking_up.certificate(asked)
            ),
            MessageType.GET_CRL: lambda asked: self._found(asked, crl=looking_up.crl(asked)),
        }

    def answer(
        self, octets: bytes, template: Template, address: str | None, client: str | None = None
    ) -> Answer:
        """Return a CertRep; ``client`` is what the client calls itself over HTTP.

        Raises:
            NotAllowed: requests from this address are not taken.
            TooManyRequests: too many wrong passwords came from there.
            Unavailable: nothing can be signed or stored now.
        """
        self._challenges.check_address(template, address)
        progress = _Progress(Header())
        try:
            asked = self._asked(octets, template, progress)
            whose = replace(asked, address=address, client=client)
            reply = self._deeds[asked.message.kind](whose)
        except PikaserverError as error:
            reply = _failure(progress.header, error)
        registrar = progress.registrar or self._registrars.current(template.authority)
        key = _answering(registrar.signer, progress.message, template)
        rep = cert_rep(reply, key, self._server.entropy(NONCE_OCTETS))
        kind = progress.message.kind.name if progress.message else "unreadable"
        outcome = reply.status if reply.fail_info is None else reply.fail_info
        answer = Answer(rep, kind.lower().replace("_", "-"), outcome.name.lower().replace("_", "-"))
        _log.info(
            "message answered",
            extra={
                "event": "scep.answered",
                "operation": answer.operation,
                "outcome": answer.outcome,
                "template": template.name,
                "reason": reply.text,
            },
        )
        return answer

    def _asked(self, octets: bytes, template: Template, progress: _Progress) -> Asked:
        accepted = template.scep.compatibility
        signed = read_signed(octets)
        progress.header = read_header(signed)
        message = progress.message = read_message(signed, progress.header, accepted)
        envelope = read_envelope(message.content)
        _check_cipher(envelope, accepted)
        registrar = self._registrars.for_envelope(template.authority, envelope)
        progress.registrar = registrar
        log_weak("message", _weak(message, envelope), template)
        return Asked(message, envelope, template, registrar)

    def _enrolled(self, asked: Asked, outcome: Done | Waiting) -> Reply:
        if isinstance(outcome, Waiting):
            return Reply(asked.message.header, PkiStatus.PENDING)
        recipient = asked.recipient(outcome.password)
        content = asked.sealed(self._server.entropy, recipient, certificate=outcome.certificate)
        return Reply(asked.message.header, PkiStatus.SUCCESS, content=content)

    def _found(
        self, asked: Asked, *, certificate: bytes | None = None, crl: bytes | None = None
    ) -> Reply:
        content = asked.sealed(
            self._server.entropy, asked.recipient(), certificate=certificate, crl=crl
        )
        return Reply(asked.message.header, PkiStatus.SUCCESS, content=content)


def _failure(header: Header, error: PikaserverError) -> Reply:
    """Return the refusal that an error means, or raise it again where it is none."""
    for kind in type(error).__mro__:
        if kind in FAIL_INFO:
            return Reply(header, PkiStatus.FAILURE, FAIL_INFO[kind], str(error))
    raise error


def _answering(key: ServiceKey, message: Message | None, template: Template) -> ServiceKey:
    """Return the key as one that signs over the hash that the client signed over.

    A client that can do more says so by doing more; one that knows SHA-1 or MD5 alone was let
    in by its template.  A key that cannot follow answers over its own hash.
    """
    if message is None or message.digest == digest_of(key.algorithm):
        return key
    try:
        answering = key.with_hash(message.digest)
    except (Conflict, NotAllowed, RequestRejected) as error:
        _log.info("another hash", extra={"digest": message.digest, "reason": str(error)})
        return key
    log_weak("reply", {message.digest}.intersection(WEAK_HASHES), template)
    return answering


def _check_cipher(envelope: Envelope, accepted: frozenset[str]) -> None:
    name = envelope.cipher.name
    if envelope.cipher.legacy and name not in accepted:
        raise AlgorithmRefused(f"{name.upper()} is not accepted here")


def _weak(message: Message, envelope: Envelope) -> frozenset[str]:
    ciphers = {envelope.cipher.name} if envelope.cipher.legacy else set()
    return message.weak.union(ciphers)
