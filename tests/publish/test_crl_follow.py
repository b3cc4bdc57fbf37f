"""``crl follow`` keeps files fresh: verified, never older, at one stroke."""

import contextlib
import io
import logging
import signal
import subprocess
import sys
import threading
from dataclasses import replace
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from pikaserver.asn1.pem import read_pem, write_pem
from pikaserver.cli.main import run
from pikaserver.testing.clock import CountedEntropy
from pikaserver.testing.damage import altered
from pikaserver.testing.patience import SECONDS
from pikaserver.testing.throw_away import ThrowAwayAuthority
from tests.publish.crls import make_crl, summary_of
from tests.publish.programs import wait_for

PROGRAM = (sys.executable, "-m", "pikaserver.cli", "crl", "follow")
DAY = timedelta(days=1)


class Shop(BaseHTTPRequestHandler):
    """Serves what lies in ``server.files``; a status may stand there instead of octets."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        """Answer with validators, and 304 to who has it."""
        server = self.server
        found = server.files.get(self.path, 404)
        server.asked.append((self.path, self.headers["If-None-Match"]))
        if callable(found):
            found(self)
            return
        status, octets, headers = found if isinstance(found, tuple) else (found, b"", {})
        if isinstance(found, bytes):
            tag = f'"{hash(found)}"'
            status = 304 if self.headers["If-None-Match"] == tag else 200
            octets, headers = (b"" if status == 304 else found), {"ETag": tag}
        self.send_response(status)
        for name, value in {"Content-Length": str(len(octets)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(octets)

    def log_message(self, *_):
        """Stay silent."""


@pytest.fixture
def shop():
    """A server with ``files``, ``asked`` and ``url``."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Shop)
    server.daemon_threads = True
    server.files, server.asked = {}, []
    server.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def issuer(house, tmp_path):
    """The issuing authority's key, and its certificate in a file."""
    key = house.server.authorities.keys["issuing"][0]
    path = tmp_path / "issuer.pem"
    path.write_bytes(write_pem("CERTIFICATE", key.certificate))
    return path


@pytest.fixture
def crl(house):
    """Make CRLs of the issuing authority, the first of an hour ago."""
    key = house.server.authorities.keys["issuing"][0]

    def make(number, *, key=key, hours=-1, days=1, base_number=None, serials=()):
        at = house.clock() + timedelta(hours=hours, seconds=number)
        known = summary_of(house.clock, number, base_number=base_number)
        known = replace(known, this_update=at, next_update=at + days * DAY)
        return make_crl(key, known, serials).crl

    return make


@pytest.fixture
def once(issuer, tmp_path, monkeypatch):
    """Run it once, in this process; return its exit code and what it said."""
    monkeypatch.setattr(logging.root, "handlers", [])
    monkeypatch.setattr(logging.root, "level", logging.WARNING)

    def run_once(*words, out="crl.pem", issuers=(issuer,)):
        known = [word for path in issuers for word in ("--issuer", path)]
        to = ("--out", tmp_path / out) if out else ()
        line = ["crl", "follow", *words, *known, *to, "--once", "--timeout", "30s"]
        with contextlib.redirect_stderr(io.StringIO()) as said:
            return run([str(word) for word in line]), said.getvalue()

    yield run_once
    logging.captureWarnings(capture=False)


@contextlib.contextmanager
def following(tmp_path, *words):
    """Give a process that follows, every second."""
    log = (tmp_path / "follow.log").open("wb")
    command = [str(word) for word in (*PROGRAM, *words, "--every", "1s", "--timeout", "30s")]
    with log, subprocess.Popen(command, stderr=log) as process:
        try:
            yield process
        finally:
            process.kill()


