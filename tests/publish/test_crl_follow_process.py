"""``crl follow`` as a process that goes on: politely, through kills, past slow servers."""

import contextlib
import signal
import subprocess
import sys
import threading

from pikaserver.testing.patience import SECONDS
from tests.publish.programs import wait_for
from tests.publish.shop import PROGRAM


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
