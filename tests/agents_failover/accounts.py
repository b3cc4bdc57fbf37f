"""What was signed: certificates, database and the journals of the agents tell the same story."""

import hashlib
from collections import defaultdict
from dataclasses import dataclass, field

from cryptography import x509

from tests.agents_failover.cluster import AUTHORITY

STORED = """
    SELECT certificate.serial, certificate.state, certificate.tbs_hash, certificate.certificate
    FROM certificate
    JOIN authority_generation ON authority_generation.id = certificate.generation_id
    JOIN authority ON authority.id = authority_generation.authority_id
    WHERE authority.name = :authority
"""


@dataclass
class Signed:
    """What one agent's journal says of certificates; times are milliseconds since 1970."""

    allowed: dict[str, int] = field(default_factory=dict)
    """Hash of the octets, and when the line that allows them was written."""
    signatures: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    serials: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    used: dict[str, int] = field(default_factory=dict)
    """Hash of the octets, and when the key had signed them."""


def signed_by(agent):
    """Read an agent's journal."""
    found, allowed = Signed(), {}
    for line in agent.journal():
        if line["event"] == "sign" and line["kind"] == "cert":
            allowed[line["i"]] = line["tbs"]
            found.allowed[line["tbs"]] = line["ts"]
            found.serials[line["serial"]].add(line["tbs"])
        elif line["event"] == "signed" and line["of"] in allowed:
            tbs = allowed[line["of"]]
            found.signatures[tbs].add(line["signature"])
            found.used[tbs] = line["ts"]
    return found


def check_accounts(cluster, devices):
    """Nothing that was promised is missing, and nothing was given twice."""
    certificates = [x509.load_der_x509_certificate(der) for der in devices.certificates()]
    assert certificates
    stored = cluster.ask(STORED, authority=AUTHORITY)
    issued = {int(row.serial, 16): row.certificate for row in stored if row.state == "issued"}
    assert {"issued", "abandoned"} >= {row.state for row in stored}
    assert len(stored) == len({row.serial for row in stored})
    assert len(stored) == len({bytes(row.tbs_hash) for row in stored})
    assert len(certificates) == len({one.serial_number for one in certificates})
    for one, der in zip(certificates, devices.certificates(), strict=True):
        assert der == bytes(issued[one.serial_number])
    check_journals(cluster, certificates)


def check_journals(cluster, certificates):
    """Each certificate is in a journal with its signature; no serial stands for two of them."""
    journals = [signed_by(agent) for agent in cluster.agents]
    serials = defaultdict(set)
    for journal in journals:
        for serial, hashes in journal.serials.items():
            serials[serial] |= hashes
    assert {1} == {len(hashes) for hashes in serials.values()}
    for one in certificates:
        tbs = hashlib.sha256(one.tbs_certificate_bytes).hexdigest()
        signature = hashlib.sha256(one.signature).hexdigest()
        assert any(signature in journal.signatures.get(tbs, ()) for journal in journals)


def signed_after_waking(agent, other, stopped, woke):
    """Return what a woken agent let its key sign although another one had done so meanwhile.

    A key that was at work at the very moment of the stop ends its work; nothing is begun.
    """
    mine, others = signed_by(agent), signed_by(other)
    twice = {tbs for tbs, at in mine.used.items() if at >= woke and tbs in others.used}
    finished = {tbs for tbs in twice if mine.allowed[tbs] <= stopped}
    return twice - finished, finished
