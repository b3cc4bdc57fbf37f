"""SCEP enrolments (PKCSReq, RSA-2048) per second, against their raw crypto operations.

The limit is the sum of what the bare library needs for the same keys: the message's signature
verified, its key and content decrypted, the request verified, the certificate signed, the
answer's key and content encrypted, the answer signed, and both signatures of ours verified. It
has no HTTP, no parsing, no rules and no database. Then come the times of answers to messages
that fail at each step of decryption: nobody may tell them apart.
"""

import random
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from load import Load, Outcome, run
from measuring import arguments, cpu_seconds, percentile, print_facts, print_table, ratio
from scep_messages import Maker, written

from pikaserver.asn1.algorithms import public_key
from pikaserver.asn1.certificate import public_key_of, read_certificate
from pikaserver.asn1.content_ciphers import CONTENT_CIPHERS
from pikaserver.asn1.enveloped_data import Envelope
from pikaserver.authority.templates.changes import with_changes
from pikaserver.clock import system_clock
from pikaserver.first_start import FirstStart, set_up
from pikaserver.opening import open_server
from pikaserver.server import PkiServer
from pikaserver.settings.loading import load
from pikaserver.testing.servers import HOSTNAME, ServerProcess, free_port
from pikaserver_scep.challenges.one_time import OneTimeChallenges, Wish
from pikaserver_scep.station import station

MOST_PER_SECOND = 400
HEAD = (
    "clients", "certificates/s", "limit/s", "of the limit", "p50 ms", "p99 ms", "server CPU ms",
    "limit ms", "ratio",
)  # fmt: skip
FAILURE_HEAD = ("fails at", "answers", "p50 ms", "p90 ms", "slower than the first")
NAMES = (
    "padding of the content", "content", "key: block type", "key: no separator", "key: length",
    "key: another one",
)  # fmt: skip


def main() -> None:
    """Measure enrolments, then failures."""
    parser = arguments(__doc__)
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 8, 32])
    parser.add_argument("--failures", type=int, default=300, help="answers of each kind")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=".") as folder:
        print_facts(__doc__, Path(folder))
        with house(Path(folder) / "data") as (server, opened, maker):
            bench = _Bench(server, opened, maker, options.seconds)
            print_table(HEAD, [bench.row(clients) for clients in options.clients])
            bench.print_losses()
            print_table(FAILURE_HEAD, failures(opened, maker, options.failures))


@contextmanager
def house(data: Path) -> Iterator[tuple[ServerProcess, PkiServer, Maker]]:
    """Give a running server with an RSA-2048 authority, its data opened here too, and a maker."""
    set_up(FirstStart(data, hostname=HOSTNAME, key_type="rsa-2048"), {}, system_clock)
    with open_server(load({}, data=data), {}) as opened:
        document = with_changes(opened.templates.document("device"), ["scep.enabled=true"])
        opened.templates.save("device", document, "benchmark")
        wish = Wish("device", uses=1_000_000)
        challenge = OneTimeChallenges(opened).create(wish, "benchmark").challenge
        recipient = opened.authorities.get("issuing").generations[0].certificate
        server = ServerProcess(data, free_port(), free_port())
        server.start()
        try:
            yield server, opened, Maker(recipient, challenge)
        finally:
            server.stop()