def test_a_crl_comes_and_a_newer_one_takes_its_place(shop, once, crl, tmp_path):
    """In DER as it was signed, or in PEM."""
    shop.files["/crl"] = crl(1)
    assert (0, 1) == (once(f"{shop.url}/crl")[0], len(shop.asked))
    assert crl(1) == (tmp_path / "crl.pem").read_bytes()

    shop.files["/crl"] = write_pem("X509 CRL", crl(2))
    assert 0 == once(f"{shop.url}/crl", "--pem")[0]

    assert [crl(2)] == read_pem((tmp_path / "crl.pem").read_bytes(), "X509 CRL")


def test_several_crls_stand_in_one_file_or_each_in_its_own(
    shop, once, crl, house, tmp_path, issuer
):
    """Verifiers of whole chains want a CRL of each issuer."""
    root = house.server.authorities.keys["root"][0]
    (tmp_path / "root.pem").write_bytes(write_pem("CERTIFICATE", root.certificate))
    shop.files["/issuing"], shop.files["/root"] = crl(1), crl(1, key=root)
    issuers = (issuer, tmp_path / "root.pem")

    both = [f"{shop.url}/{name}" for name in ("issuing", "root")]
    pairs = [f"{url}={tmp_path}/{number}.crl" for number, url in enumerate(both)]
    assert 0 == once(*both, *pairs, issuers=issuers)[0]

    found = read_pem((tmp_path / "crl.pem").read_bytes(), "X509 CRL")
    assert [crl(1), crl(1, key=root)] == found
    assert crl(1, key=root) == (tmp_path / "1.crl").read_bytes()


def test_a_server_that_is_away_takes_nothing_from_the_file(
    shop, once, crl, house, tmp_path, issuer
):
    """What was there of the other issuer stays, and the code says that the file still holds."""
    root = house.server.authorities.keys["root"][0]
    (tmp_path / "root.pem").write_bytes(write_pem("CERTIFICATE", root.certificate))
    issuers, urls = (issuer, tmp_path / "root.pem"), [f"{shop.url}/issuing", f"{shop.url}/root"]
    shop.files["/issuing"], shop.files["/root"] = crl(1), crl(1, key=root)
    once(*urls, issuers=issuers)
    shop.files["/issuing"], shop.files["/root"] = crl(2), 503

    code, said = once(*urls, issuers=issuers)

    assert 0 == code
    assert "answers 503" in said
    found = read_pem((tmp_path / "crl.pem").read_bytes(), "X509 CRL")
    assert {crl(2), crl(1, key=root)} == set(found)


BAD = {
    "older": "is older than",
    "stranger": "is not by a known issuer",
    "forged": "is not by a known issuer",
    "of tomorrow": "begins in the future",
    "delta": "about something else",
    "cut off": "CRL",
    "portal": "CRL",
    "empty": "CRL",
    "two": "expected one CRL, found 2",
}


@pytest.fixture
def bad(house, crl):
    """Return what may not take the place of CRL 2, by its name."""
    stranger = ThrowAwayAuthority("issuing", house.clock(), CountedEntropy("stranger"))
    return {
        "older": crl(1),
        "stranger": crl(3, key=stranger),
        "forged": altered(crl(3)),
        "of tomorrow": crl(3, hours=1),
        "delta": crl(3, base_number=1),
        "cut off": crl(3)[:-20],
        "portal": b"<html>captive portal</html>",
        "empty": b"",
        "two": write_pem("X509 CRL", crl(3)) * 2,
    }


@pytest.mark.parametrize("name", BAD)
def test_what_may_not_take_its_place_does_not(shop, once, crl, tmp_path, bad, name):
    """Older, forged, of tomorrow, about something else, cut off, no CRL."""
    shop.files["/crl"] = crl(2)
    once(f"{shop.url}/crl")
    shop.files["/crl"] = bad[name]

    code, said = once(f"{shop.url}/crl")

    assert 1 == code
    assert BAD[name] in said
    assert crl(2) == (tmp_path / "crl.pem").read_bytes()


