"""Time-stamps per second, against HTTP and one signature made and verified.

Each stamp is signed for itself, its serial and the clock are made durable as the service does
it.  The limit is a bare waitress that answers as many octets, and the signature of the unit's
kind made and verified by the bare library in between.
"""

import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from load import Load, Outcome, run
from measuring import arguments, cpu_seconds, percentile, print_facts, print_table, ratio
from ocsp import bare

from pikaserver.asn1.time_stamps import write_request
from pikaserver.authority.authorities import ServiceSettings
from pikaserver.clock import system_clock
from pikaserver.first_start import FirstStart, set_up
from pikaserver.opening import open_server
from pikaserver.settings.loading import load
from pikaserver.testing.servers import HOSTNAME, ServerProcess, free_port

KEY_TYPES = ("ec-p256", "ec-p384", "rsa-3072")
REQUESTS = 200
WARM_UP_SECONDS = 0.5
HEAD = ("key of the unit", "clients", "stamps/s", "of the limit", "p50 ms", "p99 ms", "CPU us")


def main() -> None:
    """Measure units of each kind in turns."""
    parser = arguments(__doc__)
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 8, 32])
    parser.add_argument("--key-types", nargs="+", default=list(KEY_TYPES), choices=KEY_TYPES)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=".") as name, bare() as limit:
        print_facts(__doc__, Path(name))
        rows: list[tuple[object, ...]] = []
        for key_type in options.key_types:
            with unit(Path(name) / key_type, key_type) as server:
                for clients in options.clients:
                    bare_rate = limit.outcome(clients, options.seconds / 2, nonce=True)[0].rate
                    allowed = 1 / bare_rate + sign_and_verify(key_type)
                    rows.append(
                        (key_type, clients, *measured(server, clients, options.seconds, allowed))
                    )
        print_table(HEAD, rows)


def measured(
    server: ServerProcess, clients: int, seconds: float, allowed: float
) -> tuple[object, ...]:
    """Return the rest of a row: throughput, ratio, latencies, CPU time of one stamp."""
    pid = server.process.pid if server.process else 0
    _stamps(server, clients, WARM_UP_SECONDS)
    used = cpu_seconds(pid)
    outcome = _stamps(server, clients, seconds)
    used = cpu_seconds(pid) - used
    if outcome.statuses.keys() != {200} or len(outcome.bodies) != outcome.answers:
        raise RuntimeError(f"not a stamp of its own for each: {outcome.statuses}")
    return (
        outcome.rate,
        ratio(outcome.rate, 1 / allowed),
        percentile(outcome.latencies, 0.5) * 1000,
        percentile(outcome.latencies, 0.99) * 1000,
        used / max(1, outcome.answers) * 1e6,
    )


def _stamps(server: ServerProcess, clients: int, seconds: float) -> Outcome:
    requests = [_request() for _ in range(REQUESTS)]
    return run(Load(server.http_port, requests, clients, seconds, tls=False))


def _request() -> bytes:
    nonce = int.from_bytes(os.urandom(8), "big")
    body = write_request(
        "sha256", os.urandom(32), policy=None, nonce=nonce, certificate_wanted=True
    )
    head = (
        f"POST /tsa HTTP/1.1\r\nHost: {HOSTNAME}\r\n"
        f"Content-Type: application/timestamp-query\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


@contextmanager
def unit(data: Path, key_type: str) -> Iterator[ServerProcess]:
    """Give a server whose unit has a key of this type."""
    set_up(FirstStart(data, hostname=HOSTNAME), {}, system_clock)
    with open_server(load({}, data=data), {}) as opened:
        before = opened.authorities.settings("issuing")
        services = {"tsa": ServiceSettings(key_type=key_type)}
        after = before.model_copy(update={"services": services})
        opened.ceremony.save_settings("issuing", after, "benchmark")
    server = ServerProcess(data, free_port(), free_port())
    server.start()
    try:
        yield server
    finally:
        server.stop()


def sign_and_verify(key_type: str, seconds: float = 0.5) -> float:
    """Return how many seconds one signature takes in the bare library, with its verification."""
    once = _rsa() if key_type == "rsa-3072" else _ec(key_type)
    done, began = 0, time.perf_counter()
    while time.perf_counter() - began < seconds:
        once()
        done += 1
    return (time.perf_counter() - began) / done


def _ec(key_type: str) -> Callable[[], None]:
    curve, hashed = {
        "ec-p256": (ec.SECP256R1(), hashes.SHA256()),
        "ec-p384": (ec.SECP384R1(), hashes.SHA384()),
    }[key_type]
    key, octets = ec.generate_private_key(curve), bytes(200)
    public_key, algorithm = key.public_key(), ec.ECDSA(hashed)
    return lambda: public_key.verify(key.sign(octets, algorithm), octets, algorithm)


def _rsa() -> Callable[[], None]:
    key, octets = rsa.generate_private_key(65537, 3072), bytes(200)
    public_key, how = key.public_key(), (padding.PKCS1v15(), hashes.SHA256())
    return lambda: public_key.verify(key.sign(octets, *how), octets, *how)


if __name__ == "__main__":
    main()
