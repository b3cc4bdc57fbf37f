"""CRLs of throw-away authorities in every form that there is, large ones too."""

import hashlib
from datetime import timedelta
from functools import partial

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from pikaserver.api.certificates import RevocationReason
from pikaserver.api.crls import CrlOctets, CrlRecord, CrlSummary
from pikaserver.asn1.crl import CrlHead, crl_pieces, entry, in_memory, tbs_pieces

HOUR = timedelta(hours=1)


def make_crl(key, summary: CrlSummary, serials=(), **head) -> CrlRecord:
    """Return a CRL that lists these serials, signed by a throw-away authority's key."""
    written = CrlHead(
        issuer=key.subject.public_bytes(),
        algorithm="ecdsa-sha256",
        this_update=summary.this_update,
        next_update=summary.next_update,
        number=summary.number,
        key_identifier=hashlib.sha256(key.public_key).digest()[:20],
        delta_base=summary.base_number,
        **head,
    )
    revoked = partial(entry, at=summary.this_update, reason=RevocationReason.KEY_COMPROMISE)
    entries = in_memory(map(revoked, serials))
    algorithm = ec.ECDSA(hashes.SHA256(), deterministic_signing=True)
    signature = key.key.sign(b"".join(tbs_pieces(written, entries)), algorithm)
    return CrlRecord(summary, CrlOctets(b"".join(crl_pieces(written, entries, signature))))


def summary_of(clock, number=1, **fields) -> CrlSummary:
    """Return what is known of a CRL that holds from now on for an hour."""
    known = {"authority": "issuing", "generation": 1, "entries": 0, **fields}
    return CrlSummary(number=number, this_update=clock(), next_update=clock() + HOUR, **known)
