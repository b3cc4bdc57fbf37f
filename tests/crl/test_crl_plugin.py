"""What the CRL plugin gives to the host: settings, service, job, health, metric."""

from datetime import timedelta

import pytest
from pydantic import ValidationError

from pikaserver.api.operations import HealthState
from pikaserver.api.web import Security
from pikaserver_crl import plugin
from pikaserver_crl.freshness import Freshness


@pytest.mark.parametrize(
    "wrong",
    [
        {"default_authority": "root"},
        {"default-authority": ""},
        {"max-age": -1},
        {"check-every": 0},
        {"check-every": 61},
        {"colour": "red"},
    ],
)
def test_unknown_and_unfit_settings_are_refused(wrong):
    """Keys are spelt as in the file."""
    with pytest.raises(ValidationError):
        plugin.register_settings().model_validate(wrong)


def test_the_service_may_be_plain(server):
    """Signed and public objects only: RFC 5280 section 8 warns of HTTPS here."""
    (service,) = plugin.register_services(server)

    assert ("crl", Security.PLAIN) == (service.name, service.security)


def test_every_authority_has_its_urls(server):
    """What to type, for each authority that is there at the start."""
    lines = plugin.register_service_urls(server)

    paths = {line.path for line in lines}
    assert {"/downloads/chain", "/crl/root.crl", "/crl/issuing.crl", "/ca/issuing.cer"} < paths
    assert all("{url}" in command for line in lines for _, command in line.commands)


def test_the_job_signs_what_is_due(server):
    """Every five seconds unless the settings say otherwise."""
    (job,) = plugin.register_jobs(server)
    before = server.crls.latest("issuing").number

    job.run()

    assert ("crl", timedelta(seconds=5)) == (job.name, job.every)
    assert before + 1 == server.crls.latest("issuing").number


def test_fresh_crls_are_healthy(server):
    """A root's and an issuing authority's."""
    (check,) = plugin.register_health_checks(server)

    health = check.check()

    assert (HealthState.OK, "2 CRLs are fresh") == (health.state, health.detail)


def test_a_stale_crl_is_named(server):
    """Degraded, not failing: a node out of service serves no CRL at all."""
    (check,) = plugin.register_health_checks(server)
    server.clock.advance(timedelta(days=1, seconds=1))
    server.crls.issue("root")

    health = check.check()

    assert HealthState.DEGRADED is health.state
    assert "the CRL of issuing.g1 is stale since 2026-01-03 12:00 UTC" == health.detail


def test_a_crl_that_ends_soon_is_told_before_it_dies(server):
    """By an event, once for each CRL, and by the health check until a newer one came."""
    (check,) = plugin.register_health_checks(server)
    freshness = Freshness(server)
    server.clock.advance(timedelta(hours=18))
    freshness.warn()
    assert (HealthState.OK, []) == (check.check().state, server.events)
    server.crls.issue("root")

    server.clock.advance(timedelta(seconds=1))
    for _ in range(2):
        freshness.warn()

    (alarm,) = server.events
    text = "the CRL of issuing.g1 ends at 2026-01-03 12:00 UTC, and no newer one came"
    assert ("crl.ending", text) == (alarm.name, alarm.text)
    assert {"authority": "issuing", "scope": "full"} == alarm.fields
    assert (HealthState.DEGRADED, text) == (check.check().state, check.check().detail)
    server.crls.issue("issuing")
    assert HealthState.OK is check.check().state
    server.clock.advance(timedelta(hours=19))
    freshness.warn()
    assert ["issuing", "root", "issuing"] == [one.fields["authority"] for one in server.events]


def test_a_crl_whose_next_one_comes_late_by_design_is_no_alarm(server):
    """Every 23 hours, for 24 hours: half of the last hour has to be over."""
    server.crls.every = timedelta(hours=23)
    server.crls.issue_due()
    freshness = Freshness(server)

    server.clock.advance(timedelta(hours=23, minutes=29))
    freshness.warn()
    assert [] == server.events

    server.clock.advance(timedelta(minutes=2))
    freshness.warn()
    assert 2 == len(server.events)


def test_a_missing_crl_is_named(server):
    """An authority that never signed one."""
    (check,) = plugin.register_health_checks(server)
    server.authorities.add("plant", "root")

    health = check.check()

    assert (HealthState.DEGRADED, "plant has no CRL yet") == (health.state, health.detail)


def test_the_metric_counts_down_and_goes_below_zero(server):
    """One sample for each key of each authority."""
    (metric,) = plugin.register_metrics(server)
    server.clock.advance(timedelta(days=1, seconds=10))
    server.crls.issue("root")

    values = {sample.labels: sample.value for sample in metric.read()}

    assert ("pikaserver_crl_next_update_seconds", "gauge") == (metric.name, metric.kind)
    assert {
        (("authority", "root"), ("generation", "1"), ("scope", "full")): 86_400.0,
        (("authority", "issuing"), ("generation", "1"), ("scope", "full")): -10.0,
    } == values
