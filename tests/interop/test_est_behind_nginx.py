"""EST under a prefix of nginx' paths: cut off by the proxy, or known to the plugin."""

import subprocess
from contextlib import contextmanager
from pathlib import Path

import pytest

from pikaserver.asn1.der import write_pem
from pikaserver.testing.clock import CountedEntropy
from pikaserver.testing.est_clients import CurlEst, make_wish
from pikaserver.testing.requirements import require_program
from pikaserver.testing.servers import free_port
from pikaserver.web.application import build_application
from pikaserver.web.limits import Limits
from pikaserver.web.listeners import WebListener, WebListenerSettings
from pikaserver_est.plugin import register_services
from pikaserver_est.settings import EstSettings
from tests.interop.conftest import identity_of

CONFIG = Path(__file__).parents[2] / "config" / "nginx" / "pikaserver.conf"
MAIN = """
user root; daemon off; pid {0}/pid; error_log stderr;
events {{}}
http {{ access_log off; {1} }}
"""
# As the how-to shows it: nginx cuts /pki off, and passes /edge on.
PREFIXES = """
    location /pki/ {
        proxy_pass http://pikaserver_front/;
    }
    location /edge/ {
        proxy_pass http://pikaserver_front;
    }
"""


@pytest.fixture
def front(est_server, tmp_path):
    """Run our application behind a Unix socket, and nginx with our file before it."""
    folder = tmp_path / "front"
    folder.mkdir()
    with listening(est_server.fake, folder), proxying(est_server, folder) as port:
        yield f"https://localhost:{port}"


@contextmanager
def listening(fake, folder):
    fake.settings = lambda _model: EstSettings.model_validate({"path-prefixes": ["/edge"]})
    services = register_services(fake)
    settings = WebListenerSettings(
        "front",
        "",
        0,
        ("est",),
        unix_socket=str(folder / "front.sock"),
        proxy_certificate_header="X-Client-Certificate",
    )
    limits = Limits(workers=2, header_octets=32768).serving(services)
    listener = WebListener(settings, limits, entropy=CountedEntropy(), clock=fake.clock)
    listener.start(build_application(services, entropy=CountedEntropy()))
    try:
        yield
    finally:
        listener.stop(1)


@contextmanager
def proxying(est_server, folder):
    program = require_program("nginx", package="nginx-light", also_in=[Path("/usr/sbin")])
    plain, tls = free_port(), free_port()
    write_files(est_server, folder, plain, tls)
    command = [program, "-c", str(folder / "nginx.conf"), "-e", "stderr"]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        ready = ("--retry", "60", "--retry-delay", "1", "--retry-connrefused")
        url = f"https://localhost:{tls}/"
        subprocess.run(["curl", "-sk", *ready, url], check=True, capture_output=True)
        yield tls
    finally:
        process.terminate()
        process.wait(timeout=60)


def write_files(est_server, folder, plain, tls):
    """Write nginx' settings, its certificate, and the chain of clients."""
    identity = identity_of(est_server.fake)
    (folder / "front.pem").write_bytes(identity.chain)
    (folder / "front.key").write_bytes(identity.key)
    keys = est_server.fake.authorities.keys
    chain = b"".join(
        write_pem("CERTIFICATE", keys[name][0].certificate) for name in ("issuing", "root")
    )
    (folder / "chain.pem").write_bytes(chain)
    text = CONFIG.read_text()
    for old, new in {
        "    listen [::]:80;\n": "",
        "    listen [::]:443 ssl;\n": "",
        "listen 80;": f"listen 127.0.0.1:{plain};",
        "listen 443 ssl;": f"listen 127.0.0.1:{tls} ssl;",
        "/run/pikaserver": str(folder),
        "/var/cache/nginx/pikaserver": str(folder / "cache"),
        "/etc/nginx/pki.example.org.key": str(folder / "front.key"),
        "/etc/nginx/pki.example.org.pem": str(folder / "front.pem"),
        "/etc/nginx/pikaserver-chain.pem": str(folder / "chain.pem"),
    }.items():
        assert old in text
        text = text.replace(old, new)
    head, _, tail = text.rpartition("    location / {")
    text = f"{head}{PREFIXES}    location / {{{tail}"
    (folder / "nginx.conf").write_text(MAIN.format(folder, text))


def test_devices_enrol_and_renew_under_a_prefix(est_server, front, tmp_path):
    """Both kinds of prefix, with a code and then with the certificate."""
    folder = tmp_path / "client"
    folder.mkdir()
    wish = make_wish(folder, "plc-21", ("DNS:plc-21.example",))
    cut, known = (
        CurlEst(f"{front}{prefix}", est_server.trust, folder) for prefix in ("/pki", "/edge")
    )

    first = cut.enroll(wish, est_server.code())
    renewed = known.renew(wish, first.certificate, wish.key)
    forged = cut.send(
        "simplereenroll",
        "-X",
        "POST",
        "-H",
        "X-Client-Certificate: forged",
        "-H",
        "Client-Cert: :AA==:",
    )

    assert (200, 200, 401) == (first.status, renewed.status, forged.status), first.text
    assert 2 == len(cut.ca_certificates()) == len(known.ca_certificates())