def test_a_new_key_s_first_crl_takes_over_and_the_old_key_s_do_not_come_back(
    shop, once, crl, tmp_path, issuer, house
):
    """Numbers begin anew with a key; then the later of the two is the newer one."""
    new = house.server.authorities.add("issuing", "root")
    path = tmp_path / "new.pem"
    path.write_bytes(write_pem("CERTIFICATE", new.certificate))
    shop.files["/crl"] = crl(40)
    once(f"{shop.url}/crl", issuers=(issuer, path))

    shop.files["/crl"] = first = crl(1, key=new, hours=-0.5)
    assert 0 == once(f"{shop.url}/crl", issuers=(issuer, path))[0]
    shop.files["/crl"] = crl(41)
    assert 1 == once(f"{shop.url}/crl", issuers=(issuer, path))[0]

    assert first == (tmp_path / "crl.pem").read_bytes()


def test_exit_codes_tell_whether_the_reader_can_start(shop, once, crl, tmp_path):
    """Missing and not to be had; there and ended; there and held, whoever is away."""
    assert 4 == once(f"{shop.url}/nothing")[0]
    shop.files["/crl"] = crl(1, hours=-3, days=0.05)
    assert 6 == once(f"{shop.url}/crl")[0]
    shop.files["/crl"] = crl(2)
    assert 0 == once(f"{shop.url}/crl")[0]
    shop.files.clear()
    assert 0 == once(f"{shop.url}/crl")[0]
    (tmp_path / "crl.pem").unlink()
    assert 4 == once(f"{shop.url}/crl")[0]


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["ftp://x/y", "--out", "x"], "should begin with http://"),
        (["http://x/y"], "needs a file"),
        (["http://x/y?a=b"], "needs a file"),
        (["http://x/y=/z", "--out", "x"], "--out is for URLs without a file"),
        (["http://x/y", "--out", "x", "--signal", "HUP"], "belong together"),
        (["http://x/y", "--out", "x", "--signal", "HOP", "--pid-file", "x"], "a name like 'HUP'"),
        (["http://x/y", "--out", "x", "--issuer", "nowhere"], "nowhere"),
    ],
)
def test_a_wrong_line_is_told(words, why):
    """Before anything is fetched."""
    done = subprocess.run([*PROGRAM, *words], capture_output=True, text=True, check=False)

    assert 2 == done.returncode
    assert why in done.stderr


def test_redirects_lead_on_but_never_from_tls_to_plain(shop, once, crl):
    """And not in a circle."""
    shop.files["/crl"] = crl(1)
    shop.files["/moved"] = (302, b"", {"Location": "/crl"})
    shop.files["/circle"] = (302, b"", {"Location": "/circle"})
    shop.files["/ftp"] = (302, b"", {"Location": "ftp://x/"})

    assert 0 == once(f"{shop.url}/moved", out="a")[0]
    for name, why in (("circle", "again and again"), ("ftp", "not as safe")):
        code, said = once(f"{shop.url}/{name}", out="b")
        assert 4 == code
        assert why in said


def test_it_follows_asks_politely_and_ends_cleanly(shop, crl, issuer, tmp_path):
    """Unchanged is 304 and leaves the file alone; what somebody spoiled is mended; SIGTERM is 0."""
    shop.files["/crl"] = crl(1)
    out, touched = tmp_path / "crl.pem", tmp_path / "touched"
    words = (f"{shop.url}/crl", "--issuer", issuer, "--out", out, "--touch", touched)
    with following(tmp_path, *words) as process:
        wait_for(touched.exists)
        first = len(shop.asked) + 1  # one may be on its way
        wait_for(lambda: len(shop.asked) >= first + 2)
        assert shop.asked[0][1] is None
        assert all(tag for _, tag in shop.asked[first:])
        inode = out.stat().st_ino

        shop.files["/crl"] = crl(2)
        wait_for(lambda: out.stat().st_ino != inode)
        assert crl(2) == out.read_bytes()

        out.write_bytes(b"spoiled")
        wait_for(lambda: out.read_bytes() == crl(2))

        shop.files["/crl"] = 500
        asked = len(shop.asked)
        wait_for(lambda: len(shop.asked) > asked + 1)
        shop.files["/crl"] = crl(3)
        wait_for(lambda: out.read_bytes() == crl(3))

        process.send_signal(signal.SIGTERM)
        assert 0 == process.wait(SECONDS)


