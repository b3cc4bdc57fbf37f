"""CRLs that somebody brings: bent, forged, huge; refused in words, nothing stored, in time."""

import time
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from sqlalchemy import func, select

from pikaserver.api.certificates import RevocationReason
from pikaserver.api.errors import Conflict, MalformedRequest, RequestRejected, SignatureFaulty
from pikaserver.asn1 import der
from pikaserver.asn1.crl import entry
from pikaserver.asn1.crl_reading import LARGEST_CRL, read_crl
from pikaserver.asn1.elements import children
from pikaserver.cli.main import run
from pikaserver.storage.tables import audit_record, crl, crl_chunk
from pikaserver.testing.servers import make_server
from tests.fuzz.mutation import Mutator
from tests.hostile.forging import nested, truncations
from tests.road.crl_ground import elsewhere_on

REFUSALS = (Conflict, MalformedRequest, RequestRejected, SignatureFaulty)
ECDSA = der.sequence(der.oid("1.2.840.10045.4.3.2"))
MANY = 1000
CRL_NUMBER, REASON, ISSUER = "2.5.29.20", "2.5.29.21", "2.5.29.29"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with make_server(tmp_path_factory.mktemp("crls") / "data") as made:
        yield made


@pytest.fixture(scope="module")
def offline(server):
    """An authority whose key is elsewhere, and which served one CRL already."""
    made = elsewhere_on(server)
    server.foreign_crls.upload(made.authority, made.crl(7, 5), "test")
    return made


@pytest.fixture
def refused(server, offline, caplog):
    """Bring octets; they are refused in one sentence and in time, and nothing has changed."""
    before = traces(server)

    def bring(octets):
        began = time.process_time()
        with pytest.raises(REFUSALS) as refusal:
            server.foreign_crls.upload(offline.authority, octets, "test")
        spent = time.process_time() - began
        assert spent <= max(1, len(octets) / 65_536), f"{spent:.1f} s"
        assert before == traces(server)
        assert not caplog.records
        return str(refusal.value)

    yield bring
    assert 7 == server.crls.latest(offline.authority).number


def traces(server):
    with server.database.reading() as connection:
        return [
            connection.execute(select(func.count()).select_from(table)).scalar_one()
            for table in (crl, crl_chunk, audit_record)
        ]


def extension(oid, value, *, critical=False):
    flag = der.boolean(value=True) if critical else b""
    return der.sequence(der.oid(oid), flag, der.octet_string(value))


def forged(offline, *entries, extensions=(), version=1, at=None, until=None):
    """Return a CRL as no honest program writes it, signed by the authority's own key."""
    at = at or offline.at
    tbs = der.sequence(
        der.integer(version) if version is not None else b"",
        ECDSA,
        offline.name.public_bytes(),
        der.time(at),
        der.time(until or at + timedelta(days=7)),
        der.sequence(*entries) if entries else b"",
        der.context(0, der.sequence(extension(CRL_NUMBER, der.integer(9)), *extensions)),
    )
    return der.signed(tbs, ECDSA, offline.key.sign(tbs, ec.ECDSA(hashes.SHA256())))


def of(offline, *extensions, serial=1):
    """Return an entry with any extensions."""
    return der.sequence(der.integer(serial), der.time(offline.at), der.sequence(*extensions))


FORGERIES = {
    "a reason that does not exist": lambda it: forged(
        it, of(it, extension(REASON, der.integer(7, 0x0A)))
    ),
    "a reason that is none": lambda it: forged(it, of(it, extension(REASON, b"\x05\x00"))),
    "a reason twice": lambda it: forged(it, of(it, *[extension(REASON, b"\x0a\x01\x01")] * 2)),
    "another issuer's entry": lambda it: forged(
        it,
        of(it, extension(ISSUER, der.sequence(der.context(4, it.name.public_bytes())))),
    ),
    "an unknown critical extension of an entry": lambda it: forged(
        it, of(it, extension("1.2.3.4", b"\x05\x00", critical=True))
    ),
    "an unknown critical extension": lambda it: forged(
        it, extensions=[extension("1.2.3.4", b"\x05\x00", critical=True)]
    ),
    "a number twice": lambda it: forged(it, extensions=[extension(CRL_NUMBER, der.integer(10))]),
    "an end before its beginning": lambda it: forged(
        it, at=it.at - timedelta(days=1), until=it.at - timedelta(days=2)
    ),
    "an entry without a time": lambda it: forged(it, der.sequence(der.integer(1))),
    "an entry that is none": lambda it: forged(it, der.null()),
    "10,000 levels in an extension": lambda it: forged(
        it, extensions=[extension("2.5.29.28", nested(10_000), critical=True)]
    ),
    "900 levels in an entry": lambda it: forged(
        it, der.sequence(der.integer(1), der.time(it.at), nested(900))
    ),
    "40,000 nothings as entries": lambda it: forged(it, *[der.null()] * 40_000),
    "40,000 unreadable entries at the end": lambda it: forged(
        it,
        *[entry(one, it.at, RevocationReason.SUPERSEDED) for one in range(1, 1500)],
        *[der.null()] * 40_000,
    ),
}


