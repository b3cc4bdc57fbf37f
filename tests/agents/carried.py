"""What is carried between a server and an agent without a line."""

from datetime import timedelta

import pytest

from pikaserver.api.errors import (
    SignaturePending,
)
from pikaserver.testing.fake_agent import FakeAgent

BY = "cli:tester"


def registered(site):
    """Return an agent that registered by a file; its key is known from a first bundle."""
    made = FakeAgent("vault-o", clock=site.server.clock)
    site.agents.append(made)
    made.desk.make_key("root")
    code = site.code("vault-o", offline=True, validity=timedelta(days=7))
    site.office.bundles.register(made.registration(code), site.office.enrollments)
    made.nodes = site.office.directory.refresh().nodes
    carry(site, made)
    return made


def export(site, name="vault-o"):
    return site.office.bundles.export(name, site.office.asker.request_id(), BY)


def carry(site, agent):
    """Carry what waits to the agent and its answers back."""
    octets, _ = export(site)
    return site.office.bundles.import_(agent.answer_bundle(octets), BY)


def signer(site):
    return site.signer("agent:vault-o/root")


def pending(site, tbs, why):
    with pytest.raises(SignaturePending, match=why) as waits:
        signer(site).sign(tbs)
    return waits.value
