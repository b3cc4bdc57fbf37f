"""The store of keys on a PKCS#11 token."""

import threading
from collections.abc import Iterator, Mapping, Sequence

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm

from hsm_agent.stores.key_types import spki_of
from hsm_agent.stores.pkcs11.imported_keys import importing
from hsm_agent.stores.pkcs11.listing import TokenKey, offered_mechanisms, token_keys
from hsm_agent.stores.pkcs11.mechanisms import operation, x509_signature
from hsm_agent.stores.pkcs11.new_keys import Request, certificate_object, generations, key_types
from hsm_agent.stores.pkcs11.pins import Entropy
from hsm_agent.stores.pkcs11.pipe import flag, octets, text
from hsm_agent.stores.pkcs11.pipeline import Pipeline
from hsm_agent.stores.pkcs11.refused import WHY_LOCKED, WHY_LOW
from hsm_agent.stores.pkcs11.settings import TokenSettings
from hsm_agent.stores.pkcs11.unlocking import Unlocking
from hsm_agent.stores.pkcs11.waiting import Answered
from hsm_agent.stores.store import (
    NewKey,
    Outcome,
    StoredKey,
    StoreError,
    StoreState,
    TokenFault,
    UnknownKey,
    Unsupported,
)
from hsm_agent.wire.encoding import Value

_GLANCE_SECONDS = 3.0
_ID_OCTETS = 20
_SOFTWARE = "SoftHSM"
"""Begins the manufacturer's name of a token that is a folder of files."""