def test_the_reader_is_told_as_soon_as_it_is_there(shop, crl, issuer, tmp_path):
    """It may have read the old file just before it wrote its pid file."""
    shop.files["/crl"] = crl(1)
    pid_file, out = tmp_path / "pid", tmp_path / "crl.pem"
    code = (
        "import signal\n"
        "signal.signal(signal.SIGUSR2, lambda *_: print('told', flush=True))\n"
        "print('ready', flush=True)\n"
        "while True: signal.pause()"
    )
    words = ("--signal", "USR2", "--pid-file", pid_file)
    with (
        subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as reader,
        following(tmp_path, f"{shop.url}/crl", "--issuer", issuer, "--out", out, *words),
    ):
        assert "ready\n" == reader.stdout.readline()
        wait_for(lambda: b"not told yet" in (tmp_path / "follow.log").read_bytes())

        pid_file.write_text(f"{reader.pid}\n")

        assert "told\n" == reader.stdout.readline()
        reader.kill()


def test_a_kill_amid_the_work_leaves_a_whole_file(shop, crl, issuer, tmp_path):
    """At any moment: the reader never finds a half CRL."""
    out, numbers = tmp_path / "crl.pem", range(1, 9)
    crls = {number: crl(number, serials=range(1, 3000)) for number in numbers}
    for number in numbers:
        shop.files["/crl"] = crls[number]
        with following(tmp_path, f"{shop.url}/crl", "--issuer", issuer, "--out", out) as process:
            if number % 4 == 1:
                wait_for(lambda octets=crls[number]: out.exists() and out.read_bytes() == octets)
            else:
                wait_for(lambda: shop.asked)
            process.kill()
        shop.asked.clear()
        assert out.read_bytes() in crls.values()
    assert {path.name for path in tmp_path.iterdir()} <= {
        "issuer.pem",
        "follow.log",
        "crl.pem",
        ".crl.pem.new",
    }


def test_a_slow_url_keeps_no_other_waiting(shop, crl, issuer, tmp_path):
    """Each has a thread of its own."""
    hold = threading.Event()
    shop.files["/slow"] = lambda _: hold.wait(30)
    shop.files["/crl"] = crl(1)
    pairs = [f"{shop.url}/{name}={tmp_path}/{name}" for name in ("slow", "crl")]

    with following(tmp_path, *pairs, "--issuer", issuer):
        wait_for((tmp_path / "crl").exists)
        shop.files["/crl"] = crl(2)
        wait_for(lambda: (tmp_path / "crl").read_bytes() == crl(2))
        hold.set()


def test_without_an_issuer_only_the_form_and_the_age_count(shop, once, crl):
    """Its reader verifies the signature anyway."""
    shop.files["/crl"] = crl(2)
    assert 0 == once(f"{shop.url}/crl", issuers=())[0]
    shop.files["/crl"] = crl(1)
    assert 1 == once(f"{shop.url}/crl", issuers=())[0]


def test_a_certificate_of_the_issuer_may_be_der(house, once, shop, crl, tmp_path):
    """As ``/ca/issuing.cer`` gives it."""
    key = house.server.authorities.keys["issuing"][0]
    path = tmp_path / "issuing.cer"
    path.write_bytes(x509.load_der_x509_certificate(key.certificate).public_bytes(Encoding.DER))
    shop.files["/crl"] = crl(1)

    assert 0 == once(f"{shop.url}/crl", issuers=(path,))[0]
