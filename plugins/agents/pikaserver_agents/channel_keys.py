"""The keys of the channel between nodes and agents, as reports see them."""

from collections.abc import Iterator

from cryptography import x509

from pikaserver.api.key_inventories import KeptKey
from pikaserver.asn1.algorithms import key_type
from pikaserver.asn1.certificate import public_key_of
from pikaserver_agents.office import Office
from pikaserver_agents.storage import nodes
from pikaserver_agents.storage.agents import AgentState

_FRAMES = "ed25519"
_OF_AGENT = "the agent makes new keys and announces them: 'hsm-agent rotate'"
_OF_NODE = "a node's keys are made with it; agents learn them when they are enrolled"


class ChannelKeys:
    """See ``pikaserver.api.key_inventories.KeyInventory``."""

    kind = "agent-channel"

    def __init__(self, office: Office) -> None:
        self._office = office

    def keys(self) -> Iterator[KeptKey]:
        """Yield the TLS key and the frame key of each node and of each agent in service."""
        with self._office.server.database.reading() as connection:
            rows = nodes.list_nodes(connection)
        for row in rows:
            yield from _pair(f"node {row.node.number}", row.certificate, _OF_NODE)
        for agent in self._office.directory.refresh().agents.values():
            if agent.state is not AgentState.RETIRED:
                yield from _pair(f"agent {agent.name}", agent.identity.certificate, _OF_AGENT)


def _pair(name: str, certificate: bytes, renewal: str) -> Iterator[KeptKey]:
    loaded = x509.load_der_x509_certificate(certificate)
    kind = key_type(public_key_of(loaded))
    yield KeptKey(f"{name}, TLS", kind, renewal, loaded.not_valid_after_utc, certificate)
    yield KeptKey(f"{name}, frames", _FRAMES, renewal)
