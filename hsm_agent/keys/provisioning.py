"""Keys made from afar and certificates that come back, as far as the policy lets them."""

import hashlib
import re
from collections.abc import Callable
from threading import Lock

from hsm_agent.approvals.approvals import Approvals, Wanted
from hsm_agent.approvals.statement import NO_KEY
from hsm_agent.journal.journal import Journal
from hsm_agent.journal.line import Field
from hsm_agent.journal.memory import JournalMemory
from hsm_agent.keys.held_keys import HeldKey, Keyring
from hsm_agent.policy.own_certificate import NotOurs, check_own_certificate
from hsm_agent.policy.policy import Policy, ProvisionRules
from hsm_agent.policy.verdicts import Approval
from hsm_agent.service.cases import LONGEST_FACT, check_life
from hsm_agent.service.line_facts import LineFacts
from hsm_agent.service.refusing import Refusal
from hsm_agent.service.showing import approval_text, printable, reasons
from hsm_agent.service.signing import ask
from hsm_agent.stores.store import (
    PinLocked,
    PinNeeded,
    StoreError,
    TokenAbsent,
    UnknownKey,
    Unsupported,
)
from hsm_agent.wire.encoding import encode
from hsm_agent.wire.messages import Generate, PutCertificate

GENERATE = "generate"
"""In the place of a kind where a key is to be made, in statements of approvals."""
GENERATE_LABEL = b"hsm-agent generate v1\0"
BUSY_AFTER = 2_000
"""Milliseconds after which the making of another key may be done."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,63}/[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
# Nothing was made: other errors leave that open, and the next try looks for the key.
_NOTHING_MADE = (UnknownKey, Unsupported, TokenAbsent, PinNeeded, PinLocked)


class Provisioning:
    """Makes keys and takes their certificates; any thread may ask."""

    def __init__(
        self,
        keyring: Keyring,
        policies: Callable[[], Policy],
        journal: Journal,
        memory: JournalMemory,
        approvals: Approvals,
        now: Callable[[], int],
    ) -> None:
        self._keyring = keyring
        self._policies = policies
        self._journal = journal
        self._memory = memory
        self._approvals = approvals
        self._now = now
        self._making = Lock()

    def generate(self, request: Generate, line: LineFacts) -> HeldKey:
        """Make a key, or return the one that this request, or one like it, has made before.

        Raises:
            Refusal: none was made.
            StoreError: none was made, as far as the store knows.
            JournalFault: the journal cannot be written, and none was made.
        """
        check_life(request.expires, line, self._now())
        name = self._keyring.full_name(request.name)
        rules = self._policies().provision
        _check_wanted(rules, name, request)
        if not self._making.acquire(blocking=False):
            raise Refusal("busy", "another key is being made", after=BUSY_AFTER)
        try:
            there = [key for key in self._keyring.keys() if key.name == name]
            if there:
                return self._made_before(there[0], request, line)
            self._check_count(rules)
            if rules.approval is not None:
                self._check_approved(rules.approval, name, request)
            return self._make(name, request, line)
        finally:
            self._making.release()

    def put_certificate(self, request: PutCertificate, line: LineFacts) -> None:
        """Keep the authority's certificate over a key; the same one again changes nothing.

        Raises:
            Refusal: it is not one that this key can sign under.
            StoreError: it was not kept.
            JournalFault: the journal cannot be written; it was not kept.
        """
        if self._now() > request.expires:
            raise Refusal("expired", "the request expired")
        with self._memory.deciding(request.key):
            key = self._keyring.find(request.key)
            if key is None:
                raise Refusal("unknown-key", "no key of that hash is here")
            held = key.certificates
            if held == request.certificates:
                return
            self._check_left_open(key)
            try:
                check_own_certificate(
                    key.stored.public_key, request.certificates, held[0] if held else None
                )
            except NotOurs as error:
                raise Refusal("policy", str(error)) from error
            hashes = [hashlib.sha256(one).hexdigest() for one in request.certificates]
            self._journal.append(
                "certificate", key=request.key.hex(), name=key.name, sha256=hashes, **_from(line)
            )
            self._keyring.put_certificates(request.key, request.certificates)

    def _check_left_open(self, key: HeldKey) -> None:
        """Refuse where the operator has said which certificate it is."""
        public_key = key.stored.public_key
        profile = self._memory.profile(hashlib.sha256(public_key).digest())
        rules = self._policies().rules(key.name, public_key, profile)
        if rules is not None and rules.certificate:
            raise Refusal("policy", f"{rules.name}: the certificate is {rules.certificate}")

    def _made_before(self, key: HeldKey, request: Generate, line: LineFacts) -> HeldKey:
        """Return a key that this profile made; it may have died before it could say so."""
        key_hash = hashlib.sha256(key.stored.public_key).digest()
        profile = self._memory.profile(key_hash)
        same_type = key.stored.key_type == request.key_type
        if same_type and profile == request.profile:
            return key
        begun = self._memory.begun(key.name)
        if same_type and profile is None and begun == (request.profile, request.key_type):
            self._note_made(key, request, line)
            return key
        raise Refusal("exists", f"{key.name} is another key already")

    def _check_count(self, rules: ProvisionRules) -> None:
        made = [
            key
            for key in self._keyring.keys()
            if self._memory.profile(hashlib.sha256(key.stored.public_key).digest()) is not None
        ]
        if len(made) >= rules.max_keys:
            raise Refusal("policy", f"{len(made)} keys were made from afar already: max-keys")

    def _check_approved(self, threshold: Approval, name: str, request: Generate) -> None:
        facts = {
            "key-type": request.key_type,
            "profile": request.profile,
            "pin-policy": request.pin_policy or "usual",
            "touch-policy": request.touch_policy or "usual",
        }
        octets = generate_octets(name, request)
        text = approval_text(name, GENERATE, octets, facts, request.context)
        ask(self._approvals, Wanted(NO_KEY, name, GENERATE, octets, text, threshold), facts)

    def _make(self, name: str, request: Generate, line: LineFacts) -> HeldKey:
        told = _fields(name, request, line)
        self._journal.append("generate", **told)
        try:
            # The process may have been stopped since it looked last.
            check_life(request.expires, line, self._now())
            key = self._keyring.generate(
                name, request.key_type, request.pin_policy, request.touch_policy
            )
        except (Refusal, *_NOTHING_MADE) as error:
            self._journal.append("not-generated", name=name, why=printable(str(error)))
            raise
        except StoreError as error:
            self._journal.note("failed", name=name, why=printable(str(error)))
            raise
        self._note_made(key, request, line)
        return key

    def _note_made(self, key: HeldKey, request: Generate, line: LineFacts) -> None:
        key_hash = hashlib.sha256(key.stored.public_key).hexdigest()
        self._journal.append("generated", key=key_hash, **_fields(key.name, request, line))
        self._approvals.forget(hashlib.sha256(generate_octets(key.name, request)).digest())


def generate_octets(name: str, request: Generate) -> bytes:
    """Return what people approve where a key is to be made, in the place of a TBS."""
    return GENERATE_LABEL + encode(
        {
            "name": name,
            "key-type": request.key_type,
            "profile": request.profile,
            "pin-policy": request.pin_policy,
            "touch-policy": request.touch_policy,
        }
    )


def _check_wanted(rules: ProvisionRules, name: str, request: Generate) -> None:
    if request.profile not in rules.profiles:
        raise Refusal("policy", f"profile {request.profile!r} is not one of [provision] profiles")
    if rules.stores and name.partition("/")[0] not in rules.stores:
        raise Refusal("policy", f"no keys are made in the store of {name!r}: [provision] stores")
    if rules.key_types and request.key_type not in rules.key_types:
        raise Refusal("policy", f"no {request.key_type!r} keys are made: [provision] key-types")
    if not _NAME.fullmatch(name):
        raise Refusal("policy", f"{name!r} is no name for a key")


def _fields(name: str, request: Generate, line: LineFacts) -> dict[str, Field]:
    told = {**reasons(request.context), "profile": request.profile, "key-type": request.key_type}
    fields = {key: printable(value, LONGEST_FACT) for key, value in told.items()}
    return {**fields, "name": name, **_from(line)}


def _from(line: LineFacts) -> dict[str, Field]:
    return {"node": line.node, "way": line.way}
