"""``fullcmc``: requests and answers in CMC (RFC 7030 section 4.3, RFC 5272)."""

from collections.abc import Callable, Sequence

import falcon

from pikaserver.api.errors import (
    MalformedRequest,
    NotAllowed,
    PikaserverError,
)
from pikaserver.api.issuance import CertificationRequest
from pikaserver.api.server import Server
from pikaserver.api.templates import Template
from pikaserver.asn1 import cmc
from pikaserver.asn1.algorithms import key_type
from pikaserver.asn1.ber import definite
from pikaserver.asn1.cmc import PkiData
from pikaserver.asn1.cmc_possession import DecryptedPop, read_decrypted_pop
from pikaserver.asn1.crmf import read_any_request
from pikaserver.asn1.csr import verify_possession
from pikaserver.asn1.digests import digest
from pikaserver.asn1.kem_keys import KEM_KEY_TYPES
from pikaserver.asn1.signed_data import Signed, digest_of, signed_attributes, signed_data
from pikaserver.asn1.signed_data_reading import ReadSignedData, read_signed_data
from pikaserver_est import messages
from pikaserver_est.answers import (
    WrongContentType,
    answer_base64,
    answer_outcome,
)
from pikaserver_est.asking import media_type, read_body, wish
from pikaserver_est.cmc_answers import Answer, PossessionNotProved
from pikaserver_est.cmc_deeds import Deeds, Done
from pikaserver_est.cmc_pairs import ask_for_pair
from pikaserver_est.cmc_signers import requester_of
from pikaserver_est.kem_challenges import Challenger, PossessionRequired, is_to_be_challenged
from pikaserver_est.key_delivery import service_use
from pikaserver_est.linking import check_linking

Deed = Callable[[int, bytes], Done]

_PASSED_OVER = frozenset(
    {cmc.TRANSACTION_ID, cmc.SENDER_NONCE, cmc.RECIPIENT_NONCE, cmc.DATA_RETURN, cmc.REG_INFO}
)
_NONCE_OCTETS = 16


class FullCmc:
    """``POST /.well-known/est[/<template>]/fullcmc``; a simple request is taken, too."""

    def __init__(self, server: Server, default_template: str) -> None:
        self._server = server
        self._default = default_template

    def on_post(
        self, request: falcon.Request, response: falcon.Response, label: str | None = None
    ) -> None:
        """Answer a full request in full, a simple one (RFC 5272 section 3.1) simply."""
        template = self._server.templates.get(label or self._default)
        if not template.est.full_cmc:
            raise NotAllowed(f"template {template.name!r} takes no requests in CMC")
        kind = media_type(request, messages.CMC_TYPE)
        if kind == messages.REQUEST_TYPE:
            self._simple(request, response, template)
            return
        if kind != messages.CMC_TYPE:
            raise WrongContentType(messages.CMC_TYPE, kind)
        self._full(request, response, template)

    def _simple(
        self, request: falcon.Request, response: falcon.Response, template: Template
    ) -> None:
        requester = self._server.authenticate(request, ("code", "certificate"))
        csr = read_body(request)
        check_linking(request, csr, requester, template)
        outcome = self._server.enroll(wish(request, csr, requester, template.name))
        answer_outcome(request, response, outcome)

    def _full(self, request: falcon.Request, response: falcon.Response, template: Template) -> None:
        answer, data = Answer(), PkiData((), ())
        try:
            octets = messages.read_octets(request.bounded_stream.read())
            signed = read_message(octets)
            data = cmc.read_pki_data(signed.content or b"")
            self._work(request, template, signed, data, answer)
        except PikaserverError as error:
            answer.fail(error)
        self._answer(request, response, template, answer, data)

    def _work(
        self,
        request: falcon.Request,
        template: Template,
        signed: ReadSignedData,
        data: PkiData,
        answer: Answer,
    ) -> None:
        csrs = [read_any_request(one.der) for one in data.requests]
        requester = requester_of(self._server, request, signed, csrs)
        named = data.value(cmc.TRANSACTION_ID) or signed.content or b""
        deeds = Deeds(self._server, request, template, requester, named)
        known = _known(deeds)
        taken = _PASSED_OVER.union(known, {cmc.DECRYPTED_POP})
        strange = [one for one in data.controls if one.kind not in taken]
        if strange:
            # RFC 5272 section 6: whoever does not know a control does nothing of the rest.
            kinds = ", ".join(sorted({one.kind for one in strange}))
            error = MalformedRequest(f"the controls {kinds} are not known here")
            answer.fail(error, *(one.body_part for one in strange))
            return
        for control in data.controls:
            deed = known.get(control.kind)
            if deed is not None:
                _attempt(answer, control.body_part, deed, _only(control))
        told = _decrypted(data)
        if ask_for_pair(template, csrs):
            _attempt_pair(answer, deeds, [one.body_part for one in data.requests], csrs)
            return
        for wished, csr in zip(data.requests, csrs, strict=True):
            _attempt_enrolment(answer, deeds, wished, csr, told.get(wished.body_part))

    def _answer(
        self,
        request: falcon.Request,
        response: falcon.Response,
        template: Template,
        answer: Answer,
        data: PkiData,
    ) -> None:
        content = cmc.write_pki_response(self._controls(answer, data))
        key = self._server.services.get(service_use(template.authority))
        attributes = signed_attributes(cmc.PKI_RESPONSE, digest(digest_of(key.algorithm), content))
        signature = key.sign(attributes, content)
        signed = Signed(key.certificate, key.algorithm, attributes, signature)
        certificates = dict.fromkeys((*answer.certificates, key.certificate, *key.chain))
        octets = signed_data(cmc.PKI_RESPONSE, content, signed, tuple(certificates), answer.crls)
        answer_base64(request, response, messages.CMC_RESPONSE_TYPE, octets)
        response.status = falcon.code_to_http_status(answer.status.value)
        if answer.retry_after is not None:
            response.set_header("Retry-After", str(answer.retry_after))

    def _controls(self, answer: Answer, data: PkiData) -> Sequence[bytes]:
        """Return the controls of the answer: outcomes first, then what the client wants back."""
        values = [(cmc.STATUS_INFO_V2, cmc.write_outcome(one)) for one in answer.outcomes]
        values += [(cmc.ENCRYPTED_POP, challenge) for challenge in answer.challenges]
        for asked, told in (
            (cmc.TRANSACTION_ID, cmc.TRANSACTION_ID),
            (cmc.SENDER_NONCE, cmc.RECIPIENT_NONCE),
            (cmc.DATA_RETURN, cmc.DATA_RETURN),
        ):
            found = [one for one in data.controls if one.kind == asked]
            values += [(told, value) for one in found for value in one.values]
            if asked == cmc.SENDER_NONCE and found:
                values.append(
                    (cmc.SENDER_NONCE, cmc.write_nonce(self._server.entropy(_NONCE_OCTETS)))
                )
        return [
            cmc.write_control(number, kind, value)
            for number, (kind, value) in enumerate(values, start=1)
        ]


