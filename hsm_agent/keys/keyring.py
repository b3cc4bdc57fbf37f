"""All keys of all stores, by the hash of their public half; listings are remembered.

Nothing here waits for a token but `Keyring.refresh`, `Keyring.generate`, `Keyring.import_key`
and a key's ``sign``: a token that hangs stops neither heartbeats nor refusals.
"""

import hashlib
import logging
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from hsm_agent.keys.authority_certificates import AuthorityCertificates
from hsm_agent.stores.store import (
    NewKey,
    Outcome,
    SignsMany,
    Store,
    StoredKey,
    StoreError,
    StoreState,
    UnknownKey,
    Unsupported,
)

_log = logging.getLogger(__name__)
_UNSEEN = StoreState("ready", ())
"""Of a store that made a key before it was looked into."""


@dataclass(frozen=True, slots=True)
class KeyringKey:
    """One key: ``name`` is ``STORE/LABEL``, ``certificates`` its authority's and those above."""

    name: str
    store: Store
    stored: StoredKey
    certificates: tuple[bytes, ...]
    spki_hash: bytes
    many: SignsMany | None = None

    @property
    def trial(self) -> bool:
        """Whether the key is no better protected than a file."""
        return self.store.trial

    def sign(self, algorithm: str, data: bytes) -> bytes:
        """See ``hsm_agent.stores.store.Store.sign``."""
        return self.store.sign(self.stored.label, algorithm, data)

    @property
    def at_once(self) -> int:
        """How many octets `sign_many` is given at most."""
        return 1 if self.many is None else self.many.at_once

    def sign_many(self, algorithm: str, data: Sequence[bytes]) -> Iterator[Sequence[Outcome]]:
        """See ``hsm_agent.stores.store.SignsMany``."""
        if self.many is not None:
            yield from self.many.sign_many(self.stored.label, algorithm, data)
            return
        for place, octets in enumerate(data):
            try:
                yield [Outcome(place, self.sign(algorithm, octets))]
            except StoreError as fault:
                yield [Outcome(place, b"", fault)]


@dataclass(frozen=True, slots=True)
class Listing:
    """What a store said last: how it is, and its keys; those of a lost token stay, as absent."""

    state: StoreState
    keys: tuple[StoredKey, ...]


