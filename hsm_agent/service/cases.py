"""One request to sign, read and looked up; what the journal says of it."""

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from hsm_agent.journal.line import Field
from hsm_agent.journal.memory import JournalMemory
from hsm_agent.keys.held_keys import HeldKey, Keyring
from hsm_agent.policy.policy import Policy
from hsm_agent.policy.rules import KeyRules
from hsm_agent.policy.verdicts import Asked, Facts
from hsm_agent.service.line_facts import LineFacts
from hsm_agent.service.refusing import Refusal
from hsm_agent.service.showing import printable, reasons
from hsm_agent.structures.classify import Malformed, Structure, classify
from hsm_agent.wire.messages import Sign

LONGEST_FACT = 900
"""Characters of one fact in the journal; the server has the octets."""
_STATES = {
    "absent": "token-absent",
    "pin-needed": "pin-needed",
    "pin-locked": "pin-locked",
    "no-policy": "policy",
}


@dataclass(frozen=True, slots=True)
class Case:
    """One request with its key, the rules of that, and what the octets are."""

    request: Sign
    line: LineFacts
    key: HeldKey
    rules: KeyRules
    structure: Structure
    asked: Asked


class Cases:
    """Looks requests up; any number of threads may ask at once."""

    def __init__(
        self,
        keyring: Keyring,
        policies: Callable[[], Policy],
        memory: JournalMemory,
        now: Callable[[], int],
    ) -> None:
        self._keyring = keyring
        self._policies = policies
        self._memory = memory
        self._now = now

    def look_up(self, request: Sign, line: LineFacts) -> Case:
        """Return what a request means; nothing is decided.

        Raises:
            Refusal: it means nothing that can be decided.
        """
        check_life(request.expires, line, self._now())
        key = self._keyring.find(request.key)
        if key is None:
            raise Refusal("unknown-key", "no key of that hash is here")
        if key.stored.state != "ready":
            code = _STATES.get(key.stored.state, "token-error")
            raise Refusal(code, f"{key.name} is {key.stored.state}")
        profile = self._memory.profile(request.key)
        rules = self._policies().rules(key.name, key.stored.public_key, profile)
        if rules is None:
            raise Refusal("policy", f"no rules of the policy are for {key.name}")
        if request.algorithm not in key.stored.algorithms:
            raise Refusal("unsupported", f"{key.name} does not sign with {request.algorithm}")
        try:
            structure = classify(request.tbs, request.content)
        except Malformed as error:
            raise Refusal("malformed", str(error)) from error
        certificates = key.certificates
        asked = Asked(
            key=request.key,
            public_key=key.stored.public_key,
            algorithm=request.algorithm,
            tbs_hash=hashlib.sha256(request.tbs).digest(),
            issuer=certificates[0] if certificates else None,
            now=datetime.fromtimestamp(self._now() / 1000, UTC),
            above=certificates[1] if len(certificates) > 1 else None,
        )
        return Case(request, line, key, rules, structure, asked)


def check_life(expires: int, line: LineFacts, now: int) -> None:
    """Return when a request may still be worked on; ``expires`` is milliseconds since 1970.

    Raises:
        Refusal: ``expired``; another agent may have answered it meanwhile.
    """
    if now > expires:
        raise Refusal("expired", f"the request expired {now - expires} ms ago")
    if not line.may_sign():
        raise Refusal("expired", "the line has been silent for too long")


def request_fields(request: Sign, line: LineFacts) -> dict[str, Field]:
    """Return what the journal says of any request to sign, allowed or not."""
    return {
        **{
            name: printable(value, LONGEST_FACT) for name, value in reasons(request.context).items()
        },
        "alg": request.algorithm,
        "key": request.key.hex(),
        "node": line.node,
        "tbs": hashlib.sha256(request.tbs).hexdigest(),
        "way": line.way,
    }


def facts_fields(facts: Facts) -> dict[str, Field]:
    """Return facts as the journal holds them."""
    return {name: printable(value, LONGEST_FACT) for name, value in facts.items()}


def line_fields(case: Case, facts: Facts, approved_by: Iterable[str]) -> dict[str, Field]:
    """Return what the journal says before a key is used."""
    fields: dict[str, Field] = {
        "kind": case.structure.kind,
        **facts_fields(facts),
        **request_fields(case.request, case.line),
        "name": case.key.name,
    }
    names = sorted(approved_by)
    return {**fields, "approved-by": names} if names else fields
