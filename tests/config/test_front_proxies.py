"""The proxies of ``config/`` overwrite every header that pikaserver believes."""

import socketserver
import subprocess
import threading
from base64 import b64encode
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from urllib.parse import unquote

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from pikaserver.testing.requirements import require_program
from pikaserver.testing.servers import free_port

CONFIG = Path(__file__).parents[2] / "config"
FORGED = (
    "X-Client-Certificate: forged",
    "Client-Cert: :Zm9yZ2Vk:",
    "X-Forwarded-For: 192.0.2.1",
    "X-Forwarded-Proto: https",
    "Forwarded: for=192.0.2.1;proto=https",
)
NGINX_MAIN = """
user root; daemon off; pid {0}/pid; error_log stderr;
events {{}}
http {{ access_log off; {1} }}
"""


class Backend(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """Plays pikaserver behind its Unix socket and keeps the headers of the last request."""

    daemon_threads = True
    headers = None


class Keeper(BaseHTTPRequestHandler):
    """Answers everything and remembers its headers."""

    def do_GET(self):
        """Remember, unless HAProxy only asks how we are, and answer with nothing."""
        if self.path == "/forged":
            self.server.headers = self.headers.items()
        self.send_response(204)
        self.end_headers()

    def address_string(self):
        """Give a name, because the peer of a Unix socket has no address."""
        return "proxy"

    def log_message(self, *_):
        """Stay silent."""


@pytest.fixture
def folder(tmp_path):
    """Give a folder with a certificate and key, for the front and for its only client."""
    make = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    files = ["-noenc", "-subj", "/CN=client", "-keyout", "key.pem", "-out", "chain.pem"]
    subprocess.run([*make, *files], cwd=tmp_path, check=True, capture_output=True)
    (tmp_path / "both.pem").write_text(
        (tmp_path / "key.pem").read_text() + (tmp_path / "chain.pem").read_text()
    )
    return tmp_path


@pytest.fixture
def backends(folder):
    """Give the two listeners that a front talks to, by their names."""
    servers = {name: Backend(str(folder / f"{name}.sock"), Keeper) for name in ("plain", "front")}
    for server in servers.values():
        threading.Thread(target=server.serve_forever, daemon=True).start()
    yield servers
    for server in servers.values():
        server.shutdown()
        server.server_close()


@pytest.fixture(params=["nginx", "haproxy"])
def ports(request, folder):
    """Run a front with our file, its paths and ports replaced, and give the two ports."""
    package = {"nginx": "nginx-light", "haproxy": "haproxy"}[request.param]
    program = require_program(request.param, package=package, also_in=[Path("/usr/sbin")])
    plain, tls = free_port(), free_port()
    front = {"nginx": nginx, "haproxy": haproxy}[request.param]
    process = subprocess.Popen([program, *front(folder, plain, tls)], stderr=subprocess.DEVNULL)
    yield plain, tls
    process.terminate()
    process.wait(timeout=60)


def nginx(folder, plain, tls):
    text = (CONFIG / "nginx" / "pikaserver.conf").read_text()
    for old, new in {
        "    listen [::]:80;\n": "",
        "    listen [::]:443 ssl;\n": "",
        "listen 80;": f"listen 127.0.0.1:{plain};",
        "listen 443 ssl;": f"listen 127.0.0.1:{tls} ssl;",
        "/run/pikaserver": str(folder),
        "/var/cache/nginx/pikaserver": str(folder / "cache"),
        "/etc/nginx/pki.example.org.key": str(folder / "key.pem"),
        "/etc/nginx/pki.example.org.pem": str(folder / "chain.pem"),
        "/etc/nginx/pikaserver-chain.pem": str(folder / "chain.pem"),
    }.items():
        assert old in text
        text = text.replace(old, new)
    (folder / "front.conf").write_text(NGINX_MAIN.format(folder, text))
    return ["-c", folder / "front.conf", "-e", "stderr"]


def haproxy(folder, plain, tls):
    text = (CONFIG / "haproxy" / "haproxy.cfg").read_text()
    text = "".join(line for line in text.splitlines(keepends=True) if "bind :::" not in line)
    for old, new in {
        "bind :80": f"bind 127.0.0.1:{plain}",
        "bind :443": f"bind 127.0.0.1:{tls}",
        "/run/pikaserver": str(folder),
        "/etc/haproxy/pki.example.org.pem": str(folder / "both.pem"),
        "/etc/haproxy/pikaserver-chain.pem": str(folder / "chain.pem"),
    }.items():
        assert old in text
        text = text.replace(old, new)
    (folder / "front.cfg").write_text(text)
    return ["-db", "-q", "-f", folder / "front.cfg"]


def ask(url, *arguments):
    """Send a request with every header forged."""
    headers = [word for header in FORGED for word in ("--header", header)]
    patience = ["--retry", "60", "--retry-delay", "1", "--retry-connrefused"]
    subprocess.run(
        ["curl", "-sfk", *patience, *headers, *arguments, url], check=True, capture_output=True
    )


def believed(backend):
    """Return what arrived in the headers that pikaserver believes, by their names."""
    names = {header.partition(":")[0].lower() for header in FORGED}
    return [(name.lower(), value) for name, value in backend.headers if name.lower() in names]


def test_forged_headers_do_not_pass_the_plain_port(backends, ports):
    """What stays is the proxy's own word, once."""
    ask(f"http://127.0.0.1:{ports[0]}/forged")

    expected = [("x-forwarded-for", "127.0.0.1"), ("x-forwarded-proto", "http")]
    assert expected == sorted(believed(backends["plain"]))


def test_forged_headers_do_not_pass_the_tls_port(backends, ports):
    """Without a client certificate there is no header that could be one."""
    ask(f"https://127.0.0.1:{ports[1]}/forged")

    expected = [("x-forwarded-for", "127.0.0.1"), ("x-forwarded-proto", "https")]
    assert expected == sorted(believed(backends["front"]))


def test_the_client_certificate_arrives_whatever_the_client_wrote(backends, ports, folder):
    """RFC 9440 or percent-encoded PEM: it is the certificate of the handshake."""
    shown = ["--cert", folder / "chain.pem", "--key", folder / "key.pem"]
    certificate = x509.load_pem_x509_certificate((folder / "chain.pem").read_bytes())
    der = b64encode(certificate.public_bytes(Encoding.DER)).decode()

    ask(f"https://127.0.0.1:{ports[1]}/forged", *shown)

    arrived = dict(believed(backends["front"]))
    rfc9440, pem = arrived.get("client-cert"), arrived.get("x-client-certificate")
    assert (rfc9440 is None) != (pem is None)
    assert rfc9440 is None or f":{der}:" == rfc9440
    assert pem is None or certificate == x509.load_pem_x509_certificate(unquote(pem).encode())