class Keyring:
    """The keys of an agent; every method may be called from several threads."""

    def __init__(
        self,
        stores: Mapping[str, Store],
        certificates: AuthorityCertificates,
        default: str = "",
    ) -> None:
        self._stores = dict(stores)
        self._certificates = certificates
        self._default = default
        self._lock = threading.Lock()
        self._refreshing = threading.Lock()
        self._listings: dict[str, Listing] = {}
        self._made = 0
        self._keys: dict[bytes, KeyringKey] = {}
        self._listeners: list[Callable[[], None]] = []

    def find(self, spki_hash: bytes) -> KeyringKey | None:
        """Return the key whose SubjectPublicKeyInfo has this SHA-256."""
        with self._lock:
            return self._keys.get(spki_hash)

    def keys(self) -> Sequence[KeyringKey]:
        """List the keys by name; of one that lies in two stores, one that can sign."""
        with self._lock:
            return sorted(self._keys.values(), key=lambda key: key.name)

    def named(self, name: str) -> KeyringKey:
        """Return the key of a full or bare name.

        Raises:
            UnknownKey: there is none, or more than one of that bare name.
        """
        found = [key for key in self.keys() if name in (key.name, key.stored.label)]
        if len(found) != 1:
            several = ", ".join(key.name for key in found)
            raise UnknownKey(f"{name!r} is {'one of ' + several if several else 'no key here'}")
        return found[0]

    def stores(self) -> Mapping[str, Store]:
        """Return the stores by name."""
        return self._stores

    def states(self) -> Mapping[str, StoreState]:
        """Return how each store was when it was looked at last."""
        with self._lock:
            return {name: listing.state for name, listing in self._listings.items()}

    def listen(self, listener: Callable[[], None]) -> None:
        """Have something called when a look into the stores finds them changed.

        What is made or kept through this keyring is told by whoever asked for it.
        """
        self._listeners.append(listener)

    def refresh(self) -> bool:
        """Look into every store again; tell the listeners and return whether anything changed."""
        with self._refreshing:
            changed = None
            while changed is None:
                changed = self._look_again()
        if changed:
            for listener in self._listeners:
                listener()
        return changed

    def _look_again(self) -> bool | None:
        """Return whether anything changed, ``None`` when a key was made meanwhile."""
        with self._lock:
            before, made = self._listings, self._made
        fresh = {name: _look(name, s, before.get(name)) for name, s in self._stores.items()}
        with self._lock:
            if self._made != made:
                return None
            self._listings = fresh
            self._index()
        return fresh != before

    def full_name(self, name: str) -> str:
        """Return ``STORE/LABEL`` for that, or for a bare label of a key that shall be made.

        Raises:
            StoreError: no such store, or the label could mean several.
        """
        store, slash, label = name.partition("/")
        if not slash:
            store, label = self._usual_store(), name
        if store not in self._stores:
            raise UnknownKey(f"{store!r} is no store here; there is {', '.join(self._stores)}")
        return f"{store}/{label}"

    def generate(
        self, name: str, key_type: str, pin_policy: str = "", touch_policy: str = ""
    ) -> KeyringKey:
        """Make a key; ``name`` may be bare.

        Raises:
            StoreError: none was made; `KeyExists` where the name is taken.
        """
        store, _, label = self.full_name(name).partition("/")
        wanted = NewKey(label, key_type, pin_policy, touch_policy)
        return self._added(store, self._stores[store].generate(wanted))

    def import_key(self, name: str, pkcs8: bytes, wanted: NewKey) -> KeyringKey:
        """Take a private key (PKCS#8 DER) into a store, under a name that may be bare.

        Raises:
            StoreError: it was not taken.
        """
        store, _, label = self.full_name(name).partition("/")
        return self._added(
            store, self._stores[store].import_key(replace(wanted, label=label), pkcs8)
        )

    def put_certificates(self, spki_hash: bytes, certificates: Sequence[bytes]) -> None:
        """Keep the authority's certificate over a key, first in the list, and those above it.

        The store gets a copy of the first one; where it has no room, our own copy does.

        Raises:
            StoreError: they were not kept.
        """
        key = self.find(spki_hash)
        if key is None:
            raise UnknownKey("no such key here")
        self._certificates.keep(spki_hash, certificates)
        try:
            key.store.put_certificate(key.stored.label, certificates[0])
        except StoreError as error:
            _log.warning("%s has no copy of its certificate: %s", key.name, error)
        with self._lock:
            self._index()

    def close(self) -> None:
        """Let all stores go."""
        for store in self._stores.values():
            store.close()

    def _usual_store(self) -> str:
        if self._default:
            return self._default
        if len(self._stores) == 1:
            return next(iter(self._stores))
        names = ", ".join(self._stores) or "none"
        raise Unsupported(f"name the store as well: STORE/LABEL; there is {names}")

    def _added(self, store: str, stored: StoredKey) -> KeyringKey:
        with self._lock:
            known = self._listings.get(store)
            keys = () if known is None else known.keys
            state = _UNSEEN if known is None else known.state
            kept = tuple(key for key in keys if key.label != stored.label)
            self._listings = {**self._listings, store: Listing(state, (*kept, stored))}
            self._made += 1
            self._index()
            return self._keys[hashlib.sha256(stored.public_key).digest()]

    def _index(self) -> None:
        """Rebuild what `find` looks into; a key that can sign wins over its copy that cannot."""
        index: dict[bytes, KeyringKey] = {}
        for name, listing in self._listings.items():
            for stored in listing.keys:
                digest = hashlib.sha256(stored.public_key).digest()
                if digest in index and index[digest].stored.state == "ready":
                    continue
                chain = self._certificates.of(digest)
                store = self._stores[name]
                many = store if isinstance(store, SignsMany) else None
                index[digest] = KeyringKey(
                    f"{name}/{stored.label}", store, stored, chain, digest, many
                )
        self._keys = index


def _look(name: str, store: Store, before: Listing | None) -> Listing:
    """Ask a store; keys of one that cannot be read stay known, in the state that it is in."""
    state = store.state()
    try:
        return Listing(state, tuple(store.keys()))
    except StoreError as error:
        if before is None or before.state.state == "ready":
            _log.warning("store %s: %s", name, error)
        known = before.keys if before is not None else ()
        how = "absent" if error.code in {"token-absent", "token-error"} else error.code
        return Listing(replace(state, state=how), tuple(replace(k, state=how) for k in known))
