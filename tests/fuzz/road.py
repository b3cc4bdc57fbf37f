"""The one road, walked with signed requests of any content, without leaving a step."""

import atexit
import tempfile
from contextlib import ExitStack
from functools import cache
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from pikaserver.api.errors import MalformedRequest
from pikaserver.api.issuance import EnrollmentRequest, Requester
from pikaserver.asn1 import der
from pikaserver.asn1.algorithms import SIGNATURE_ALGORITHMS
from pikaserver.asn1.certificate import with_dummy_signature
from pikaserver.asn1.csr import read_csr
from pikaserver.asn1.names import general_name_text
from pikaserver.server import PkiServer
from pikaserver.testing.servers import make_server
from tests.fuzz import seeds

TEMPLATES = ("web", "device", "smime", "client", "code-signing", "kubernetes", "mqtt-client")


def walk(info: bytes) -> None:
    """Sign a CertificationRequestInfo with its own key and ask every template for it.

    Raises:
        AssertionError: a template would grant what it does not allow.
    """
    key = seeds.keys()[0]
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    signature = key.sign(info, ec.ECDSA(hashes.SHA256()))
    octets = der.signed(info, SIGNATURE_ALGORITHMS["ecdsa-sha256"].identifier, signature)
    try:
        csr = read_csr(octets)
    except MalformedRequest:
        return
    server = _server()
    for name in TEMPLATES:
        request = EnrollmentRequest(csr, Requester("fuzz", "operator"), name, "cli")
        outcome = server.enrollment.dry_run(request)
        if outcome.draft is None:
            assert outcome.error
            continue
        draft = with_dummy_signature(outcome.draft.new.tbs, outcome.draft.algorithm)
        _check(server, name, csr.names, draft)


def _check(
    server: PkiServer, name: str, asked: tuple[x509.GeneralName, ...], draft: x509.Certificate
) -> None:
    """A wish is a wish: no authority, no name of a kind that is closed, none that was not asked."""
    template = server.templates.get(name)
    constraints = draft.extensions.get_extension_for_class(x509.BasicConstraints).value
    assert constraints.ca == template.usage.ca
    kinds = {rules.kind for rules in template.names}
    for extension in draft.extensions:
        if isinstance(extension.value, x509.SubjectAlternativeName):
            texts = [general_name_text(one) for one in extension.value]
            assert kinds >= {text.partition(":")[0] for text in texts}
            assert len(texts) <= min(template.names_limit, len(asked) + 1)


@cache
def _server() -> PkiServer:
    """Return a server that lives as long as the process."""
    stack = ExitStack()
    atexit.register(stack.close)
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    return stack.enter_context(make_server(folder / "data"))