class _Bench:
    def __init__(
        self, server: ServerProcess, opened: PkiServer, maker: Maker, seconds: float
    ) -> None:
        self._server = server
        self._opened = opened
        self._maker = maker
        self._seconds = seconds
        self._made = 0
        self._total = Outcome()

    def row(self, clients: int) -> list[object]:
        """Measure half of the limit before the server and half of it after."""
        requests = [self._request() for _ in range(int(MOST_PER_SECOND * self._seconds))]
        pid = self._server.process.pid if self._server.process else 0
        before = raw_seconds()
        used = cpu_seconds(pid)
        outcome = run(Load(self._server.http_port, requests, clients, self._seconds, tls=False))
        cpu = (cpu_seconds(pid) - used) / max(1, outcome.answers)
        limit = (before + raw_seconds()) / 2
        if outcome.answers > len(requests):
            raise RuntimeError("more answers than messages: raise MOST_PER_SECOND")
        self._total.add(outcome)
        return [
            clients,
            outcome.rate,
            1 / limit,
            ratio(outcome.rate, 1 / limit),
            percentile(outcome.latencies, 0.5) * 1000,
            percentile(outcome.latencies, 0.99) * 1000,
            cpu * 1000,
            limit * 1000,
            ratio(cpu, limit),
        ]

    def _request(self) -> bytes:
        self._made += 1
        body = self._maker.request(self._made)
        head = (
            f"POST /scep/device?operation=PKIOperation HTTP/1.1\r\nHost: {HOSTNAME}\r\n"
            f"Content-Type: application/x-pki-message\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body

    def print_losses(self) -> None:
        """Compare what the clients got with what the database holds."""
        listed = self._server.command("audit", "export", "--event", "certificate.issued")
        stored = sum(1 for line in listed.splitlines() if '"actor":"challenge:' in line)
        total = self._total
        print(
            f"{total.answers:,} answers, {len(total.bodies):,} different ones,"
            f" {stored:,} certificates in the database; {total.broken} broken lines\n"
        )


def raw_seconds(seconds: float = 0.3) -> float:
    """Return how long the crypto operations of one enrolment take in the bare library."""
    key = rsa.generate_private_key(65_537, 2048)
    public, pkcs1, sha256 = key.public_key(), padding.PKCS1v15(), hashes.SHA256()
    octets, content_key, iv = bytes(900), bytes(16), bytes(16)
    signature = key.sign(octets, pkcs1, sha256)
    sealed = public.encrypt(content_key, pkcs1)
    cipher = CONTENT_CIPHERS["aes-128-cbc"]
    encrypted = cipher.encrypt(content_key, iv, octets)
    signing = _each(lambda: key.sign(octets, pkcs1, sha256), seconds)
    verifying = _each(lambda: public.verify(signature, octets, pkcs1, sha256), seconds)
    decrypting = _each(lambda: key.decrypt(sealed, pkcs1), seconds)
    encrypting = _each(lambda: public.encrypt(content_key, pkcs1), seconds)
    content = _each(lambda: cipher.raw_decrypt(content_key, iv, encrypted), seconds / 3)
    content += _each(lambda: cipher.encrypt(content_key, iv, octets), seconds / 3)
    # Two of ours are made; verified are the message, the request, and both of ours.
    return 2 * signing + 4 * verifying + decrypting + encrypting + content


def _each(deed: Callable[[], object], seconds: float) -> float:
    done, began = 0, time.perf_counter()
    while time.perf_counter() - began < seconds:
        deed()
        done += 1
    return (time.perf_counter() - began) / done


def failures(opened: PkiServer, maker: Maker, count: int) -> list[list[object]]:
    """Return the times of answers that fail, all kinds in turns, in random order."""
    operations = station(opened.for_plugins).resource.operations
    template = opened.templates.get("device")
    recipient = opened.authorities.get("issuing").generations[0].certificate
    kinds = _failing(maker, recipient)
    plan = [name for name in kinds for _ in range(count)]
    random.shuffle(plan)
    times: dict[str, list[float]] = {name: [] for name in kinds}
    texts = set()
    for number, name in enumerate(plan):
        message = maker.message(written(kinds[name]), number)
        began = time.perf_counter()
        answer = operations.answer(message, template, "192.0.2.1")
        times[name].append(time.perf_counter() - began)
        texts.add((answer.operation, answer.outcome, len(answer.octets) // 16))
    kept = {text[:2] for text in texts}
    if kept != {("pkcs-req", "bad-message-check")}:
        raise RuntimeError(f"the answers differ: {kept}")
    first = sorted(times[NAMES[0]])
    return [
        [
            name,
            len(taken),
            percentile(sorted(taken), 0.5) * 1000,
            percentile(sorted(taken), 0.9) * 1000,
            f"{_slower(taken, first):.3f}",
        ]
        for name, taken in times.items()
    ]


def _slower(ones: list[float], others: list[float]) -> float:
    """Return how often one of the first is slower than one of the others: 0.5 tells nothing."""
    ranked = sorted([(taken, 1) for taken in ones] + [(taken, 0) for taken in others])
    ranks = sum(rank for rank, (_, mine) in enumerate(ranked, 1) if mine)
    return (ranks - len(ones) * (len(ones) + 1) / 2) / (len(ones) * len(others))


def _failing(maker: Maker, recipient: bytes) -> dict[str, Envelope]:
    """Return envelopes that fail at each step, made so that nothing else differs."""
    key = public_key(public_key_of(read_certificate(recipient)))
    if not isinstance(key, rsa.RSAPublicKey):
        raise TypeError("the authority is RSA")
    good = maker.opened(1)
    modulus, size = key.public_numbers().n, len(good.encrypted_key)

    def block(octets: bytes) -> Envelope:
        number = pow(int.from_bytes(octets, "big"), 65_537, modulus)
        return replace(good, encrypted_key=number.to_bytes(size, "big"))

    def changed(at: int) -> Envelope:
        octets = bytearray(good.encrypted)
        octets[at] ^= 0x80
        return replace(good, encrypted=bytes(octets))

    filling = b"\xaa" * (size - 19)
    found = (
        changed(-17),
        changed(40),
        block(b"\x00\x01" + filling + b"\x00" + bytes(16)),
        block(b"\x00\x02" + b"\xaa" * (size - 2)),
        block(b"\x00\x02" + filling + b"\xaa" * 8 + b"\x00" + bytes(8)),
        replace(good, encrypted_key=key.encrypt(bytes(16), padding.PKCS1v15())),
    )
    return dict(zip(NAMES, found, strict=True))


if __name__ == "__main__":
    main()
