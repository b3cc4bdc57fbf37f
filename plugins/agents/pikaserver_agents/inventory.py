"""What agents announce: looked at before it is believed, and stored when it has changed."""

from collections.abc import Sequence
from dataclasses import replace

from hsm_agent.wire.errors import WireError
from hsm_agent.wire.messages import Hello, Inventory, Key, Store
from pikaserver.api.errors import MalformedRequest
from pikaserver.api.server import Server
from pikaserver.asn1.algorithms import key_type
from pikaserver_agents.directory import Directory
from pikaserver_agents.storage import keys
from pikaserver_agents.storage.keys import KeyRow
from pikaserver_agents.structures import sha256

MOST_KEYS = 10_000
LONGEST_NAME = 255
LONGEST_WORD = 32


def check(message: Hello | Inventory) -> None:
    """Return when these can be the keys and stores of an agent.

    Raises:
        WireError: a name or a key is none, or comes twice.
    """
    names = [key.name for key in message.keys] + [f"{store.name}/" for store in message.stores]
    if len(names) > MOST_KEYS or len(set(names)) != len(names):
        raise WireError("an inventory that names something twice, or too much")
    for key in message.keys:
        _check_key(key)
    for store in message.stores:
        _check_store(store)


class Inventories:
    """Stores what agents announce."""

    def __init__(self, server: Server, directory: Directory) -> None:
        self._server = server
        self._directory = directory

    def take(self, agent: str, announced: Sequence[Key], stores: Sequence[Store]) -> None:
        """Remember keys and stores; nothing is written where nothing has changed."""
        rows = [key_row(agent, key) for key in announced]
        view = self._directory.refresh()
        present = {row.told.name: row for row in view.of_agent(agent)}
        gone = {name: _absent(row) for name, row in present.items()}
        same_keys = present == gone | {row.told.name: row for row in rows}
        same_stores = sorted(stores, key=lambda store: store.name) == [
            row.told for row in view.stores if row.agent == agent
        ]
        if same_keys and same_stores:
            return
        with self._server.database.transaction() as connection:
            keys.replace_keys(connection, agent, rows)
            keys.replace_stores(connection, agent, stores)
        self._directory.refresh()

    def take_key(self, agent: str, key: Key) -> None:
        """Remember one key that was just made."""
        with self._server.database.transaction() as connection:
            keys.put_key(connection, key_row(agent, key))
        self._directory.refresh()


def key_row(agent: str, key: Key) -> KeyRow:
    """Return a key as it is stored; its type is what its public half says."""
    told = replace(key, key_type=key_type(key.public_key))
    return KeyRow(agent, sha256(key.public_key), told)


def _check_key(key: Key) -> None:
    store, slash, label = key.name.partition("/")
    if not (store and slash and label) or not _is_word(key.name, LONGEST_NAME):
        raise WireError("a key whose name is not STORE/LABEL")
    if not _is_word(key.state, LONGEST_WORD):
        raise WireError("a key without a proper state")
    try:
        key_type(key.public_key)
    except MalformedRequest as error:
        raise WireError(f"a key that cannot be read: {error}") from error


def _check_store(store: Store) -> None:
    words = (store.kind, store.state, store.name)
    if not all(_is_word(word, LONGEST_WORD) for word in words):
        raise WireError("a store without a proper name, kind or state")


def _is_word(text: str, longest: int) -> bool:
    return 0 < len(text) <= longest and text.isprintable()


def _absent(row: KeyRow) -> KeyRow:
    return replace(row, told=replace(row.told, state=keys.ABSENT))
