"""A server's end of an agent's line: the real reception, a database in memory, and no socket."""

import atexit
from contextlib import ExitStack
from datetime import timedelta
from functools import cache

from sqlalchemy import delete, update

from hsm_agent.wire.codec import to_map
from hsm_agent.wire.frames import NONCE_OCTETS, with_length
from hsm_agent.wire.messages import Context, Enroll, Hello, Mark, Sign
from hsm_agent.wire.session import session_id
from pikaserver.testing.fake_agent_line import FakeIdentity
from pikaserver.testing.fake_server import FakeServer
from pikaserver_agents.enrollment import CodeWish
from pikaserver_agents.line import Answer, Lost
from pikaserver_agents.links import Links
from pikaserver_agents.office import Office
from pikaserver_agents.reception import Reception, Staff
from pikaserver_agents.scribe import Scribe
from pikaserver_agents.settings import AgentSettings
from pikaserver_agents.storage.codes import Purpose
from pikaserver_agents.storage.tables import agent, mark, metadata
from pikaserver_agents.tls_stream import LineBroken
from tests.fuzz.agent_end import SESSION
from tests.fuzz.line_end import NONCE, Octets, framed, watched

PACKAGES = ("pikaserver_agents", "pikaserver")
LATEST = (1 << 53) - 1
_AS_BEFORE = dict.fromkeys(("next_pin", "next_certificate", "next_frame_key"))
ASKED = Sign(bytes(16), bytes(32), "ed25519", b"tbs", LATEST, Context())
"""The one request that is under way on every line."""
AGENT_KEY_NAME = "vault-a"


class AskingLines:
    """The lines of a server, each with one request under way."""

    def __init__(self, lines):
        self._lines = lines
        self.inboxes = []

    def __getattr__(self, name):
        return getattr(self._lines, name)

    def add(self, line):
        """Take up a line, and ask."""
        self._lines.add(line)
        self.inboxes.append(line.ask(ASKED))


class ForgetfulScribe(Scribe):
    """Writes down what comes, and can be made to forget how far it was."""

    @property
    def highest(self):
        """How far the journal of each agent is."""
        return self._highest


