"""Agents that hold the same key, in files or on a token each."""

import sys
import time
from dataclasses import dataclass

from pikaserver.testing.signing_agents import SigningAgent
from tests.agents_failover.accounts import check_accounts
from tests.agents_failover.cluster import Cluster
from tests.hsm_agent.softhsm import LABEL, make_softhsm

FAILOVER_SECONDS = 10.0
"""A third of the time that a request has; how fast it is belongs to the benchmarks."""


def add_holder(cluster, name, key, kind="software", **how):
    """Enrol and start an agent that has the key in files, or on a SoftHSM token of its own."""
    if kind == "software":
        return cluster.add_agent(name, key=key, **how)
    token = make_softhsm(cluster.folder / f"token-{name}")
    options = ("--pkcs11-module", token.module, "--pkcs11-token", LABEL)
    how["environment"] = token.environment
    return cluster.add_agent(name, *options, "--pin-file", str(token.pin_file), key=key, **how)


@dataclass
class Pair:
    """A cluster and its two agents."""

    cluster: Cluster
    first: SigningAgent
    second: SigningAgent
    key: bytes
    code: tuple[str, str]
    kind: str

    def restore(self):
        """Have every process run, with all its lines."""
        for node in self.cluster.nodes:
            if node.process is None:
                node.start()
        for agent in (self.first, self.second):
            if agent.process is None:
                agent.start()
            agent.await_line(*self.cluster.nodes)

    def check(self, devices):
        """Compare what devices got with database and journals, once all have their answer."""
        check_accounts(self.cluster, devices)


def report(record_property, what, gap, took):
    """Print how long nobody got a certificate, and the longest that anybody waited."""
    record_property(f"{what}: longest gap", round(gap, 2))
    record_property(f"{what}: longest answer", round(took, 2))
    sys.stdout.write(f"{what}: fail-over {gap:.2f} s, longest answer {took:.2f} s\n")


def now_ms():
    """Return the time as journals write it."""
    return time.time_ns() // 1_000_000
