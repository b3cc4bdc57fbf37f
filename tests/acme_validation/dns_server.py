"""A DNS server of the tests: answers what it was told, by UDP and TCP on one port of loopback."""

import socketserver
import threading
from collections.abc import Iterable

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset


class DnsServer:
    """Authoritative for everything; names are without the last dot.

    ``records[name, kind]`` is a list of texts.  ``turns[name, kind]`` is a list of such lists:
    each look-up takes the next, the last one stays.  ``failing`` names get SERVFAIL, ``silent``
    names, or names with a kind, no answer.  ``asked`` is what was looked up.
    ``without_edns``, octets, makes an old server: it complains of EDNS, with these at the end.
    """

    def __init__(self) -> None:
        self.records: dict[tuple[str, str], list[str]] = {}
        self.turns: dict[tuple[str, str], list[list[str]]] = {}
        self.failing: set[str] = set()
        self.silent: set[str | tuple[str, str]] = set()
        self.asked: list[tuple[str, str]] = []
        self.without_edns: bytes | None = None
        self._udp, self._tcp = _two_sockets(self)
        self._threads = [
            threading.Thread(target=one.serve_forever, args=(0.02,), daemon=True)
            for one in (self._udp, self._tcp)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def address(self) -> str:
        """``HOST:PORT``."""
        host, port = self._udp.server_address[:2]
        return f"{host}:{port}"

    def add(self, name: str, kind: str, *texts: str) -> None:
        """Answer with these records from now on."""
        self.records[name, kind] = list(texts)

    def close(self) -> None:
        """Stop serving."""
        for server in (self._udp, self._tcp):
            server.shutdown()
            server.server_close()
        for thread in self._threads:
            thread.join()

    def answer(self, octets: bytes) -> bytes | None:
        """Return the answer to a query, ``None`` for silence."""
        query = dns.message.from_wire(octets)
        question = query.question[0]
        name = question.name.to_text(omit_final_dot=True).lower()
        kind = dns.rdatatype.to_text(question.rdtype)
        self.asked.append((name, kind))
        if name in self.silent or (name, kind) in self.silent:
            return None
        response = dns.message.make_response(query, recursion_available=True)
        if self.without_edns is not None and query.edns >= 0:
            response.set_rcode(dns.rcode.FORMERR)
            return response.to_wire() + self.without_edns
        if name in self.failing:
            response.set_rcode(dns.rcode.SERVFAIL)
            return response.to_wire()
        found = self._find(name, kind)
        if found is None and not self._exists(name):
            response.set_rcode(dns.rcode.NXDOMAIN)
        if found:
            kind, texts = found
            response.answer.append(dns.rrset.from_text_list(question.name, 0, "IN", kind, texts))
        return response.to_wire(max_size=65535)

    def _find(self, name: str, kind: str) -> tuple[str, Iterable[str]] | None:
        turns = self.turns.get((name, kind))
        if turns:
            return kind, (turns.pop(0) if len(turns) > 1 else turns[0])
        for one in (kind, "CNAME"):
            if (name, one) in self.records:
                return one, self.records[name, one]
        return None

    def _exists(self, name: str) -> bool:
        known = [one for one, _ in (*self.records, *self.turns)]
        return any(one == name or one.endswith(f".{name}") for one in known)


class _Udp(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        octets, line = self.request
        answer = self.server.ours.answer(octets)
        if answer is not None and len(answer) > 1232:
            cut = dns.message.make_response(dns.message.from_wire(octets))
            cut.flags |= dns.flags.TC
            answer = cut.to_wire()
        if answer is not None:
            line.sendto(answer, self.client_address)


class _Tcp(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        size = int.from_bytes(self.rfile.read(2), "big")
        answer = self.server.ours.answer(self.rfile.read(size)) if size else None
        if answer is not None:
            self.wfile.write(len(answer).to_bytes(2, "big") + answer)


def _two_sockets(
    ours: DnsServer,
) -> tuple[socketserver.ThreadingUDPServer, socketserver.ThreadingTCPServer]:
    """Return servers on the same port, which the system chooses."""
    for _ in range(50):
        udp = socketserver.ThreadingUDPServer(("127.0.0.1", 0), _Udp)
        try:
            tcp = socketserver.ThreadingTCPServer(udp.server_address, _Tcp)
        except OSError:
            udp.server_close()
            continue
        for server in (udp, tcp):
            server.ours = ours
            server.daemon_threads = True
            server.block_on_close = False
        return udp, tcp
    raise OSError("no port is free for both UDP and TCP")
