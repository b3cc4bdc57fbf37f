"""``pikaserver publish`` beside a running server, targets in trouble, a server that is killed."""

import json
import re

import pytest
from cryptography import x509

from tests.publish.plant import plant, seconds_until
from tests.publish.programs import moody_server

AUTHORITIES, ENDINGS = ("root", "issuing"), ("crl", "cer")
CONFIG = """
[publishing]
first-retry-seconds = 1
longest-retry-seconds = 2
alarm-after = 2

[plugins.publish.targets.folder]
kind = "file"
crl = "{folder}/out/{{authority}}.crl"
certificate = "{folder}/out/{{authority}}.cer"

[plugins.publish.targets.moody]
kind = "http"
crl = "{moody}/{{authority}}.crl"
timeout-seconds = 20
"""


@pytest.fixture(scope="module")
def moody():
    with moody_server() as server:
        server.mood = 503
        yield server


@pytest.fixture(scope="module")
def house(tmp_path_factory, moody):
    folder = tmp_path_factory.mktemp("plant")
    (folder / "out").mkdir()
    with plant(folder, CONFIG.format(folder=folder, moody=moody.url)) as found:
        yield found


@pytest.fixture
def good(moody, house):
    """Let the server be in a good mood, and wait until it has everything."""
    moody.mood = None
    seconds_until(lambda: _has_newest(house, moody))
    return moody


def number(octets):
    found = x509.load_der_x509_crl(octets)
    return found.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number


def _has_newest(house, moody):
    there = moody.files.get("/issuing.crl")
    return there is not None and there == house.server.get("/crl/issuing.crl")


def waiting(house):
    """Return how much waits for each target, as the metrics tell it."""
    metrics = house.server.get("/metrics").decode()
    found = re.findall(r'^pikaserver_publish_waiting{target="(.+)"} (.+)$', metrics, re.MULTILINE)
    return {target: float(number) for target, number in found}


def state(house, target, what):
    return house.targets()[target, what]["state"]


def test_one_target_in_trouble_keeps_no_other_waiting(house, moody):
    """It is told of everywhere, and gets what it lacks as soon as it is well."""
    there = [house.folder / "out" / f"{name}.{end}" for name in AUTHORITIES for end in ENDINGS]
    seconds_until(lambda: all(path.exists() for path in there))
    assert house.server.get("/crl/issuing.crl") == (house.folder / "out/issuing.crl").read_bytes()
    assert house.server.get("/ca/issuing.cer") == (house.folder / "out/issuing.cer").read_bytes()
    seconds_until(lambda: b"moody: not reached since" in house.server.get("/readyz"))
    parts = json.loads(house.server.get("/readyz"))["parts"]
    assert "degraded" == parts["publishing"]["state"]
    assert "503" in parts["publishing"]["detail"]
    seconds_until(lambda: {"moody": 2.0, "folder": 0.0} == waiting(house))
    whole = next(row for key, row in house.targets().items() if key[0] == "moody")
    assert "failing, lacks 2" == whole["state"]
    assert "503" in whole["error"]

    moody.mood = None

    seconds_until(lambda: _has_newest(house, moody))
    seconds_until(lambda: b'"publishing": {"state": "ok"' in house.server.get("/readyz"))
    assert "published" == state(house, "moody", "crl full issuing")


def test_what_waits_when_a_server_is_killed_goes_out_when_it_is_back(house, good):
    """Amid a delivery: kill -9, a newer CRL by the command line, and a new start."""
    before = number(good.files["/issuing.crl"])
    good.mood = "silent"
    asked = len(good.requests)
    house.server.command("crl", "generate", "issuing")
    seconds_until(lambda: len(good.requests) > asked)

    house.server.kill()
    house.server.command("crl", "generate", "issuing")
    good.mood = None
    house.server.start()

    seconds_until(lambda: number(good.files["/issuing.crl"]) == before + 2)
    good.silence.set()


@pytest.mark.usefixtures("good")
def test_targets_can_be_tried_and_told_to_retry(house):
    """And everything can be pushed once more, when somebody deleted it."""
    found = {
        row["target"]: row
        for row in json.loads(house.server.command("publish", "test", "-o", "json"))
    }
    assert found["folder"]["usable"]
    assert f"can write to {house.folder}/out" == found["folder"]["found"]
    path = house.folder / "out" / "issuing.crl"
    path.unlink()

    house.server.command("publish", "retry", "folder")
    house.server.command("publish", "retry", "folder", "--again")

    seconds_until(path.exists)
    trail = json.loads(house.server.command("audit", "list", "-o", "json"))
    assert 2 == sum(line["event"] == "publish.retried" for line in trail)


def test_a_target_that_cannot_be_used_is_told_by_the_exit_code(house, good):
    """4, as for whatever is unavailable now; and 3 for one that is not there."""
    (house.folder / "out").rename(house.folder / "away")
    try:
        with pytest.raises(RuntimeError, match="exit 4"):
            house.server.command("publish", "test", "folder")
    finally:
        (house.folder / "away").rename(house.folder / "out")
    with pytest.raises(RuntimeError, match="there is no target 'nobody'; there are: folder, moody"):
        house.server.command("publish", "list", "nobody")
    assert good.files
