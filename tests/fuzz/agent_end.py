"""An agent's end of a line, with a real service, policy and journal, and no socket."""

import atexit
import tempfile
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from unittest.mock import patch

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from hsm_agent import clock
from hsm_agent.channel.desk import Desk
from hsm_agent.channel.faults import LineFault, Lost
from hsm_agent.channel.greeting import FramedLine
from hsm_agent.channel.line import Line
from hsm_agent.identity import enrollment
from hsm_agent.identity.identity import frame_verifier, make_identity
from hsm_agent.identity.nodes import is_proper
from hsm_agent.service.offline import answer_bundle
from hsm_agent.service.relaying import Relaying
from hsm_agent.service.service import Answer
from hsm_agent.wire.enrollment_code import EnrollmentCode
from hsm_agent.wire.errors import WireError
from hsm_agent.wire.frames import with_length
from hsm_agent.wire.messages import Hello, Mark, Node, Sign, Signed, Welcome
from hsm_agent.wire.session import Session, seal
from tests.fuzz.line_end import Octets, framed, watched
from tests.hsm_agent.service_side import LINE, ServiceSide
from tests.hsm_agent.structures_to_sign import with_signature

SESSION = bytes(range(32))
NODE_KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
OTHER_KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33)))
LONGEST_DAYS = 826
PACKAGES = ("hsm_agent",)


def _public(key):
    return key.public_key().public_bytes_raw()


NODE = Node(1, "127.0.0.1:8444", bytes(32), _public(NODE_KEY))
OTHER = Node(2, "127.0.0.2:8444", bytes(32), _public(OTHER_KEY))
CODE = EnrollmentCode("vault-a", bytes(16), (NODE.address,), (NODE.pin,), (NODE.frame_key,))


class AtOnce:
    """Does jobs where others have threads for them."""

    def submit(self, job, requests=1):
        """See ``hsm_agent.channel.workers.Workers``."""
        job()
        return True

    def reserve(self, requests):
        """See ``hsm_agent.channel.workers.Workers``: there is always room."""
        return requests

    def release(self, requests):
        """See ``hsm_agent.channel.workers.Workers``."""


class AgentEnd:
    """Hears octets as if they came from the server, and checks what the agent makes of them."""

    def __init__(self, folder):
        self.side = ServiceSide(folder)
        self.side.sync = lambda _: None
        self.now = self.side.clock()
        self.issuing = self.side.authority("issuing")
        self.root = self.side.root("root")
        self.identity = make_identity(folder / "id", "vault-a", clock.now(), clock.entropy)
        self.answers = []
        self.reports = []
        self._relaying = Relaying(
            self.identity,
            lambda: (NODE, OTHER),
            self._answer,
            self.side.journal,
            self.side.memory,
            self.side.clock,
        )
        self._desk = Desk(
            hello=self._hello,
            answer=self._answer,
            sign=lambda requests, line: ([self._answer(one, line)] for one in requests),
            mark=self.side.journal.mark,
            learned=self._learned,
            relayed=self._relaying.answer,
            report=lambda *told: self.reports.append(told),
            workers=AtOnce(),
            elapsed=lambda: 0,
        )
        self._welcome = seal(SESSION, 1, self.now, [self.welcome()], NODE_KEY.sign).octets()

    def welcome(self):
        """Return how the server greets."""
        return Welcome(1, 1, (NODE, OTHER), 500, 1500, Mark(0, bytes(32)))

    def hear(self, octets):
        """Hear octets after the handshake, until the line ends; return why it did.

        Raises:
            Exception: something else happened than the end of the line.
            AssertionError: something was signed that no policy allows.
        """
        self.answers.clear()
        session = Session(
            SESSION, self.identity.sign, frame_verifier(NODE.frame_key), self.side.clock
        )
        line = Line(NODE, FramedLine(Octets(octets, Lost), session), self._desk)
        with watched(*PACKAGES):
            try:
                line.greet()
                line.run()
            except (LineFault, WireError) as error:
                return error
            finally:
                line.end()
                self._check()
        raise AssertionError("a line that does not end")

    def ask(self, request):
        """Return the service's answer to a request."""
        with watched(*PACKAGES):
            return self.side.service.answer(request, LINE)

    def framed(self, payload):
        """Return a payload as the server's signed frame, with its length."""
        return framed(payload, NODE_KEY.sign)

    def greeted(self, payload):
        """Hear this signed payload in the place of the greeting."""
        return self.hear(framed(payload, NODE_KEY.sign))

    def told(self, payload):
        """Hear this signed payload as the second frame, after a greeting that is sound."""
        return self.hear(with_length(self._welcome) + framed(payload, NODE_KEY.sign))

    def raw(self, octets):
        """Hear any octets after a greeting that is sound."""
        return self.hear(with_length(self._welcome) + octets)

    def enrolled(self, payload):
        """Hear this signed payload as the answer to an enrolment.

        Raises:
            AgentFault: nothing was registered.
        """
        session = Session(
            SESSION, self.identity.sign, frame_verifier(NODE.frame_key), self.side.clock
        )
        stream = Octets(framed(payload, NODE_KEY.sign), Lost)
        line = FramedLine(stream, session)
        with watched(*PACKAGES), patch.object(enrollment, "open_line", lambda *_, **__: line):
            registered = enrollment.enroll(CODE, self.identity, None, lambda _: None)
        assert registered.agent == CODE.agent
        assert is_proper(registered.nodes)

    def carried(self, octets):
        """Read a bundle; return what came of it.

        Raises:
            WireError: it is none.
        """
        self.answers.clear()
        askers = {NODE.frame_key: 1, OTHER.frame_key: 2}
        with watched(*PACKAGES):
            answered = answer_bundle(octets, "vault-a", askers, self._relaying)
        self._check()
        return answered

    def _answer(self, request, facts):
        answer = self.side.service.answer(request, facts)
        assert isinstance(answer, Answer)
        self.answers.append((request, answer))
        return answer

    def _hello(self):
        return Hello((1,), "vault-a", "fuzz", bytes(32), self.side.journal.mark(), 64, (), ())

    def _learned(self, nodes):
        assert is_proper(nodes)

    def _check(self):
        """Look at everything that was signed, with other eyes than the agent's."""
        for request, answer in self.answers:
            if isinstance(answer, Signed):
                check_signed(request, self.now)


def check_signed(request: Sign, now: int) -> None:
    """Assert that a certificate which was signed is a leaf for our names, and ends in time.

    Raises:
        AssertionError: it is not.
    """
    try:
        made = x509.load_der_x509_certificate(with_signature(request.tbs, bytes(70)))
    except ValueError:
        return
    if made.issuer == made.subject:
        return  # the first one of a root, which anybody may have again
    constraints = made.extensions.get_extension_for_class(x509.BasicConstraints).value
    assert not constraints.ca
    usage = made.extensions.get_extension_for_class(x509.KeyUsage).value
    assert not usage.key_cert_sign
    names = made.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    for name in names:
        assert isinstance(name, x509.DNSName)
        assert f".{name.value}".endswith(".example.com")
    assert made.not_valid_after_utc.timestamp() < now / 1000 + LONGEST_DAYS * 86_400


@cache
def agent_end() -> AgentEnd:
    """Return an end that lives as long as the process."""
    stack = ExitStack()
    atexit.register(stack.close)
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    end = AgentEnd(folder)
    stack.callback(end.side.close)
    return end
