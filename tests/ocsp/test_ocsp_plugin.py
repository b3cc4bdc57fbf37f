"""The plugin's hooks: settings, URLs, health, metrics, commands."""

import pytest
from pydantic import ValidationError

from pikaserver.api.operations import HealthState
from pikaserver.testing.fake_server import FakeServer
from pikaserver_ocsp.plugin import (
    of,
    register_commands,
    register_health_checks,
    register_jobs,
    register_metrics,
    register_migrations,
    register_observers,
    register_service_urls,
    register_services,
    register_settings,
    shutdown,
    startup,
)
from pikaserver_ocsp.settings import OcspSettings, Terms


def test_all_hooks_speak_of_one_responder(house):
    """What the service counts, the metrics show."""
    (service,) = register_services(house.server)
    assert of(house.server).shortcut is service.shortcut
    assert [of(house.server).keeper] == register_observers(house.server)
    assert of(house.server) is not of(FakeServer())


def test_the_terms_of_an_authority_override_those_of_all():
    """What its table does not say is as for all."""
    settings = OcspSettings(
        max_age=5, warm=True, authorities={"issuing": Terms(max_age=7, never_issued="revoked")}
    )

    own, other = settings.terms("issuing"), settings.terms("root")

    assert (7, "revoked", True) == (own.max_age, own.never_issued, own.warm)
    assert (5, "unknown", True) == (other.max_age, other.never_issued, other.warm)


@pytest.mark.parametrize(
    "wrong",
    [
        {"validity_seconds": 60},
        {"validity_seconds": 11 * 86_400},
        {"signer": "somebody"},
        {"nonce": "maybe"},
        {"units": ("A B",)},
        {"never_issued": "good"},
        {"authorities": {"issuing": {"validty": 5}}},
        {"authorities": {"issuing": {"requestors": "check"}}},
        {"archive_days": 0},
    ],
)
def test_settings_that_mean_nothing_are_refused(wrong):
    """At the start, not at the first request."""
    with pytest.raises(ValidationError):
        OcspSettings(**wrong)


def test_every_authority_has_an_address(house):
    """With a command that asks there."""
    urls = register_service_urls(house.server)

    assert ["/ocsp", "/ocsp/root", "/ocsp/issuing"] == [url.path for url in urls]
    assert "openssl ocsp -issuer issuing.pem" in urls[-1].commands[0][1]
    assert "{url}" in urls[-1].commands[0][1]


def test_settings_for_an_authority_that_is_not_there_are_told(make_house):
    """A misspelt name would otherwise change nothing, silently."""
    house = make_house(authorities={"isuing": Terms()})

    (check,) = register_health_checks(house.server)

    health = check.check()
    assert HealthState.DEGRADED is health.state
    assert "isuing" in health.detail


def test_health_and_metrics_tell_what_happened(house, record):
    """Before anybody asked, and after."""
    (check,) = register_health_checks(house.server)
    metrics = {metric.name: metric for metric in register_metrics(house.server)}
    assert HealthState.OK is check.check().state
    assert [] == metrics["pikaserver_ocsp_responses_total"].read()

    house.status(record)
    house.one(house.stranger())

    assert "1 responders" in check.check().detail
    assert {"good": 1, "unknown": 1} == {
        dict(one.labels)["status"]: one.value
        for one in metrics["pikaserver_ocsp_responses_total"].read()
    }
    assert 2 == metrics["pikaserver_ocsp_signatures_total"].read()[0].value
    assert 1 == metrics["pikaserver_ocsp_never_issued_total"].read()[0].value
    assert 1 == metrics["pikaserver_ocsp_kept_answers"].read()[0].value


def test_the_other_hooks_are_there(house):
    """Under the names that operators know."""
    assert OcspSettings is register_settings()
    assert ["ocsp"] == [command.name for command in register_commands()]
    assert "ocsp" == register_migrations().branch
    assert ["ocsp"] == [job.name for job in register_jobs(house.server)]


def test_it_starts_and_stops_more_than_once(house):
    """And a stop without a start does nothing."""
    shutdown(house.server)
    for _ in range(2):
        startup(house.server)
        shutdown(house.server)