def read_message(octets: bytes) -> ReadSignedData:
    """Read SignedData over PKIData; BER is read as well.

    Raises:
        MalformedRequest: it is something else.
    """
    signed = read_signed_data(definite(octets, limit_octets=messages.BODY_LIMIT_OCTETS))
    if signed.content_type != cmc.PKI_DATA:
        raise MalformedRequest(f"expected PKIData, found content of type {signed.content_type}")
    return signed


def _known(deeds: Deeds) -> dict[str, Deed]:
    return {
        cmc.GET_CERT: deeds.get_cert,
        cmc.GET_CRL: deeds.get_crl,
        cmc.REVOKE_REQUEST: deeds.revoke,
        cmc.QUERY_PENDING: deeds.query_pending,
    }


def _only(control: cmc.Control) -> bytes:
    return control.values[0] if len(control.values) == 1 else b""


def _attempt(answer: Answer, body_part: int, deed: Deed, value: bytes) -> None:
    try:
        answer.add(deed(body_part, value))
    except PikaserverError as error:
        answer.fail(error, body_part)


def _decrypted(data: PkiData) -> dict[int, DecryptedPop]:
    """Return the answers to challenges by the requests that they are for."""
    found = [one for one in data.controls if one.kind == cmc.DECRYPTED_POP]
    answers = [read_decrypted_pop(_only(one)) for one in found]
    told = {one.body_part: one for one in answers}
    if len(told) != len(answers) or told.keys() - data.tagged.keys():
        raise MalformedRequest("an answer to a challenge belongs to no request, or is there twice")
    return told


def _attempt_enrolment(
    answer: Answer,
    deeds: Deeds,
    wished: cmc.WishedCertificate,
    csr: CertificationRequest,
    told: DecryptedPop | None,
) -> None:
    try:
        if is_to_be_challenged(csr):
            answer.add(_challenged(deeds, wished, csr, told))
            return
        if key_type(csr.public_key) not in KEM_KEY_TYPES:
            _check_possession(csr)
        answer.add(deeds.enroll(wished.body_part, csr))
    except PossessionRequired as challenge:
        answer.challenges.append(challenge.control)
        answer.fail(challenge, wished.body_part)
    except PikaserverError as error:
        answer.fail(error, wished.body_part)


def _attempt_pair(
    answer: Answer, deeds: Deeds, body_parts: Sequence[int], csrs: Sequence[CertificationRequest]
) -> None:
    """Ask for both, or for none: one outcome tells of both body parts."""
    try:
        for csr in csrs:
            if key_type(csr.public_key) not in KEM_KEY_TYPES:
                _check_possession(csr)
        answer.add(deeds.enroll_pair(body_parts, csrs))
    except PikaserverError as error:
        answer.fail(error, *body_parts)


def _challenged(
    deeds: Deeds,
    wished: cmc.WishedCertificate,
    csr: CertificationRequest,
    told: DecryptedPop | None,
) -> Done:
    challenger = Challenger(deeds.server, deeds.requester)
    if told is None:
        raise challenger.challenge(csr, wished.tagged)
    given = challenger.answer(csr, wished.tagged, told)
    done = deeds.enroll(wished.body_part, csr, given)
    challenger.forget(csr)
    return done


def _check_possession(csr: CertificationRequest) -> None:
    try:
        verify_possession(csr)
    except MalformedRequest as error:
        raise PossessionNotProved(str(error)) from None
