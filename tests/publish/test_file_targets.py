"""Files are replaced at one stroke, never by older ones, and their readers hear of it."""

import os
import signal
import stat
import subprocess
import sys
import textwrap

import pytest
from cryptography import x509

from pikaserver.api.errors import Conflict, MalformedRequest, Unavailable
from pikaserver.api.files import replace_file
from pikaserver.asn1.pem import read_pem, write_pem


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "pki"
    path.mkdir()
    return path


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_crl_lies_there_in_der_for_everybody_to_read(house, folder):
    """Its name is that of the server's own URL."""
    publisher = house.publisher(
        f'kind="file"\ncrl="{folder}/{{authority}}.g{{generation}}{{part}}.crl"'
    )
    crl = house.issue()

    publisher.publish(crl)

    (file,) = folder.iterdir()
    assert "issuing.g1.crl" == file.name
    assert crl.crl == file.read_bytes()
    assert 0o644 == stat.S_IMODE(file.stat().st_mode)


def test_a_crl_may_be_text_with_permissions_of_its_own(house, folder):
    """What brokers read is mostly PEM."""
    publisher = house.publisher(
        f'kind="file"\nform="pem"\nmode="0640"\ncrl="{folder}/{{scope}}-{{number}}.{{authority}}"'
    )
    crl = house.issue()

    publisher.publish(crl)

    file = folder / "full-1.issuing"
    assert [crl.crl] == read_pem(file.read_bytes(), "X509 CRL")
    assert 0o640 == stat.S_IMODE(file.stat().st_mode)


@pytest.mark.parametrize("form", ["der", "pem"])
def test_an_older_crl_never_replaces_a_newer_one(house, folder, form):
    """Two nodes on one folder, or a queue that was restored from a backup."""
    publisher = house.publisher(f'kind="file"\nform="{form}"\ncrl="{folder}/{{authority}}"')
    old, new = house.issue(), house.issue()
    publisher.publish(new)
    there = (folder / "issuing").read_bytes()

    with pytest.raises(Conflict, match="has CRL 2, newer than 1"):
        publisher.publish(old)

    assert there == (folder / "issuing").read_bytes()
    assert ["issuing"] == names_in(folder)
    publisher.publish(new)


@pytest.mark.parametrize(
    "left", [b"", b"half of a CRL", b"-----BEGIN X509 CRL-----\nMIIB", b"\x30\x84"]
)
def test_what_is_no_crl_is_replaced(house, folder, left):
    """A file that another program wrote half."""
    (folder / "issuing").write_bytes(left)

    house.publisher(f'kind="file"\ncrl="{folder}/{{authority}}"').publish(crl := house.issue())

    assert crl.crl == (folder / "issuing").read_bytes()


def test_another_authority_s_crl_is_replaced(house, folder):
    """Its numbers tell nothing about ours."""
    for _ in range(5):
        root = house.issue("root")
    (folder / "issuing").write_bytes(write_pem("X509 CRL", root.crl))

    house.publisher(f'kind="file"\ncrl="{folder}/{{authority}}"').publish(crl := house.issue())

    assert crl.crl == (folder / "issuing").read_bytes()


@pytest.mark.parametrize(
    ("ending", "count"), [("cer", 1), ("pem", 1), ("chain.pem", 2), ("p7c", 1)]
)
def test_certificates_are_written_as_their_names_end(house, folder, ending, count):
    """Those are the endings of the server's own URLs."""
    publisher = house.publisher(f'kind="file"\ncertificate="{folder}/{{authority}}.{ending}"')

    publisher.target.certificate(*house.certificate())

    octets = (folder / f"issuing.{ending}").read_bytes()
    issuing = house.certificate()[1].certificate
    if ending == "cer":
        assert issuing == octets
    elif ending == "p7c":
        assert issuing in octets
    else:
        found = x509.load_pem_x509_certificates(octets)
        assert count == len(found)
        assert x509.load_der_x509_certificate(issuing) == found[0]


LISTENER = """
    import signal, sys
    signal.signal(signal.SIGHUP, lambda *_: print("hup", flush=True))
    print("ready", flush=True)
    while True:
        signal.pause()
"""


