"""Every difference between an agent's journal, our mirror of it, our history, our certificates."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from hsm_agent.wire.messages import JournalLines, JournalRead, Refused
from pikaserver.api.certificates import SignedOctets
from pikaserver.api.errors import KeyUnavailable, Unavailable
from pikaserver.api.server import Server
from pikaserver.asn1.serials import write_serial
from pikaserver_agents.asker import Asker
from pikaserver_agents.authority_uses import AuthorityUses
from pikaserver_agents.directory import Directory, View
from pikaserver_agents.journals import CHUNK, Contradiction, JournalLine, follow
from pikaserver_agents.moments import since_epoch, told
from pikaserver_agents.printing import printable
from pikaserver_agents.refusing import BUSY, DRAINING, as_error
from pikaserver_agents.storage import histories
from pikaserver_agents.storage.agents import AgentRow, AgentState
from pikaserver_agents.storage.histories import SIGNED, HistoryRow
from pikaserver_agents.storage.marks import BEGINNING
from pikaserver_agents.structures import PROOF

ASK_SECONDS = 20.0
WRITTEN_SECONDS = 1.0
"""After so long a server has written down what it asked."""
_ISSUED = "issued"


@dataclass(slots=True)
class Compared:
    """What was looked at, and what differs, each in one line.

    ``source`` is ``agent``, or ``mirror`` where the agent cannot be asked.
    """

    agent: str
    source: str = "agent"
    lines: int = 0
    requests: int = 0
    certificates: int = 0
    differences: list[str] = field(default_factory=list)


@dataclass(slots=True)
class _Journal:
    """What a journal says: hashes of lines, and the signatures that may have been made."""

    heads: dict[int, bytes] = field(default_factory=dict)
    signs: dict[int, tuple[bytes, bytes, str]] = field(default_factory=dict)

    def take(self, line: JournalLine) -> None:
        self.heads[line.mark.index] = line.mark.head
        match line.fields:
            case {"event": "sign", "key": str(key), "tbs": str(tbs), **rest}:
                signed = _unhex(key), _unhex(tbs), printable(str(rest.get("kind", "")))
                self.signs[line.mark.index] = signed
            case {"event": "failed", "of": int(index)}:
                self.signs.pop(index, None)

    def made(self, spki_hash: bytes) -> set[bytes]:
        """Return the hashes of everything that was signed with a key."""
        return {tbs for key, tbs, _ in self.signs.values() if key == spki_hash}


@dataclass(frozen=True, slots=True)
class _Known:
    """What we knew before the journal was read: rows of the history, certificates by key.

    While the journal is read more is signed; what was known before has to be in it.
    """

    newest: int
    issued: dict[bytes, list[SignedOctets]]


class Comparison:
    """Compares one agent after the other."""

    def __init__(
        self, server: Server, directory: Directory, uses: AuthorityUses, asker: Asker
    ) -> None:
        self._server = server
        self._directory = directory
        self._uses = uses
        self._asker = asker

    def compare(self, agent: str) -> Compared:
        """Look for every difference.

        Raises:
            NotFound: there is no such agent.
        """
        view = self._directory.refresh()
        row = view.agent(agent)
        found = Compared(agent)
        if row.state is AgentState.LOCKED:
            found.differences.append(f"agent {agent} is locked out: {row.why}")
        known = self._known(view, agent)
        journal = self._journal(row, found)
        if journal is not None:
            found.lines = len(journal.heads)
            self._compare_requests(agent, journal, known.newest, found)
            self._compare_signatures(view, agent, journal, found)
            self._compare_certificates(view, agent, journal, known, found)
        return found

    def _known(self, view: View, agent: str) -> _Known:
        keys = {key.spki_hash for key in view.of_agent(agent)}
        issued = {key: list(self._issued(key)) for key in keys}
        with self._server.database.reading() as connection:
            return _Known(histories.newest(connection), issued)

    def _journal(self, row: AgentRow, found: Compared) -> _Journal | None:
        """Read the whole journal; ``None`` where it is broken, which is a difference."""
        try:
            return self._read(row, found)
        except Contradiction as contradiction:
            found.differences.append(f"the journal is broken: {contradiction}")
            return None

    def _read(self, row: AgentRow, found: Compared) -> _Journal:
        journal = _Journal()
        try:
            for line in self._of_agent(row):
                journal.take(line)
        except Unavailable:
            found.source, journal = "mirror", _Journal()
            time.sleep(WRITTEN_SECONDS)
            for line in self._of_mirror(row):
                journal.take(line)
        return journal

    def _of_agent(self, row: AgentRow) -> Iterator[JournalLine]:
        """Ask for the journal from its beginning on, each line beside the mirror's."""
        if row.state not in {AgentState.ENROLLED, AgentState.DRAINING}:
            raise KeyUnavailable(f"agent {row.name} has no line")
        first = self._lines(row.name, 1)
        yield from self._beside_mirror(row, first)

    def _beside_mirror(self, row: AgentRow, answer: JournalLines) -> Iterator[JournalLine]:
        mark = BEGINNING
        length = max(answer.journal.index, row.mirrored.index)
        while mark.index < length:
            if not answer.lines:
                raise Contradiction(f"it ends at line {mark.index}, and had {length} before")
            ours = self._mirrored(row.name, mark.index, len(answer.lines))
            for octets in answer.lines:
                line = follow(mark, octets)
                mark = line.mark
                if ours.get(mark.index, octets) != octets:
                    raise Contradiction(f"line {mark.index} is not the one that it showed before")
                yield line
            if mark.index < length:
                answer = self._lines(row.name, mark.index + 1)

    def _lines(self, agent: str, first: int) -> JournalLines:
        answer = self._asker.ask(
            agent,
            lambda request_id, _: JournalRead(request_id, first, first + CHUNK - 1),
            ASK_SECONDS,
        )
        if isinstance(answer, JournalLines):
            return answer
        if isinstance(answer, Refused) and answer.code in {BUSY, DRAINING}:
            raise as_error(agent, answer)
        return JournalLines(answer.id, answer.request, (), answer.journal)

    def _mirrored(self, agent: str, after: int, count: int) -> dict[int, bytes]:
        with self._server.database.reading() as connection:
            return dict(histories.lines_of(connection, agent, after, after + count))

    def _of_mirror(self, row: AgentRow) -> Iterator[JournalLine]:
        mark = BEGINNING
        while mark.index < row.mirrored.index:
            chunk = self._mirrored(row.name, mark.index, CHUNK)
            if not chunk:
                raise Contradiction(f"our mirror lacks line {mark.index + 1}")
            for octets in chunk.values():
                line = follow(mark, octets)
                mark = line.mark
                yield line

    def _compare_requests(self, agent: str, journal: _Journal, last: int, found: Compared) -> None:
        """Find what we asked and the journal tells otherwise, or not at all."""
        with self._server.database.reading() as connection:
            for asked in histories.of_agent(connection, agent, last):
                found.requests += 1
                fault = _fault(asked, journal, complete=found.source == "agent")
                if fault:
                    found.differences.append(
                        f"{asked.purpose} sha256:{asked.tbs_hash.hex()}, asked at"
                        f" {told(asked.at)} ({asked.outcome}): {fault}"
                    )

    def _compare_signatures(
        self, view: View, agent: str, journal: _Journal, found: Compared
    ) -> None:
        """Find signatures that we never asked for; a proof gives nobody anything."""
        names = {key.spki_hash: key.told.name for key in view.of_agent(agent)}
        unknown = self._unasked(journal)
        if unknown:
            time.sleep(WRITTEN_SECONDS)  # what was asked just now is written by then
            unknown = self._unasked(journal)
        for index in unknown:
            spki, tbs, kind = journal.signs[index]
            name = names.get(spki, f"sha256:{spki.hex()}")
            found.differences.append(
                f"line {index}: {kind} sha256:{tbs.hex()} was signed with key {name}, and this"
                " server never asked for it"
            )

    def _unasked(self, journal: _Journal) -> list[int]:
        asked = {spki: self._asked(spki) for spki, _, _ in journal.signs.values()}
        return [
            index
            for index, (spki, tbs, kind) in sorted(journal.signs.items())
            if kind != PROOF and tbs not in asked[spki]
        ]

    def _compare_certificates(
        self, view: View, agent: str, journal: _Journal, known: _Known, found: Compared
    ) -> None:
        """Find certificates that were issued, and whose signature is in no agent's journal."""
        for key in view.of_agent(agent):
            holders = {one.agent for one in view.holders(key.spki_hash)}
            since = min(view.agents[name].enrolled_at for name in holders)
            made = journal.made(key.spki_hash) | self._not_mirrored(agent, journal)
            for one in known.issued[key.spki_hash]:
                found.certificates += 1
                if one.tbs_hash in made or since_epoch(one.at) < since:
                    continue
                for other in holders - {agent}:
                    made |= self._made_by(view.agents[other], key.spki_hash)
                holders = {agent}  # the journals of the others were read
                if one.tbs_hash not in made:
                    found.differences.append(
                        f"certificate {write_serial(one.serial)} was issued with key"
                        f" {key.told.name}, and no journal has its signature"
                    )

    def _asked(self, spki_hash: bytes) -> set[bytes]:
        with self._server.database.reading() as connection:
            asked = set(histories.asked_hashes(connection, spki_hash))
        for use in self._uses.refresh().of(spki_hash):
            certificates = self._server.certificates.signed_octets(use.generation)
            asked |= {one.tbs_hash for one in certificates}
        return asked

    def _issued(self, spki_hash: bytes) -> Iterator[SignedOctets]:
        for use in self._uses.present().of(spki_hash):
            for one in self._server.certificates.signed_octets(use.generation):
                if one.state == _ISSUED:
                    yield one

    def _made_by(self, row: AgentRow, spki_hash: bytes) -> set[bytes]:
        journal = self._journal(row, Compared(row.name))
        if journal is None:
            return set()  # comparing that agent tells of it
        return journal.made(spki_hash) | self._not_mirrored(row.name, journal)

    def _not_mirrored(self, agent: str, journal: _Journal) -> set[bytes]:
        """Return the hashes of what was signed after the last line that was read.

        An agent that went away may have left before our mirror had its last lines.
        """
        with self._server.database.reading() as connection:
            return set(histories.signed_after(connection, agent, len(journal.heads)))


def _fault(asked: HistoryRow, journal: _Journal, *, complete: bool) -> str:
    """Say how a journal contradicts what an agent answered; empty where it does not."""
    index = asked.journal.index
    if index == 0:
        return ""
    if index not in journal.heads:
        return f"the journal has no line {index}" if complete else ""
    if journal.heads[index] != asked.journal.head:
        return f"line {index} of the journal is not the one that the agent told of"
    if asked.outcome != SIGNED:
        return ""
    spki, tbs, _ = journal.signs.get(index, (b"", b"", ""))
    if (spki, tbs) != (asked.spki_hash, asked.tbs_hash):
        return f"line {index} of the journal tells of something else"
    return ""


def _unhex(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        return text.encode()
