"""The server's side of the agent's benchmark: it asks for signatures as requests would.

``python benchmarks/agent_load.py DATA REFERENCE ALGORITHM`` opens the server's folder with its
listener for agents and does what each line of its input says, ``CLIENTS SECONDS``: it answers
``ready`` when it begins, and a line of JSON, the fields of ``agent_asking.Figures``, at the end.
"""

import dataclasses
import gc
import json
import os
import secrets
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise, repeat
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from measuring import cpu_seconds

from pikaserver.api.certificates import Generation
from pikaserver.api.signing import KeyReference, Signer
from pikaserver.ground import items
from pikaserver.opening import open_server
from pikaserver.server import PkiServer
from pikaserver.settings.loading import load
from pikaserver.testing.patience import until

SERIAL_OCTETS = 18
_DAY = timedelta(days=1)
_USAGE = x509.KeyUsage(
    digital_signature=True,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=False,
    crl_sign=False,
    encipher_only=False,
    decipher_only=False,
)


def main(data: str, reference: str, algorithm: str) -> None:
    """Do what is asked until the input ends."""
    settings = load(os.environ, data=Path(data))
    with open_server(settings, os.environ) as server:
        listeners = items(server.plugins.listeners(server.for_plugins))
        for listener in listeners:
            listener.start()
        gc.freeze()  # as `pikaserver up` does
        octets = structures(_generation(server, reference), algorithm)
        for line in sys.stdin:
            clients, seconds = line.split()
            signer = until(lambda: _opened(server, reference, algorithm), "the agent's line", 60)
            print("ready", flush=True)
            print(json.dumps(measure(signer, octets, int(clients), float(seconds))), flush=True)
        for listener in listeners:
            listener.stop()


def _opened(server: PkiServer, reference: str, algorithm: str) -> Signer | None:
    found = KeyReference.parse(reference)
    try:
        signer = server.signers.open(found, algorithm)
        signer.sign(next(structures(_generation(server, reference), algorithm)))
    except Exception as error:  # noqa: BLE001 - it is not there yet
        time.sleep(0.1)
        print(f"waiting: {error}", file=sys.stderr)
        return None
    return signer


def _generation(server: PkiServer, reference: str) -> Generation:
    for name in server.authorities.names():
        for generation in server.authorities.get(name).generations:
            if generation.key == reference:
                return generation
    raise LookupError(reference)


def structures(generation: Generation, algorithm: str) -> Iterator[bytes]:
    """Yield certificates to be signed, for ever; only their serials differ."""
    issuer = x509.load_der_x509_certificate(generation.certificate)
    throw_away: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
    throw_away = ec.generate_private_key(ec.SECP256R1())
    public = throw_away.public_key()
    if algorithm.startswith("rsa"):
        throw_away = rsa.generate_private_key(65537, 2048)
    serial = int.from_bytes(b"\1" + secrets.token_bytes(SERIAL_OCTETS - 1), "big")
    now = datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "device-1")])
    authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.public_key())  # type: ignore[arg-type]  # it is a key that signs
    names = x509.SubjectAlternativeName([x509.DNSName("device-1.example.test")])
    made = (
        x509.CertificateBuilder(issuer.subject, name, public, serial)
        .not_valid_before(now - _DAY / 24)
        .not_valid_after(now + 90 * _DAY)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_USAGE, critical=True)
        .add_extension(names, critical=False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
        .add_extension(authority, critical=False)
        .sign(throw_away, hashes.SHA256())
    )
    before, _, after = made.tbs_certificate_bytes.partition(serial.to_bytes(SERIAL_OCTETS, "big"))
    for octet in repeat(b"\1"):
        yield before + octet + secrets.token_bytes(SERIAL_OCTETS - 1) + after


def measure(
    signer: Signer, octets: Iterator[bytes], clients: int, seconds: float
) -> dict[str, object]:
    """Let so many threads ask one signature after the other."""
    outcome = _Outcome()
    used, began = cpu_seconds(os.getpid()), time.perf_counter()
    threads = [
        threading.Thread(target=_ask, args=(signer, octets, began + seconds, outcome))
        for _ in range(clients)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    passed = time.perf_counter() - began
    ends = [began, *sorted(outcome.ends), began + passed]
    return {
        "rate": len(outcome.latencies) / passed,
        "latencies": sorted(outcome.latencies),
        "cpu": (cpu_seconds(os.getpid()) - used) / max(1, len(outcome.latencies)),
        "pause": max(later - earlier for earlier, later in pairwise(ends)),
        "faults": outcome.faults,
    }


@dataclasses.dataclass
class _Outcome:
    latencies: list[float] = dataclasses.field(default_factory=list)
    ends: list[float] = dataclasses.field(default_factory=list)
    faults: list[str] = dataclasses.field(default_factory=list)
    lock: threading.Lock = dataclasses.field(default_factory=threading.Lock)


def _ask(signer: Signer, octets: Iterator[bytes], until_: float, outcome: _Outcome) -> None:
    while (began := time.perf_counter()) < until_:
        with outcome.lock:
            tbs = next(octets)
        try:
            signer.sign(tbs)
        except Exception as error:  # noqa: BLE001 - counted and shown
            outcome.faults.append(str(error))
        else:
            ended = time.perf_counter()
            outcome.ends.append(ended)
            outcome.latencies.append(ended - began)


if __name__ == "__main__":
    main(*sys.argv[1:])