@pytest.mark.parametrize("what", FORGERIES)
def test_what_its_own_key_signed_is_looked_into(offline, refused, what):
    """An authority's software may be wrong, too; nobody could verify such a CRL."""
    refused(FORGERIES[what](offline))


@pytest.mark.parametrize("number", [-1, 1 << 63, 1 << 160])
def test_a_number_that_no_database_holds_is_refused(offline, refused, number):
    """In words, not by an overflow."""
    tbs_number = extension(CRL_NUMBER, der.integer(number))
    good = forged(offline)
    bent = good.replace(extension(CRL_NUMBER, der.integer(9)), tbs_number)

    refused(bent)


def test_a_crl_is_refused_wherever_it_is_cut_or_bent(offline, refused):
    """No octet of it can be another one."""
    good = offline.crl(8, *range(1, 20))

    for octets in (*truncations(good, 9), good + b"\x00", good + good):
        refused(octets)
    for at in range(0, len(good), 3):
        refused(good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :])


def test_a_signature_of_no_whole_number_of_octets_is_refused(offline, refused):
    """Where its last bit is 0, it can be said to be spare: the same CRL in other octets."""
    good = offline.crl(8)
    while good[-1] & 1:
        good = offline.crl(8)
    signature = list(children(good))[2]
    bent = good[: signature.start] + b"\x01" + good[signature.start + 1 :]

    assert "a signature of no whole number of octets" in refused(bent)


def test_mutated_crls_are_refused(offline, refused):
    """A signature stands over all of it."""
    good = offline.crl(8, 1, 2, 3)
    mutator = Mutator([good], (), is_der=True, seed=5280)

    for _ in range(MANY):
        octets = mutator.next()
        if octets != good:
            refused(octets)


def test_one_of_another_size_than_anybody_has_is_not_read(refused):
    """64 MiB are a million and a half of entries."""
    assert "at most" in refused(bytes(LARGEST_CRL + 1))


def reading(octets, count):
    """Return the seconds of work that it takes to read a CRL of so many entries."""
    began = time.process_time()
    assert count == sum(1 for _ in read_crl(octets).entries())
    return time.process_time() - began


def test_reading_takes_time_as_its_size(offline):
    """Linear, whatever is in it: twice as many entries take about twice as long."""
    spent = []
    for count in (5_000, 20_000):
        entries = [
            entry(one, offline.at, RevocationReason.SUPERSEDED, offline.at) for one in range(count)
        ]
        octets = forged(offline, *entries)
        spent.append(min(reading(octets, count) for _ in range(3)))
        assert spent[-1] <= len(octets) / 65_536

    assert spent[1] < 12 * spent[0]


def test_the_command_says_it_in_one_sentence(offline, tmp_path, capsys):
    """Exit code 1, no traceback, whatever the file is."""
    file = tmp_path / "bad.crl"
    pem = x509.load_der_x509_crl(offline.crl(8)).public_bytes(Encoding.PEM)
    for octets in (b"", b"\x30", nested(900), pem[:200], pem.replace(b"M", b"N", 1), bytes(10_000)):
        file.write_bytes(octets)

        code = run(["crl", "verify", str(file), "--issuer", str(issuer(offline, tmp_path))])

        told = capsys.readouterr().err
        assert (1, 1) == (code, told.count("\n")), told
        assert told.startswith("pikaserver: ")


def issuer(offline, folder):
    path = folder / "issuer.pem"
    path.write_bytes(offline.certificate.public_bytes(Encoding.PEM))
    return path
