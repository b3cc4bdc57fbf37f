"""The page in a real browser, by keyboard alone, and the commands that it shows, run as shown."""

import json
import os
import subprocess
from pathlib import Path

import pytest
from cryptography import x509

from pikaserver.testing.requirements import missing, require_program
from pikaserver.testing.servers import running_server
from tests.scep_challenges.browser import Browser

CONTRAST = """
(() => {
  const channel = v => (v /= 255) <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4;
  const numbers = c => c.match(/[\\d.]+/g).map(Number);
  const light = c => { const [r, g, b] = numbers(c).map(channel); return .2126*r+.7152*g+.0722*b };
  const ground = e => { for (; e; e = e.parentElement) {
    const c = getComputedStyle(e).backgroundColor;
    if (numbers(c)[3] !== 0) return c; }
    return 'rgb(255, 255, 255)' };
  return [...document.querySelectorAll('h1,h2,p,label,td,th,button,summary,a,input,pre,caption')]
    .filter(e => e.textContent.trim() || e.value)
    .map(e => { const s = getComputedStyle(e), a = light(s.color), b = light(ground(e));
      return [e.outerHTML.slice(0, 60), (Math.max(a, b) + .05) / (Math.min(a, b) + .05)] })
    .filter(([, ratio]) => ratio < 4.5);
})()
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """Give a server that runs, with a template for SCEP."""
    with running_server(tmp_path_factory.mktemp("page")) as made:
        made.command("template", "set", "device", "scep.enabled=true")
        yield made


@pytest.fixture
def user(server):
    """Give an account for the page."""
    account = server.command("scep", "ndes", "create", "anna", "-o", "json")
    return "anna", json.loads(account)["password"]


@pytest.fixture
def browser(tmp_path):
    made = Browser(tmp_path / "chromium")
    yield made
    made.close()


def pictures(browser, name, folder):
    """Look at the page in both themes; texts can be read in each."""
    kept = os.environ.get("PIKASERVER_TEST_PICTURES")
    for scheme in ("light", "dark"):
        file = Path(kept or folder) / f"{name}-{scheme}.png"
        browser.picture(file, scheme)
        assert [] == browser.says(CONTRAST)
        assert browser.says("document.documentElement.scrollWidth <= innerWidth")


def test_a_person_makes_and_withdraws_a_challenge_by_keyboard(server, user, browser, tmp_path):
    """No mouse, no script, no complaint of the browser about what the page may not do."""
    url = f"https://127.0.0.1:{server.https_port}/scep/device/challenges"
    browser.open(url, user)
    pictures(browser, "form", tmp_path)
    browser.tab_to("#common_name")
    browser.type("plc-21.example.org")
    browser.tab_to("summary")
    browser.press("Enter", "\r")
    browser.tab_to("#names")
    browser.type("dns:plc-21.example.org")
    pictures(browser, "more", tmp_path)
    browser.tab_to("button[type=submit]")
    browser.after_load(lambda: browser.press("Enter", "\r"))

    pictures(browser, "made", tmp_path)
    browser.tab_to("#challenge")
    secret = browser.says("getSelection().toString()")
    commands = browser.says("document.querySelector('pre').textContent")
    assert 32 == len(secret)
    assert secret in commands
    enrol_as_shown(commands.replace("pki.example.test", "127.0.0.1"), tmp_path)

    browser.open(url, user)
    browser.tab_to("#uses")
    browser.tab_to("button[type=submit]")
    browser.after_load(lambda: browser.press("Enter", "\r"))
    browser.open(url, user)
    assert secret not in browser.says("document.documentElement.outerHTML")
    pictures(browser, "open", tmp_path)
    browser.tab_to("button.plain")
    browser.after_load(lambda: browser.press("Enter", "\r"))
    assert "is withdrawn" in browser.says("document.querySelector('[role=status]').textContent")
    assert [] == browser.complaints


def enrol_as_shown(commands, folder):
    """Let a shell run what the page shows: the device has its certificate."""
    require_program("pki", package="strongswan-pki")
    place = folder / "device"
    place.mkdir()
    done = subprocess.run(
        ["sh", "-ec", commands], cwd=place, capture_output=True, text=True, check=False
    )
    if "no capable fetcher" in done.stderr:
        missing("strongSwan's curl plugin", "install libstrongswan-extra-plugins")
    assert 0 == done.returncode, done.stderr
    certificate = x509.load_pem_x509_certificate((place / "cert.pem").read_bytes())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert ["plc-21.example.org"] == names.get_values_for_type(x509.DNSName)
