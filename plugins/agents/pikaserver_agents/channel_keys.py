"""The keys of the channel between nodes and agents, as reports see them."""

from collections.abc import Iterator

from cryptography import x509

from hsm_agent.wire.frame_kinds import frame_kind
from pikaserver.api.key_inventories import KeptKey
from pikaserver.asn1.algorithms import key_type
from pikaserver.asn1.certificate import public_key_of
from pikaserver_agents.office import Office
from pikaserver_agents.storage.agents import AgentState

_OF_AGENT = (
    "the agent makes new keys and announces them:"
    " 'hsm-agent rotate --frame-key ml-dsa-65 --tls-key ml-dsa-65'"
)
_OF_NODE = "set frame-key and tls-key of [plugins.agents], start the node; agents follow"
_OLDER = "agents that know it follow to the newest; then 'pikaserver agent node retire'"


class ChannelKeys:
    """See ``pikaserver.api.key_inventories.KeyInventory``."""

    kind = "agent-channel"

    def __init__(self, office: Office) -> None:
        self._office = office

    def keys(self) -> Iterator[KeptKey]:
        """Yield the TLS key and the frame key of each node and of each agent in service."""
        view = self._office.directory.refresh()
        newest = view.newest_keys()
        for key in view.node_keys:
            name, renewal = f"node {key.node.number}", _OF_NODE
            if key not in newest:
                name, renewal = f"{name}, keys of generation {key.generation}", _OLDER
            yield from _pair(name, key.certificate, key.node.frame_key, renewal)
        for agent in view.agents.values():
            if agent.state is not AgentState.RETIRED:
                told = agent.identity
                yield from _pair(f"agent {agent.name}", told.certificate, told.frame_key, _OF_AGENT)


def channel_kinds(certificate: bytes, frame_key: bytes) -> tuple[str, str]:
    """Return the kinds of a TLS key, by its certificate (DER), and of a frame key."""
    tls = key_type(public_key_of(x509.load_der_x509_certificate(certificate)))
    return tls, frame_kind(frame_key).name


def _pair(name: str, certificate: bytes, frame_key: bytes, renewal: str) -> Iterator[KeptKey]:
    ends = x509.load_der_x509_certificate(certificate).not_valid_after_utc
    tls, frames = channel_kinds(certificate, frame_key)
    yield KeptKey(f"{name}, TLS", tls, renewal, ends, certificate)
    yield KeptKey(f"{name}, frames", frames, renewal)
