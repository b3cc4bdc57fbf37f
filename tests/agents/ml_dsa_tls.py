"""A whole line with ML-DSA keys for TLS too; started by a test under an OpenSSL that has them.

usage: ml_dsa_tls.py FOLDER; prints what it found as JSON.
"""

import json
import ssl
import sys
from pathlib import Path

from hsm_agent.identity.channel_keys import tls_kind, tls_library_here
from hsm_agent.wire.channel_kinds import ChannelKinds
from pikaserver.testing.patience import until
from tests.agents.real_agents import RealAgent, RealSite

NODE = ChannelKinds("ml-dsa-65", "ml-dsa-65")
AGENT = ChannelKinds("ml-dsa-87", "ml-dsa-44")


def main(folder):
    """Enrol, sign, follow a node to ML-DSA, and tell."""
    site = RealSite()
    code = site.code()
    site.look()
    agent = RealAgent(folder / "vault-a", code, ChannelKinds())
    agent.start()
    site.await_line()
    site.want(tls_key=NODE.tls, frame_key=NODE.frames)
    until(lambda: 1 == site.known(), "the agent with the new keys")
    site.await_line()
    agent.rotate(AGENT)
    until(lambda: AGENT.tls == tls_kind(site.row().identity.certificate), "its new keys")
    site.await_line()
    site.sign(agent.public_key)
    fresh = site.code("vault-b")
    site.look()
    other = RealAgent(folder / "vault-b", fresh, AGENT, "vault-b")
    other.start()
    site.await_line("vault-b")
    newest = site.office.identities.newest()
    rows = [site.row("vault-a"), site.row("vault-b")]
    found = {
        "openssl": ssl.OPENSSL_VERSION,
        "library": str(tls_library_here()),
        "node": tls_kind(newest.certificate),
        "pinned": [node.pin == newest.node.pin for node in (*agent.nodes(), *other.nodes())],
        "agents": [tls_kind(row.identity.certificate) for row in rows],
        "complaints": sum(site.office.complaints.counts().values()),
    }
    for one in (agent, other, site):
        one.close()
    return found


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]))))  # noqa: T201 - the test reads it