class ServerEnd:
    """Hears octets as if they came from an agent; what is wrong is complained of."""

    def __init__(self):
        self.server = FakeServer([AgentSettings(bind="127.0.0.1:0")])
        with self.server.database.transaction() as connection:
            metadata.create_all(connection)
        self.office = office = Office(self.server)
        office.backend.seal_with(self.server.key_secrets("agent"))
        self.now = office.now()
        self.identity = FakeIdentity.make(AGENT_KEY_NAME, self.server.clock)
        wish = CodeWish(AGENT_KEY_NAME, Purpose.ENROLL, timedelta(minutes=15))
        code, _ = office.enrollments.make_code(wish, "fuzz")
        office.enrollments.enroll(self.enroll(code.token))
        self.lines = AskingLines(office.lines)
        self.answers = []
        self._scribe = ForgetfulScribe(self.server.database, self.server.node)
        links = Links(self.server, office.lines, office.whereabouts)
        self._reception = Reception(
            self.server,
            Staff(
                directory=office.directory,
                lines=self.lines,
                links=links,
                complaints=office.complaints,
                enrollments=office.enrollments,
                scribe=self._scribe,
                steward=lambda line: AtOnce(office, line),
            ),
        )

    def enroll(self, token):
        """Return what registers the agent."""
        identity = self.identity
        return Enroll(token, AGENT_KEY_NAME, identity.certificate, identity.frame_public, "f", (1,))

    def hello(self):
        """Return how the agent greets."""
        return Hello((1,), AGENT_KEY_NAME, "fuzz", bytes(32), Mark(0, bytes(32)), 64, (), ())

    def hear(self, octets, *, known=True):
        """Hear octets after the nonces, until the line ends; return what was complained of.

        The session that payloads name as `SESSION` is the true one.

        Raises:
            Exception: something happened that nobody complains of.
        """
        certificate = self.identity.certificate if known else b""
        stream = Octets(with_length(NONCE) + octets, LineBroken, certificate)
        stream.shown = lambda: self.office.identity
        before = self.office.complaints.counts()
        self.lines.inboxes.clear()
        with watched(*PACKAGES):
            self._reception.serve(stream, "192.0.2.1", lambda: None)
        self.answers = [inbox.get(timeout=60) for inbox in self.lines.inboxes]
        assert all(isinstance(answer, Answer | Lost) for answer in self.answers)
        assert not self.office.lines.present()
        self._forget()
        after = self.office.complaints.counts()
        return {reason for reason, count in after.items() if count != before[reason]}

    def _forget(self):
        """Let the agent be as it was: it may announce new keys, and then its old ones end."""
        following = self.office.directory.view().agents[AGENT_KEY_NAME].following
        if following is not None or self._scribe.highest:
            with self.server.database.transaction() as connection:
                connection.execute(update(agent).values(_AS_BEFORE))
                connection.execute(delete(mark))
            self._scribe.highest.clear()
        if following is not None:
            self.office.directory.refresh()

    def session(self, *, known=True):
        """Return the session that the next connection will have."""
        entropy = self.server.entropy
        certificate = self.identity.certificate if known else b""
        theirs = entropy(NONCE_OCTETS)
        self.server.entropy = _Once(entropy, theirs, self.server)
        return session_id(theirs, NONCE, self.office.identity.certificate, certificate)

    def told(self, payload, *, first=None, known=True):
        """Hear a signed payload as the second frame, after a hello that is sound."""
        session = self.session(known=known)
        octets = b"" if first is None else framed(first.replace(SESSION, session), self._sign)
        octets += framed(payload.replace(SESSION, session), self._sign)
        return self.hear(octets, known=known)

    def framed(self, octets):
        """Return a payload as the agent's signed frame, with its length."""
        return framed(octets, self._sign)

    def raw(self, octets, first):
        """Hear any octets after a hello that is sound."""
        session = self.session()
        return self.hear(framed(first.replace(SESSION, session), self._sign) + octets)

    def altered(self, payload, first, change):
        """Hear the octets of a frame that were sound before they were changed."""
        session = self.session()
        octets = framed(payload.replace(SESSION, session), self._sign)
        return self.hear(framed(first.replace(SESSION, session), self._sign) + change(octets))

    def _sign(self, octets):
        return self.identity.frame_key.sign(octets)


class AtOnce:
    """Does a steward's work in the reading thread, so that whatever goes wrong is seen."""

    def __init__(self, office, line):
        self._office = office
        self._line = line

    def start(self):
        """Take what the agent has greeted with, and let it be asked."""
        self.announce(self._line.hello)
        self._office.lines.make_ready(self._line)

    def announce(self, message):
        """See ``pikaserver_agents.steward.Steward``."""
        self._office.inventories.take(self._line.agent, message.keys, message.stores)

    def stop(self):
        """See ``pikaserver_agents.steward.Steward``."""


class _Once:
    """Gives octets that are known already, once, and then fresh ones."""

    def __init__(self, entropy, octets, server):
        self._entropy = entropy
        self._octets = octets
        self._server = server

    def __call__(self, count):
        self._server.entropy = self._entropy
        return self._octets


def payload(messages, now, sequence):
    """Return the payload of a frame, with `SESSION` for its session."""
    return {
        "sid": SESSION,
        "seq": sequence,
        "ts": now,
        "exp": now + 60_000,
        "m": [to_map(message) for message in messages],
    }


@cache
def server_end() -> ServerEnd:
    """Return an end that lives as long as the process."""
    stack = ExitStack()
    atexit.register(stack.close)
    end = ServerEnd()
    stack.callback(end.identity.remove)
    return end
