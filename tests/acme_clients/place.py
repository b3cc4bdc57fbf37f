"""A server that listens, a DNS and a web server beside it: all that real clients need."""

import json
import os
import shutil
import subprocess
import threading
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from cryptography import x509

from pikaserver.asn1 import der
from pikaserver.authority.templates.starters import starter
from pikaserver.first_start import FirstStart, set_up
from pikaserver.opening import open_server
from pikaserver.settings.loading import load
from pikaserver.testing.requirements import NEEDS, require_program
from pikaserver.testing.servers import ServerProcess, free_port
from pikaserver_acme.office import office
from pikaserver_acme.policies.rules import read_rules
from tests.acme_validation.dns_server import DnsServer

NAMES = ("www.example.com", "mail.example.com", "example.com", "app.example.org")
SECONDS = 200
EXTERNAL_ACCOUNTS = 8


class Hooks(BaseHTTPRequestHandler):
    """Puts TXT records into the DNS server, as lego's provider ``httpreq`` asks."""

    dns: DnsServer

    def do_POST(self):
        """``/present`` and ``/cleanup`` with fqdn and value."""
        octets = self.rfile.read(int(self.headers["content-length"]))
        wish = json.loads(octets)
        name, value = wish["fqdn"].rstrip("."), f'"{wish["value"]}"'
        known = [one for one in self.dns.records.get((name, "TXT"), []) if one != value]
        if self.path == "/present":
            known.append(value)
        self.dns.records[name, "TXT"] = known
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_):
        """Say nothing."""


class _QuietFiles(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        """Say nothing."""


def served(handler):
    """Start an HTTP server of the tests on a free port."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    return server


@dataclass
class Place:
    """Where clients find everything; ``root`` is the file of the certificate to trust."""

    folder: Path
    server: ServerProcess
    dns: DnsServer
    root: Path
    web_root: Path
    hooks: str
    http_port: int
    tls_port: int
    external: list = field(default_factory=list)

    def directory(self, policy):
        return f"https://localhost:{self.server.https_port}/acme/{policy}/directory"

    def run(self, *words, cwd=None, check=True, **environment):
        """Run a client; what it prints is shown when it fails."""
        done = subprocess.run(
            [str(word) for word in words],
            capture_output=True,
            text=True,
            check=False,
            cwd=cwd or self.folder,
            timeout=SECONDS,
            env={**os.environ, **{name: str(value) for name, value in environment.items()}},
        )
        if check:
            assert 0 == done.returncode, f"{done.stdout}\n{done.stderr}"
        return done

    def eab(self):
        """Return kid and HMAC key of an external account that is good once."""
        return self.external.pop()

    def deadline(self):
        """Return until when the library asks again."""
        return datetime.now() + timedelta(seconds=SECONDS)  # noqa: DTZ005 - the library's clock

    def hook(self, name, lines):
        """Return an executable script that clients call."""
        path = self.folder / name
        path.write_text("#!/bin/sh\nset -e\n" + "\n".join(lines) + "\n")
        path.chmod(0o755)
        return path

    def dns_hook(self, deed, *, fqdn, value):
        """Return a line of shell that adds (present) or removes (cleanup) a TXT record."""
        body = f'{{"fqdn": "{fqdn}", "value": "{value}"}}'.replace('"', '\\"')
        return f'curl -fsS -d "{body}" {self.hooks}/{deed}'


def client(name):
    """Return the path of a client; one that this system does not offer is a loud skip."""
    if shutil.which(name) is None and shutil.which("apt-cache") is not None:
        shown = subprocess.run(
            ["apt-cache", "policy", name], capture_output=True, text=True, check=False
        )
        if "Candidate: (none)" in shown.stdout or not shown.stdout:
            pytest.skip(f"{NEEDS}{name}: this system's packages have none")
    return require_program(name, package=name)


def names_of(path):
    """Return the DNS names of the first certificate of a file, and how many it holds."""
    chain = x509.load_pem_x509_certificates(Path(path).read_bytes())
    extension = chain[0].extensions.get_extension_for_class(x509.SubjectAlternativeName)
    return set(extension.value.get_values_for_type(x509.DNSName)), len(chain)


def serial_of(path):
    """Return the serial number of the first certificate of a file."""
    return x509.load_pem_x509_certificates(Path(path).read_bytes())[0].serial_number


def make_place(folder):
    """Yield a place whose servers run."""
    web_root = folder / "web"
    (web_root / ".well-known" / "acme-challenge").mkdir(parents=True)
    dns = DnsServer()
    for name in NAMES:
        dns.add(name, "A", "127.0.0.1")
    files = served(partial(_QuietFiles, directory=str(web_root)))
    hooks = served(type("OwnHooks", (Hooks,), {"dns": dns}))
    ports = [free_port() for _ in range(4)]
    server = ServerProcess(folder / "data", *ports[:2], set_up=True)
    place = Place(
        folder, server, dns, folder / "root.pem", web_root,
        f"http://127.0.0.1:{hooks.server_port}", *ports[2:],
    )  # fmt: skip
    try:
        prepare(place, files.server_port)
        server.start()
        yield place
    finally:
        server.stop()
        for one in (files, hooks):
            one.shutdown()
            one.server_close()
        dns.close()


def prepare(place, web_port):
    """Set the server up in this process, which is quicker than by commands."""
    server = place.server
    data, binds = server.data, [f"127.0.0.1:{one}" for one in (server.http_port, server.https_port)]
    set_up(FirstStart(data, *binds, hostname="localhost"), {})
    with open_server(load({}, data=data), {}) as opened:
        here = office(opened.for_plugins)
        document = starter("web") + '[related]\nmode = "allowed"\nalternates = true\n'
        opened.templates.save("pairs", document, "test")
        document = starter("web") + '[related]\npair = "pairs"\n'
        opened.templates.save("both", document, "test")
        for name, rules in policies(place, web_port).items():
            here.policies.put(name, read_rules({"template": "web", **rules}), "test")
        for _ in range(EXTERNAL_ACCOUNTS):
            made = here.externals.create("bound", "test")
            place.external.append((made.kid, made.hmac))
        root = opened.authorities.get("root").generations[0].certificate
    place.root.write_bytes(der.write_pem("CERTIFICATE", root))


def policies(place, web_port):
    """``pre`` asks for no proof, ``bound`` for a registration, ``pairs`` binds."""
    looking = {"dns": [place.dns.address], "reachable-directly": ["127.0.0.0/8"]}
    return {
        "pre": {"pre-approved": ["*"]},
        "bound": {"pre-approved": ["*"], "eab": "required"},
        "open": {**looking, "http-port": place.http_port, "tls-port": place.tls_port},
        "files": {**looking, "http-port": web_port},
        "pairs": {"template": "pairs", "pre-approved": ["*"]},
        "both": {"template": "both", "pre-approved": ["*"]},
    }
