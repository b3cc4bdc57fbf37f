"""Two requests of one message that ask for a pair: certificates bound to each other (RFC 9763)."""

from collections.abc import Sequence

from pikaserver.api.issuance import CertificationRequest
from pikaserver.api.templates import Template
from pikaserver.asn1.algorithms import key_type
from pikaserver.asn1.names import general_name_text
from pikaserver.asn1.related_certificates import read_related_request
from pikaserver_est.kem_challenges import is_to_be_challenged

_PAIR = 2
_POST_QUANTUM = ("ml-dsa-", "slh-dsa-")


def ask_for_pair(template: Template, csrs: Sequence[CertificationRequest]) -> bool:
    """Tell whether the requests of a message are those of a pair.

    They are two, of one holder, with a key each.  Where the template has no pairs, a classical
    and a post-quantum key ask for one all the same, to be told that there are none; two keys of
    one kind, to sign with and to encrypt to, are two certificates.
    """
    if len(csrs) != _PAIR or any(map(is_to_be_challenged, csrs)):
        return False
    first, second = csrs
    if first.public_key == second.public_key or _holder(first) != _holder(second):
        return False
    if template.related.pair is not None:
        return True
    kinds = {key_type(csr.public_key).startswith(_POST_QUANTUM) for csr in csrs}
    return len(kinds) == _PAIR and not any(map(read_related_request, csrs))


def _holder(csr: CertificationRequest) -> tuple[bytes, frozenset[str]]:
    names = frozenset(general_name_text(name).lower() for name in csr.names)
    return csr.subject.public_bytes(), names
