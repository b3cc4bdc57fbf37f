"""Stapling: nginx asks our responder, HAProxy is given our answers, and clients believe them."""

import base64
import socket
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from pikaserver.testing.requirements import require_program
from pikaserver.testing.servers import free_port
from tests.ocsp.asking import KEY_TYPES, asked_server

PATIENCE = 60


NGINX = """
user root; daemon off; pid {folder}/pid; error_log stderr info;
events {{}}
http {{
  access_log off;
  server {{
    listen 127.0.0.1:{port} ssl;
    ssl_certificate {folder}/www.pem;
    ssl_certificate_key {folder}/www.key;
    ssl_stapling on;
    ssl_stapling_verify on;
    ssl_trusted_certificate {folder}/chain.pem;
    ssl_stapling_responder {url};
    location / {{ return 204; }}
  }}
}}
"""


HAPROXY = """
global
  stats socket {folder}/stats mode 600 level admin
defaults
  mode http
  timeout connect 5s
  timeout client 5s
  timeout server 5s
frontend www
  bind 127.0.0.1:{port} ssl crt {folder}/both.pem
  http-request return status 204
"""


@pytest.fixture(scope="module", params=KEY_TYPES)
def house(request, tmp_path_factory):
    """Give a server whose authorities have keys of this type."""
    with asked_server(tmp_path_factory.mktemp(request.param), request.param) as made:
        yield made


@contextmanager
def started(*command, port):
    """Run a server until the block ends."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        end = time.monotonic() + PATIENCE
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 5).close()
                break
            except OSError:
                assert process.poll() is None, process.stderr.read()
                assert time.monotonic() < end
                time.sleep(0.05)
        yield process
    finally:
        process.terminate()
        process.communicate(timeout=PATIENCE)


def stapled(house, port):
    """Return what ``openssl s_client -status`` says of the staple."""
    done = subprocess.run(
        [
            house.openssl, "s_client", "-connect", f"127.0.0.1:{port}", "-status",
            "-servername", "www.example", "-CAfile", house.folder / "root.pem",
        ],
        input=b"", capture_output=True, check=False, timeout=60,
    )  # fmt: skip
    return done.stdout.decode(errors="replace")


def test_nginx_staples_our_answer(house):
    """It asks with the certificate's first handshakes, verifies, and staples."""
    nginx = require_program("nginx", package="nginx-light", also_in=[Path("/usr/sbin")])
    house.issue("www")
    port = free_port()
    config = house.folder / "nginx.conf"
    url = f"{house.url}/issuing"
    config.write_text(NGINX.format(folder=house.folder, port=port, url=url))

    with started(nginx, "-c", config, "-e", "stderr", port=port):
        end = time.monotonic() + PATIENCE
        answer = stapled(house, port)
        while "OCSP Response Status: successful" not in answer and time.monotonic() < end:
            answer = stapled(house, port)

    assert "OCSP Response Status: successful" in answer
    assert "Cert Status: good" in answer
    assert "Verify return code: 0 (ok)" in answer


def test_haproxy_staples_our_answer(house):
    """Read from a file at its start, and given by its socket while it runs."""
    haproxy = require_program("haproxy", package="haproxy", also_in=[Path("/usr/sbin")])
    path = house.issue("proxy")
    both = house.folder / "both.pem"
    both.write_bytes(path.read_bytes() + (house.folder / "proxy.key").read_bytes())
    house.ask("-cert", path, "-no_nonce", "-respout", f"{both}.ocsp")
    port = free_port()
    config = house.folder / "haproxy.cfg"
    config.write_text(HAPROXY.format(folder=house.folder, port=port))

    with started(haproxy, "-db", "-q", "-f", config, port=port):
        first = stapled(house, port)
        house.revoke(path)
        house.ask("-cert", path, "-no_nonce", "-respout", house.folder / "next.ocsp")
        text = base64.b64encode((house.folder / "next.ocsp").read_bytes()).decode()
        with socket.socket(socket.AF_UNIX) as stats:
            stats.connect(str(house.folder / "stats"))
            stats.sendall(f"set ssl ocsp-response {text}\n".encode())
            told = stats.recv(4096)
        second = stapled(house, port)

    assert "Cert Status: good" in first
    assert b"updated" in told
    assert "Cert Status: revoked" in second
