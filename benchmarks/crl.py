"""Seconds and memory of one CRL, against ``openssl ca -gencrl`` and cryptography's builder.

Ours reads the entries from the database, signs, and stores the CRL durably; the peers read
or make theirs in memory and write nothing durable.  Each runs in a process of its own.
"""

import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import NameOID
from filling import fill
from measuring import arguments, memory_mib, peak_memory_mib, print_facts, print_table, ratio

from pikaserver.clock import system_clock
from pikaserver.first_start import FirstStart, set_up
from pikaserver.opening import open_server
from pikaserver.settings.loading import load

LOOK_SECONDS = 0.005
"""So often the memory of openssl is looked at."""

CONFIGURATION = """
[ca]
default_ca = one
[one]
database = index.txt
crlnumber = crlnumber
certificate = ca.pem
private_key = ca.key
default_md = sha256
default_crl_days = 7
"""


def main() -> None:
    """Measure each role in a child."""
    parser = arguments(__doc__)
    parser.add_argument("--entries", type=int, nargs="+", default=[100_000])
    parser.add_argument("--role", choices=("ours", "builder"), help="what a child does")
    parser.add_argument("--data", type=Path)
    options = parser.parse_args()
    if options.role is not None:
        {"ours": _ours, "builder": _builder}[options.role](options.data, options.entries[0])
        return
    rows: list[tuple[object, ...]] = []
    with tempfile.TemporaryDirectory(dir=".") as folder:
        print_facts(__doc__, Path(folder))
        for entries in options.entries:
            place = Path(folder) / str(entries)
            _prepare(place, entries)
            found = [("pikaserver", *_child("ours", place, entries))]
            if shutil.which("openssl"):
                found.append(("openssl ca", *_openssl(place)))
            found.append(("cryptography", *_child("builder", place, entries)))
            _, seconds, memory = found[0]
            rows += [
                (entries, name, took, taken, ratio(seconds, took), ratio(memory, taken))
                for name, took, taken in found
            ]
    head = ("entries", "maker", "seconds", "MiB over idle", "ours, seconds", "ours, memory")
    print_table(head, rows)


def _prepare(folder: Path, entries: int) -> None:
    """Fill a database for us and an index for openssl."""
    set_up(FirstStart(folder / "data", hostname="pki.example.test"), {}, system_clock)
    with open_server(load({}, data=folder / "data"), {}) as server:
        fill(server, entries, revoked=True)
    key = ec.generate_private_key(ec.SECP256R1())
    octets = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (folder / "ca.key").write_bytes(octets)
    (folder / "ca.pem").write_bytes(_own_certificate(key).public_bytes(Encoding.PEM))
    (folder / "crlnumber").write_text("01\n")
    (folder / "ca.cnf").write_text(CONFIGURATION)
    with (folder / "index.txt").open("w") as index:
        for number in range(entries):
            serial = "01" + secrets.token_hex(17).upper()
            index.write(
                f"R\t401231235959Z\t250101000000Z,superseded\t{serial}\tunknown\t/CN=d{number}\n"
            )


def _own_certificate(key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Issuing CA")])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name)
    builder = builder.not_valid_before(now).not_valid_after(now + timedelta(days=365))
    builder = builder.serial_number(1).public_key(key.public_key())
    return builder.sign(key, hashes.SHA256())


def _child(role: str, folder: Path, entries: int) -> tuple[float, float]:
    words = [sys.executable, __file__, "--role", role, "--data", str(folder)]
    done = subprocess.run(
        [*words, "--entries", str(entries)], check=True, capture_output=True, text=True
    )
    seconds, memory = done.stdout.split()
    return float(seconds), float(memory)


def _ours(folder: Path, _entries: int) -> None:
    with open_server(load({}, data=folder / "data"), {}) as server:
        idle, began = memory_mib(os.getpid()), time.perf_counter()
        server.crls.issue("issuing")
        print(time.perf_counter() - began, peak_memory_mib(os.getpid()) - idle)


def _builder(folder: Path, entries: int) -> None:
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = _own_certificate(key).subject
    idle, began = memory_mib(os.getpid()), time.perf_counter()
    reason = x509.CRLReason(x509.ReasonFlags.superseded)
    revoked = [
        x509.RevokedCertificateBuilder()
        .serial_number(1 << 136 | number)
        .revocation_date(now)
        .add_extension(reason, critical=False)
        .build()
        for number in range(entries)
    ]
    # Adding them one by one would copy the list for each.
    builder = x509.CertificateRevocationListBuilder(name, now, now + timedelta(days=7), [], revoked)
    (folder / "builder.crl").write_bytes(
        builder.sign(key, hashes.SHA256()).public_bytes(Encoding.DER)
    )
    print(time.perf_counter() - began, peak_memory_mib(os.getpid()) - idle)


def _openssl(folder: Path) -> tuple[float, float]:
    words = ["openssl", "ca", "-gencrl", "-config", "ca.cnf", "-out", "openssl.crl"]
    began, peak = time.perf_counter(), 0.0
    child = subprocess.Popen(words, cwd=folder, stderr=subprocess.DEVNULL)
    while child.poll() is None:
        peak = max(peak, peak_memory_mib(child.pid))
        time.sleep(LOOK_SECONDS)
    if child.returncode:
        raise RuntimeError("openssl ca -gencrl failed")
    return time.perf_counter() - began, peak


if __name__ == "__main__":
    main()
