"""Who asks has the private key: a signature proves it, a statement (RFC 9883), or a challenge."""

from dataclasses import dataclass

from cryptography import x509

from pikaserver.api.certificates import CertificateRecord
from pikaserver.api.errors import MalformedRequest, NotFound, RequestRejected
from pikaserver.api.issuance import EnrollmentRequest
from pikaserver.api.templates import Template
from pikaserver.asn1.algorithms import key_type
from pikaserver.asn1.certificate import public_key_of
from pikaserver.asn1.csr import verify_possession
from pikaserver.asn1.kem_keys import KEM_KEY_TYPES
from pikaserver.asn1.possession_statements import (
    PossessionStatement,
    read_statement,
    verify_statement,
)
from pikaserver.authority.decisions import DecisionTrace
from pikaserver.authority.holder_certificates import HolderCertificates, same_holder
from pikaserver.authority.key_challenges import ChallengeBook

ANY_NAMES = "any"
"""What a template says where a statement may be about another holder than its signer."""


@dataclass(frozen=True, slots=True)
class Possession:
    """The one check of possession, for every door."""

    holders: HolderCertificates
    challenges: ChallengeBook

    def check(
        self,
        request: EnrollmentRequest,
        template: Template,
        trace: DecisionTrace,
        *,
        proved: bool = False,
    ) -> None:
        """Return when possession is proved.

        ``proved`` says that the very same request came before, and proved it then.

        Raises:
            MalformedRequest: it is not proved.
            RequestRejected: the template does not take such a proof, or its signer does not
                count.
        """
        csr = request.csr
        statement = read_statement(csr)
        if key_type(csr.public_key) not in KEM_KEY_TYPES:
            if statement is not None:
                why = "a key that signs proves its possession itself (RFC 9883 section 4)"
                trace.refuse("possession", "a statement", why)
            # Old devices, which speak SCEP only, have no better hashes.
            weak = template.scep.compatibility if request.door == "scep" else ()
            verify_possession(csr, weak=weak)
            trace.allow("possession", "signature of the request", "made with the key in it")
        elif statement is not None:
            self._check_statement(request, template, statement, trace)
        elif request.answer is not None or proved:
            self._check_answer(request, template, trace)
        else:
            why = (
                f"a {key_type(csr.public_key)} key cannot sign: the request needs a statement of"
                " possession (RFC 9883), or the answer to a challenge"
            )
            trace.leave_out("possession", "nothing", why)
            raise MalformedRequest(why)

    def _check_answer(
        self, request: EnrollmentRequest, template: Template, trace: DecisionTrace
    ) -> None:
        asked = "the answer to a challenge"
        if not template.kem.challenge:
            trace.refuse("possession", asked, "the template takes no answers: kem.challenge")
        if request.answer is None:
            trace.allow("possession", asked, "the same request proved it before")
            return
        self.challenges.check(request.csr, request.answer)
        trace.allow("possession", asked, "only the key opens what was sealed for it")

    def _check_statement(
        self,
        request: EnrollmentRequest,
        template: Template,
        statement: PossessionStatement,
        trace: DecisionTrace,
    ) -> None:
        asked = "a statement of possession"
        if not template.kem.statement:
            trace.refuse("possession", asked, "the template takes no statements: kem.statement")
        try:
            record = self.holders.named(statement.signer, statement.serial)
            certificate = self.holders.check(record)
        except (NotFound, RequestRejected) as problem:
            trace.refuse("possession", asked, f"{problem} (RFC 9883 section 4)")
        _check_signer(record, certificate, template, trace)
        verify_statement(request.csr, public_key_of(certificate))
        csr = request.csr
        if template.kem.names != ANY_NAMES and not same_holder(certificate, csr.subject, csr.names):
            why = "subject and names are not those of the certificate that signed (RFC 9883)"
            trace.refuse("possession", csr.subject.rfc4514_string(), why)
        why = f"signed by the key of {certificate.subject.rfc4514_string()}"
        trace.allow("possession", asked, why)


def _check_signer(
    record: CertificateRecord,
    certificate: x509.Certificate,
    template: Template,
    trace: DecisionTrace,
) -> None:
    asked = certificate.subject.rfc4514_string()
    trusted = template.client_authorities or frozenset({template.authority})
    if record.authority not in trusted:
        why = f"certificates of authority {record.authority!r} do not count for this template"
        trace.refuse("possession", asked, why)
    try:
        usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound:
        return
    if not usage.digital_signature:
        trace.refuse("possession", asked, "its certificate is not for signatures")
