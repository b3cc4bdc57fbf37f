"""How certificates of services are set, per authority."""

import pytest


def test_every_key_can_be_set_and_taken_back(shell):
    """Several at once; an empty value goes back to what the template says."""
    words = (
        "ocsp.key-type=rsa-3072",
        "ocsp.hash=sha384",
        "ocsp.pss=yes",
        "ocsp.validity=10d",
        "ocsp.subject=CN=Answers,O=Acme",
        "tsa.night.key=software:night-1",
        "tsa.night.template=tsa",
    )
    settings = [word for one in words for word in ("--service", one)]

    changed = shell.json("ca", "set", "issuing", *settings)
    back = shell.json(
        "ca", "set", "issuing", *(word for one in words for word in ("--service", _empty(one)))
    )

    assert set(words) == set(changed["services"])
    assert [] == back["services"]


def _empty(setting):
    return setting.partition("=")[0] + "="


@pytest.mark.parametrize(
    ("setting", "complaint"),
    [
        ("ocsp", "is not like 'ocsp.key-type=ec-p384'"),
        ("ocsp.colour=red", "keys are hash, key, key-type"),
        ("ocsp.key-type=rsa-1024", "is no key-type; there are: rsa-2048"),
        ("ocsp.hash=md5", "is no hash; there are: sha256"),
        ("ocsp.subject=red", "is not a subject like"),
        ("ocsp.validity=1s", "greater than or equal to 3600"),
        ("ocsp.key=night", "night"),
        ("ocsp.pss=perhaps", "is no pss; there are: yes"),
    ],
)
def test_what_cannot_be_is_refused_at_once(shell, setting, complaint):
    """And not by a service that has no key on the next morning."""
    refused = shell.try_("ca", "set", "issuing", "--service", setting)

    assert refused.code
    assert complaint in refused.errors
