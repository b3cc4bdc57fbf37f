"""What those who watch the server see of its agents."""

import logging

from pikaserver.api.operations import HealthState
from pikaserver.testing.fake_agent_lies import flipped
from pikaserver.testing.patience import until
from pikaserver_agents import plugin
from pikaserver_agents.complaints import REASONS
from pikaserver_agents.office import office_of
from pikaserver_agents.watching import Watch


def metrics(site):
    """Return every sample by name and labels."""
    return {
        (metric.name, *(value for _, value in sample.labels)): sample.value
        for metric in Watch(site.office).metrics()
        for sample in metric.read()
    }


def test_hooks_share_one_office(site):
    """Keys, listener, health and metrics look at the same lines."""
    office = office_of(site.server)

    (backend,) = plugin.register_signer_backends(site.server)
    (listener,) = plugin.register_listeners(site.server)

    assert office is office_of(site.server)
    assert (office.backend, office.listener) == (backend, listener)
    assert ["agents"] == [check.name for check in plugin.register_health_checks(site.server)]
    (command,) = plugin.register_commands()
    assert "agent" == command.name


def test_metrics_begin_with_their_name_and_have_labels_of_ours(site):
    """Label values are names of agents, codes of the protocol, and our own reasons."""
    found = Watch(site.office).metrics()

    assert 7 == len(found)
    assert all(metric.name.startswith("pikaserver_agent_") for metric in found)
    assert {"counter", "gauge"} == {metric.kind for metric in found}
    assert all(("pikaserver_agent_complaints_total", reason) in metrics(site) for reason in REASONS)


def test_what_agents_do_is_counted(site, certificate_tbs):
    """Signatures, their time, refusals, fail-overs, and who is there."""
    first, _ = site.pair()
    site.signer().sign(certificate_tbs)
    first.tamper = first.refusing("token-error", times=1)
    site.signer().sign(certificate_tbs)

    found = metrics(site)

    assert 1 == found["pikaserver_agent_up", "vault-a"] == found["pikaserver_agent_up", "vault-b"]
    assert 0 == found["pikaserver_agent_in_flight", "vault-a"]
    assert 1 == found["pikaserver_agent_signature_seconds_count", "vault-a"]
    assert 1 == found["pikaserver_agent_signature_seconds_count", "vault-b"]
    assert 0 < found["pikaserver_agent_signature_seconds_sum", "vault-a"] < 10
    assert 1 == found["pikaserver_agent_refusals_total", "vault-a", "token-error"]
    assert 1 == found["pikaserver_agent_failovers_total",]
    first.die()
    until(lambda: 0 == metrics(site)["pikaserver_agent_up", "vault-a"])


def test_a_port_that_is_taken_is_told(make):
    """The listener goes on trying; the health says which setting it is."""
    site, other = make(), make()
    site.code("vault-a")
    site.open_door()
    door, taken = other.office.listener.works.door, site.office.listener.works.door.port
    door.close()
    door._port = taken  # noqa: SLF001 - as another program would have taken it meanwhile
    other.code("vault-a")

    other.open_door()

    health = Watch(other.office).health()
    assert HealthState.DEGRADED is health.state
    assert f"port {taken}" in health.detail
    assert "plugins.agents.bind" in health.detail
    site.office.listener.works.door.close()
    other.open_door()
    assert HealthState.OK is Watch(other.office).health().state


def test_what_happens_is_logged(site, certificate_tbs, caplog):
    """Short events with fields: who came, who was refused, what an agent said."""
    caplog.set_level(logging.INFO, logger="pikaserver_agents")
    agent = site.agent("vault-a", "issuing")
    agent.tamper = flipped
    try:
        site.signer().sign(certificate_tbs)
    except Exception:  # noqa: BLE001 - it is the log that is looked at
        caplog.clear()
    agent.tamper = agent.refusing("policy")
    try:
        site.signer().sign(certificate_tbs)
    except Exception:  # noqa: BLE001 - it is the log that is looked at
        agent.die()

    (refusal,) = [one for one in caplog.records if "agents.refusal" == vars(one).get("event")]
    assert ("vault-a", "policy", "because") == (refusal.agent, refusal.refusal, refusal.why)
