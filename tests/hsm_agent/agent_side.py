"""The agent's end of lines, with a service that signs whatever it is asked to."""

import threading
from dataclasses import replace
from functools import partial

from hsm_agent import clock
from hsm_agent.channel.backoff import Backoff
from hsm_agent.channel.desk import Desk
from hsm_agent.channel.greeting import Surroundings, open_line
from hsm_agent.channel.keeper import Keeper
from hsm_agent.channel.lines import Lines
from hsm_agent.channel.workers import Workers
from hsm_agent.identity.identity import make_identity
from hsm_agent.wire.messages import Context, Hello, Mark, Refused, Sign, Signed

MARK = Mark(0, bytes(32))
DIAL_SECONDS = 60.0


def sign_request(number=1, *, life=60_000):
    """Return a request whose octets say which one it is."""
    identifier = number.to_bytes(16, "big")
    return Sign(
        identifier, bytes(32), "ed25519", b"tbs-%d" % number, clock.now_ms() + life, Context()
    )


class AgentSide:
    """Lines to nodes; ``answered`` are the requests that reached the service."""

    def __init__(self, folder, *, pinned=False, threads=4, window=64, elapsed=clock.elapsed_ms):
        self.identity = make_identity(folder, "vault-a", clock.now(), clock.entropy)
        self.around = Surroundings(clock.now_ms, clock.entropy, DIAL_SECONDS)
        self.answered = []
        self.reports = []
        self.remembered = []
        self.relayed = None
        self.gate = threading.Event()
        self.gate.set()
        self.workers = Workers(threads, window)
        self.desk = Desk(
            hello=self.hello,
            answer=self.answer,
            sign=lambda requests, facts: ([self.answer(one, facts)] for one in requests),
            mark=lambda: MARK,
            learned=self.learn,
            relayed=self.answer_relayed,
            report=lambda event, node, why: self.reports.append((event, node.number, why)),
            workers=self.workers,
            elapsed=elapsed,
        )
        self.lines = Lines(self.keep, self.remembered.append, pinned=pinned)

    def hello(self):
        return Hello((1,), "vault-a", "test", bytes(32), MARK, 64, (), ())

    def answer(self, request, facts):
        self.gate.wait(DIAL_SECONDS)
        if not facts.may_sign():
            return Refused(request.id, bytes(32), "expired", b"", retry=True, after=0, journal=MARK)
        self.answered.append(request)
        return Signed(request.id, bytes(32), b"signature", MARK)

    def answer_relayed(self, message, line):
        return self.relayed(message, line)

    def learn(self, nodes, by):
        self.lines.learn(nodes, by)

    def keep(self, node):
        desk = replace(self.desk, learned=partial(self.desk.learned, by=node))
        return Keeper(node, self.dial, desk, Backoff(bytes), clock.now_ms)

    def dial(self, node):
        return open_line(node, self.identity, self.around, known=True)

    def close(self):
        self.gate.set()
        self.lines.drain()
        self.lines.stop()
        self.workers.close()
