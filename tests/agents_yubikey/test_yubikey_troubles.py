"""A YubiKey that is pulled, has another PIN, waits for a finger: told, survived, nothing lost."""

import time

import pytest

PULLS = 2
LEFT_AFTER_ONE = "63c2"
MORE = 20
HAND_SECONDS = 2
"""No hand is quicker; pcscd never powers up a card that comes back while somebody connects."""


@pytest.fixture
def devices(card_desk):
    """Four clients that enrol all the time."""
    running = card_desk.devices(*card_desk.wish)
    running.start(4)
    running.await_more(MORE)
    yield running
    running.end()


def test_a_pulled_card_is_used_again_when_it_is_back(card_desk, devices):
    """503 and Retry-After while it is away; no PIN is lost, no certificate comes twice."""
    for _ in range(PULLS):
        refused = devices.statuses()[503]
        card_desk.card.pull()
        card_desk.card.await_empty()
        wait_for(lambda seen=refused: devices.statuses()[503] > seen + 4)
        time.sleep(HAND_SECONDS)
        card_desk.card.insert()
        devices.await_more(MORE)
    devices.end()

    assert {200, 503} == set(devices.statuses())
    refused = [one for one in devices.answers if one.status == 503]
    assert all(one.retry_after for one in refused)
    assert all("vault-a" in one.text for one in refused)
    certificates = devices.certificates()
    assert len(certificates) == len(set(certificates)) >= (PULLS + 1) * MORE
    assert {"9000"} >= set(card_desk.verifications())


def test_a_wrong_pin_is_tried_once_ever(card_desk):
    """Whatever asks for signatures, restarts included; the tries that are left are a person's."""
    right = card_desk.pin_file.read_text()
    card_desk.card.tell("forget-log")
    devices = card_desk.devices(*card_desk.wish)
    card_desk.pin_file.write_text("999999\n")
    try:
        card_desk.restart()
        answers = [devices.once() for _ in range(3)]
        card_desk.restart()
        answers.append(devices.once())

        assert {503} == {one.status for one in answers}
        assert "PIN" in answers[0].text
        assert [LEFT_AFTER_ONE] == card_desk.verifications()
        card_desk.agent.stop()
        assert "PIN tries remaining:      2/3" in card_desk.ykman("piv", "info").stdout
    finally:
        card_desk.agent.stop()
        card_desk.pin_file.write_text(right)
        card_desk.start()

    assert 200 == devices.once().status
    card_desk.agent.stop()
    assert "PIN tries remaining:      3/3" in card_desk.ykman("piv", "info").stdout
    card_desk.start()


def test_a_touch_that_does_not_come_is_told(card_desk):
    """Slot 82 wants a finger: without one 503 says so, with one the certificate comes."""
    words = ("--type", "ec-p256", "--touch-policy", "always", "--profile", "issuing")
    card_desk.agent.command("keys", "generate", "yubikey/82", *words)
    card_desk.ca("touched", "--parent", "hw-root", "--key", "agent:vault-a/yubikey/82")
    devices = card_desk.devices(*card_desk.template("touched"))
    card_desk.card.tell("no-touch")

    refused = devices.once()
    card_desk.card.tell("touch")
    answer = devices.once()

    assert 503 == refused.status
    assert "touch" in refused.text
    assert int(refused.retry_after) > 0
    assert 200 == answer.status


def wait_for(condition, seconds=60):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)
