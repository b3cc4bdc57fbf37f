"""dns-01 (RFC 8555 section 8.4) and dns-account-01 (draft-ietf-acme-dns-account-label)."""

import base64
import hashlib

from pikaserver_acme.validation.attempt import Failed, printable
from pikaserver_acme.validation.lookout import Lookout
from pikaserver_acme.validation.question import Question

LABEL = "_acme-challenge"


def check(question: Question, lookout: Lookout) -> None:
    """Return when a TXT record below the name holds the digest.

    Raises:
        Failed: none does, or the servers cannot tell.
    """
    _look(f"{LABEL}.{question.identifier_value}", question, lookout)


def check_account(question: Question, lookout: Lookout) -> None:
    """Return when a TXT record below the account's own label holds the digest.

    Raises:
        Failed: none does, or the servers cannot tell.
    """
    own = account_label(question.account_url)
    _look(f"{own}.{LABEL}.{question.identifier_value}", question, lookout)


def account_label(account_url: str) -> str:
    """Return the label of an account: ten octets of its URL's SHA-256 in base32."""
    digest = hashlib.sha256(account_url.encode()).digest()
    return "_" + base64.b32encode(digest[:10]).decode().lower()


def _look(name: str, question: Question, lookout: Lookout) -> None:
    digest = hashlib.sha256(question.key_authorization.encode()).digest()
    wanted = base64.urlsafe_b64encode(digest).rstrip(b"=")
    found = lookout.resolver.texts(name, lookout.attempt)
    if wanted in found:
        return
    if not found:
        why = f"no TXT record at {name}; it should hold {wanted.decode()}"
        raise Failed("unauthorized", why, again=True)
    shown = ", ".join(repr(printable(one[:100].decode("latin-1"))) for one in found[:3])
    why = f"TXT {name} holds {shown}, not {wanted.decode()}"
    raise Failed("unauthorized", why, again=True)