class TokenStore:
    """Keys of one token; the module runs in a process of its own."""

    kind = "pkcs11"
    at_once = 16

    def __init__(
        self, settings: TokenSettings, pipeline: Pipeline, unlocking: Unlocking, entropy: Entropy
    ) -> None:
        self._settings = settings
        self._pipeline = pipeline
        self._unlocking = unlocking
        self._entropy = entropy
        self._lock = threading.Lock()
        self._keys: Mapping[str, TokenKey] = {}
        self._offered: Mapping[int, tuple[int, int]] = {}
        self._facts: Mapping[str, Value] = {}

    @property
    def trial(self) -> bool:
        """See ``hsm_agent.stores.store.Store``: SoftHSM is files, whatever it calls itself."""
        return text(self._facts, "manufacturer").startswith(_SOFTWARE)

    @property
    def process(self) -> int:
        """The id of the worker's process, 0 while there is none."""
        return self._pipeline.process

    def state(self) -> StoreState:
        """See ``hsm_agent.stores.store.Store``; a busy token is as it was before."""
        try:
            facts = self._unlocking.look(_GLANCE_SECONDS) or self._facts
        except StoreError as error:
            return StoreState("absent", (), (), {**self._described(), "fault": str(error)})
        self._facts = facts
        code, why = self._obstacle(facts) if facts else ("absent", "the token is busy")
        makes, signs = offered_mechanisms(facts, "generates"), offered_mechanisms(facts, "signs")
        fault = {"fault": why} if why else {}
        return StoreState(code, key_types(makes, signs), details={**self._described(), **fault})

    def keys(self) -> Sequence[StoredKey]:
        """See ``hsm_agent.stores.store.Store``."""
        return [key.stored for _, key in sorted(self._listed().items())]

    def sign(self, label: str, algorithm: str, data: bytes) -> bytes:
        """See ``hsm_agent.stores.store.Store``."""
        key = self._known(label)
        answer = self._asked(self._signing(key, algorithm, data), with_pin=key.wants_pin)
        return x509_signature(algorithm, key.stored.key_type, octets(answer, "signature"))

    def sign_many(
        self, label: str, algorithm: str, data: Sequence[bytes]
    ) -> Iterator[Sequence[Outcome]]:
        """See ``hsm_agent.stores.store.SignsMany``."""
        left = set(range(len(data)))
        try:
            key = self._known(label)
            if key.wants_pin:
                for place, one in enumerate(data):
                    yield [Outcome(place, self.sign(label, algorithm, one))]
                    left.discard(place)
                return
            requests = [self._signing(key, algorithm, one) for one in data]
            for answers in self._unlocking.ask_all(requests):
                left -= {answered.place for answered in answers}
                yield [self._outcome(key, algorithm, answered) for answered in answers]
        except StoreError as fault:
            yield [Outcome(place, b"", fault) for place in sorted(left)]

    def generate(self, wanted: NewKey) -> StoredKey:
        """See ``hsm_agent.stores.store.Store``."""
        key_id = self._entropy(_ID_OCTETS)
        first, *others = generations(wanted, key_id)
        try:
            self._changed(first)
        except Unsupported:
            if not others:
                raise
            self._changed(others[0])
        return self._made(key_id)

    def import_key(self, wanted: NewKey, pkcs8: bytes) -> StoredKey:
        """See ``hsm_agent.stores.store.Store``."""
        key_id = self._entropy(_ID_OCTETS)
        self._changed(importing(wanted, key_id, pkcs8))
        return self._made(key_id)

    def put_certificate(self, label: str, certificate: bytes) -> None:
        """See ``hsm_agent.stores.store.Store``."""
        key = self._known(label)
        try:
            loaded = x509.load_der_x509_certificate(certificate)
            fits = spki_of(loaded.public_key()) == key.stored.public_key
        except (ValueError, UnsupportedAlgorithm):
            raise Unsupported("the octets are no certificate") from None
        if not fits:
            raise Unsupported(f"the certificate is not over the key {label!r}")
        if not key.key_id:
            raise Unsupported(f"the key {label!r} has no CKA_ID that a certificate could share")
        self._changed(certificate_object(key.label, key.key_id, loaded))

    def close(self) -> None:
        """See ``hsm_agent.stores.store.Store``."""
        self._pipeline.close()

    def _signing(self, key: TokenKey, algorithm: str, data: bytes) -> Request:
        wanted = operation(algorithm, key.stored.key_type, data, self._offered)
        return {
            "do": "sign",
            "label": key.label,
            "id": key.key_id,
            "mechanism": wanted.mechanism,
            "parameter": wanted.parameter,
            "octets": wanted.octets,
        }

    def _outcome(self, key: TokenKey, algorithm: str, answered: Answered) -> Outcome:
        fault = answered.fault
        if fault is None:
            raw = octets(answered.answer, "signature")
            try:
                signature = x509_signature(algorithm, key.stored.key_type, raw)
                return Outcome(answered.place, signature)
            except TokenFault as odd:
                fault = odd
        if isinstance(fault, UnknownKey):
            self._forget_keys()
        return Outcome(answered.place, b"", fault)

    def _known(self, label: str) -> TokenKey:
        """Return a key of the last listing, or else of a new one."""
        with self._lock:
            key = self._keys.get(label)
        if key is None:
            key = self._listed().get(label)
        if key is None:
            raise UnknownKey(
                f"{self._settings.name} has no key {label!r}, or several of that label"
            )
        return key

    def _listed(self) -> Mapping[str, TokenKey]:
        facts = self._asked({"do": "list"})
        offered = offered_mechanisms(facts, "signs")
        keys = token_keys(facts, offered)
        with self._lock:
            self._keys, self._offered, self._facts = keys, offered, facts
        return keys

    def _asked(self, request: Request, *, with_pin: bool = False) -> Mapping[str, Value]:
        try:
            return self._unlocking.ask(request, with_pin=with_pin)
        except UnknownKey:
            self._forget_keys()
            raise

    def _forget_keys(self) -> None:
        """Somebody else changed the token: what was listed of it is no longer so."""
        with self._lock:
            self._keys = {}

    def _changed(self, request: Request) -> None:
        self._unlocking.ask(request, self._settings.generate_timeout)
        with self._lock:
            self._keys = {}

    def _made(self, key_id: bytes) -> StoredKey:
        """Return the key that was made under this CKA_ID."""
        for key in self._listed().values():
            if key.key_id == key_id:
                return key.stored
        raise TokenFault("the token does not show the key that it said it had made")

    def _obstacle(self, facts: Mapping[str, Value]) -> tuple[str, str]:
        """Return a key's state, and what keeps the token from signing, if anything does."""
        if flag(facts, "open") or not flag(facts, "login"):
            return "ready", ""
        if flag(facts, "pin-locked"):
            return "pin-locked", WHY_LOCKED
        if trouble := self._unlocking.pin_trouble():
            return "pin-needed", trouble
        return ("pin-locked", WHY_LOW) if flag(facts, "pin-low") else ("ready", "")

    def _described(self) -> dict[str, str]:
        told = ("token", "serial", "manufacturer", "model", "firmware")
        found = {name: text(self._facts, name) for name in told if text(self._facts, name)}
        return {"module": str(self._settings.module), **found}