@pytest.fixture
def listener():
    """A process that prints a line for each SIGHUP."""
    command = [sys.executable, "-c", textwrap.dedent(LISTENER)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert "ready\n" == process.stdout.readline()
        yield process
        process.kill()


def test_the_reader_gets_a_signal_and_a_file_is_touched(house, folder, listener):
    """Without a command of ours: a signal by a pid file, and a file for whoever watches it."""
    pid_file, watched = folder / "pid", folder / "changed"
    pid_file.write_text(f"{listener.pid}\n")
    publisher = house.publisher(
        f'kind="file"\ncrl="{folder}/{{authority}}"\nsignal="HUP"\npid-file="{pid_file}"\n'
        f'touch="{watched}"'
    )

    publisher.publish(house.issue())

    assert "hup\n" == listener.stdout.readline()
    assert watched.exists()


def test_a_pid_file_that_names_nobody_is_no_failure(house, folder):
    """Who does not run reads the file when it starts."""
    gone = subprocess.Popen(["true"])
    gone.wait()
    for text in (f"{gone.pid}", "", "no number", "-1", "0"):
        (folder / "pid").write_text(text)
        publisher = house.publisher(
            f'kind="file"\ncrl="{folder}/{{authority}}"\nsignal="HUP"\npid-file="{folder}/pid"'
        )
        publisher.publish(house.issue())


def test_a_pid_file_older_than_its_process_names_another_one(house, folder, listener):
    """The number was given out again; most programs would end of the signal."""
    pid_file = folder / "pid"
    pid_file.write_text(f"{listener.pid}\n")
    os.utime(pid_file, (1_000_000_000, 1_000_000_000))
    publisher = house.publisher(
        f'kind="file"\ncrl="{folder}/{{authority}}"\nsignal="HUP"\npid-file="{pid_file}"'
    )
    publisher.publish(house.issue())

    os.utime(pid_file)
    publisher.publish(house.issue())

    assert "hup\n" == listener.stdout.readline()
    listener.send_signal(signal.SIGTERM)
    assert "" == listener.stdout.read()


WRITER = """
    import sys
    from pathlib import Path
    from pikaserver.api.files import replace_file
    def pieces():
        yield b"half"
        print("writing", flush=True)
        sys.stdin.read()
    replace_file(Path(sys.argv[1]), pieces())
"""


def test_a_writer_that_is_killed_leaves_the_old_file(folder):
    """And what it left behind stands in nobody's way."""
    path = folder / "issuing.crl"
    path.write_bytes(b"old")
    command = [sys.executable, "-c", textwrap.dedent(WRITER), str(path)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, **pipes, text=True) as process:
        assert "writing\n" == process.stdout.readline()
        with pytest.raises(Unavailable, match="another process writes"):
            replace_file(path, [b"from another one"])
        process.kill()

    assert b"old" == path.read_bytes()
    assert 2 == len(names_in(folder))
    replace_file(path, [b"new"])
    assert b"new" == path.read_bytes()
    assert ["issuing.crl"] == names_in(folder)


def test_a_writer_that_fails_leaves_nothing(folder):
    """No half file, no hidden one."""

    def pieces():
        yield b"half"
        raise MalformedRequest("no more")

    with pytest.raises(MalformedRequest):
        replace_file(folder / "issuing.crl", pieces())

    assert [] == names_in(folder)


def test_a_symbolic_link_stays_one_and_permissions_stay(folder):
    """Others put files where they want them."""
    real, link = folder / "real", folder / "link"
    real.write_bytes(b"old")
    real.chmod(0o600)
    link.symlink_to(real)

    replace_file(link, [b"new"])

    assert link.is_symlink()
    assert b"new" == real.read_bytes()
    assert 0o600 == stat.S_IMODE(real.stat().st_mode)


def test_a_probe_says_whether_the_folder_can_be_written(house, folder):
    """Before the first CRL is due."""
    publisher = house.publisher(f'kind="file"\ncrl="{folder}/{{authority}}"')
    assert f"can write to {folder}" == publisher.target.probe()
    assert [] == names_in(folder)

    folder.rmdir()

    with pytest.raises(FileNotFoundError):
        publisher.target.probe()
