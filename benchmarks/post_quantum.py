"""Post-quantum signatures, certificates and CRLs per second, against the raw library.

A signature of ours is verified before it leaves; a certificate is built, signed, verified and
read once more.  The limit is the same key asked in a bare loop of the same run.
"""

import os
import time
from argparse import Namespace
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from secrets import token_bytes

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import mldsa
from measuring import arguments, print_facts, print_table, ratio

from pikaserver.api.certificates import RevocationReason
from pikaserver.api.signing import KeyReference, Signer
from pikaserver.asn1.algorithms import SIGNATURE_ALGORITHMS
from pikaserver.asn1.certificate import assemble, builder_public_key, tbs
from pikaserver.asn1.crl import CrlHead, Entries, crl_pieces, entry, in_memory, tbs_pieces
from pikaserver.asn1.identifiers import key_identifier
from pikaserver.signing.private_keys import load, public_key
from pikaserver.signing.sign import sign_pieces, sign_tbs
from pikaserver.signing.software import new_private_key
from pikaserver.signing.software_signers import make_signer
from pikaserver.testing.fake_server import FakeServer
from pikaserver_openssl.backend import OpensslBackend
from pikaserver_openssl.engine import EngineFault, Way
from pikaserver_openssl.engine_room import EngineRoom
from pikaserver_openssl.settings import OpensslSettings
from pikaserver_openssl.storage import metadata

KEY_TYPES = (
    "ml-dsa-44",
    "ml-dsa-65",
    "ml-dsa-87",
    "slh-dsa-sha2-128f",
    "slh-dsa-sha2-128s",
    "slh-dsa-shake-256f",
)
HEAD = (
    "key",
    "where",
    "raw/s",
    "signatures/s",
    "of raw",
    "certificates/s",
    "of raw",
    "octets",
    "CRL s",
    "CRL octets",
)
TBS = bytes(1000)
TURNS = 20
START = datetime(2026, 1, 1, tzinfo=UTC)
NAME = x509.Name.from_rfc4514_string("CN=Benchmark,O=Example")
_MlDsaKey = mldsa.MLDSA44PrivateKey | mldsa.MLDSA65PrivateKey | mldsa.MLDSA87PrivateKey


@dataclass(frozen=True, slots=True)
class Place:
    """A key in one place: what signs with it in a bare loop, and our signer."""

    name: str
    raw: Callable[[], bytes]
    signer: Signer


def main() -> None:
    """Measure each key in each place that has it."""
    parser = arguments(__doc__)
    parser.add_argument("--key-types", nargs="+", default=list(KEY_TYPES))
    parser.add_argument("--entries", type=int, default=100_000, help="in the CRL")
    parser.add_argument("--library", default=os.environ.get("PIKASERVER_TEST_LIBCRYPTO"))
    parser.add_argument("--command", default=os.environ.get("PIKASERVER_TEST_OPENSSL"))
    options = parser.parse_args()
    print_facts(__doc__)
    entries = in_memory(
        entry(int.from_bytes(b"\1" + token_bytes(15), "big"), START, RevocationReason.SUPERSEDED)
        for _ in range(options.entries)
    )
    rows = [
        (kind, place.name, *_signing(place, options.seconds / 3), *_crl(place.signer, entries))
        for kind in options.key_types
        for place in _places(kind, options)
    ]
    print_table(HEAD, rows)


def _places(kind: str, options: Namespace) -> Iterator[Place]:
    if kind.startswith("ml-dsa"):
        pkcs8 = new_private_key(kind)
        key = load(pkcs8)
        if isinstance(key, _MlDsaKey):
            signer = make_signer(key, SIGNATURE_ALGORITHMS[kind], public_key(pkcs8))
            yield Place("software", partial(key.sign, TBS), signer)
    library = {"library": options.library} if options.library else {}
    command = {"command": options.command} if options.command else {}
    for name, named in (("libcrypto", library), ("cli", command)):
        settings = OpensslSettings.model_validate({"engine": name, **named})
        yield from _openssl(name, kind, settings)


def _openssl(name: str, kind: str, settings: OpensslSettings) -> Iterator[Place]:
    server = FakeServer([settings])
    with server.database.transaction() as connection:
        metadata.create_all(connection)
    room, reference = EngineRoom(server), KeyReference("openssl", kind)
    backend = OpensslBackend(server, room)
    try:
        engine = room.engine()
    except EngineFault as fault:
        print(f"without {name}: {fault}")
        return
    if kind in engine.offered:
        backend.generate(reference, kind, exportable=True)
        opened = engine.open(backend.export_key(reference))
        yield Place(name, partial(opened.sign, TBS, Way()), backend.open(reference, kind))


def _signing(place: Place, seconds: float) -> tuple[object, ...]:
    signer, spki = place.signer, place.signer.public_key
    raw, signatures, certificates = _rates(
        (place.raw, lambda: sign_tbs(signer, TBS, spki), lambda: _certificate(signer)), seconds
    )
    octets = len(_certificate(signer))
    return raw, signatures, ratio(signatures, raw), certificates, ratio(certificates, raw), octets


def _certificate(signer: Signer) -> bytes:
    spki, serial = signer.public_key, int.from_bytes(b"\1" + token_bytes(17), "big")
    builder = (
        x509.CertificateBuilder(NAME, NAME)
        .public_key(builder_public_key(spki))
        .serial_number(serial)
        .not_valid_before(START)
        .not_valid_after(START + timedelta(days=365))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier(key_identifier(spki)), critical=False)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("a.example")]), critical=False)
    )
    octets = tbs(builder, signer.algorithm)
    return assemble(octets, signer.algorithm, sign_tbs(signer, octets, spki))


def _crl(signer: Signer, entries: Entries) -> tuple[object, ...]:
    head = CrlHead(
        issuer=NAME.public_bytes(),
        algorithm=signer.algorithm,
        this_update=START,
        next_update=START + timedelta(days=7),
        key_identifier=key_identifier(signer.public_key),
        number=1,
    )
    began = time.perf_counter()
    signature = sign_pieces(signer, lambda: tbs_pieces(head, entries), signer.public_key)
    octets = sum(map(len, crl_pieces(head, entries, signature)))
    return time.perf_counter() - began, octets


def _rates(deeds: Sequence[Callable[[], object]], seconds: float) -> list[float]:
    """Take turns: what else the machine does slows all of them, and leaves the ratios alone."""
    done, used = [0] * len(deeds), [0.0] * len(deeds)
    turn = seconds / TURNS
    while min(used) < seconds:
        for number, deed in enumerate(deeds):
            began = time.perf_counter()
            while (taken := time.perf_counter() - began) < turn:
                deed()
                done[number] += 1
            used[number] += taken
    return [count / spent for count, spent in zip(done, used, strict=True)]


if __name__ == "__main__":
    main()
