"""The program: what it is given, and what happens when it does not do its work."""

import os
import signal
import threading

import pytest

from pikaserver_openssl.cli import CliEngine
from pikaserver_openssl.engine import EngineFault, Way
from pikaserver_openssl.program import Input, Program, ProgramBusy


@pytest.fixture
def script(tmp_path):
    """Make a program out of a few lines of shell."""

    def make(text, processes=2, timeout=20.0):
        file = tmp_path / "openssl"
        file.write_text(f"#!/bin/sh\n{text}\n")
        file.chmod(0o755)
        return Program(str(file), processes, timeout)

    return make


def test_inputs_are_files_in_memory(script):
    """Regular ones with a length, of which nothing is on disk."""
    program = script('stat -L -c "%F %s" "$1"; cat "$1" "$2"')

    said = program.run(
        "{key}", "{message}", inputs=[Input("key", b"k"), Input("message", b"m" * 9)]
    )

    assert b"regular file 1\nk" + b"m" * 9 == said


def test_nothing_of_this_process_is_passed_on(script, monkeypatch):
    """No environment, no terminal, no standard input, no other files."""
    monkeypatch.setenv("OPENSSL_CONF", "/etc/evil.cnf")
    text = 'env; read line && echo "read $line"; cat /dev/tty 2>/dev/null && echo tty'
    open_here = os.memfd_create("ours")

    said = script(f"{text}; ls /proc/self/fd").run().decode()

    os.close(open_here)
    assert "OPENSSL_CONF" not in said
    assert "read" not in said
    assert "tty" not in said
    assert str(open_here) not in said.split()[-5:]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("exit 3", "does not say why"),
        ("echo 'bad key' >&2; exit 1", "bad key"),
        ("kill -9 $$", "ended by signal 9"),
    ],
)
def test_a_program_that_fails_says_why(script, text, words):
    """And the next call may work."""
    program = script(text)

    for _ in range(3):
        with pytest.raises(EngineFault, match=words):
            program.run("pkeyutl")


def test_a_program_that_hangs_is_ended(script):
    """Its place is free again."""
    program = script("sleep 600", processes=1, timeout=0.05)

    for _ in range(2):
        with pytest.raises(EngineFault, match="did not end within"):
            program.run("pkeyutl")


def test_what_a_program_started_ends_with_it(script, tmp_path):
    """A wrapper's child holds the key's file, too; nobody waits for it, and it does not stay."""
    os.mkfifo(tmp_path / "alive")
    program = script(f"sleep 600 > {tmp_path}/alive & exec sleep 600", processes=1, timeout=2)
    reader = os.open(tmp_path / "alive", os.O_RDONLY | os.O_NONBLOCK)
    with pytest.raises(EngineFault, match="did not end within"):
        program.run("pkeyutl")

    os.set_blocking(reader, True)
    ended = os.read(reader, 1)  # the end of the file comes when nobody can write any more
    os.close(reader)

    assert b"" == ended


def test_more_than_the_allowed_processes_wait_their_turn(script, tmp_path):
    """Until the time is over; then it can be asked again."""
    os.mkfifo(tmp_path / "gate")
    program = script(f"cat {tmp_path}/gate", processes=1, timeout=0.2)
    patient = script(f"cat {tmp_path}/gate", processes=1, timeout=60)
    patient._free = program._free  # noqa: SLF001 - the same places, with more patience
    done = []
    thread = threading.Thread(target=lambda: done.append(patient.run()))
    thread.start()
    with (
        (tmp_path / "gate").open("wb"),  # opens when the program has its place
        pytest.raises(ProgramBusy, match="all 1 openssl processes are busy"),
    ):
        program.run()
    thread.join(30)

    assert [b""] == done
    with pytest.raises(EngineFault, match="did not end"):
        program.run()


def test_a_missing_program_is_one_sentence(tmp_path):
    """So is one that may not be executed."""
    (tmp_path / "plain").write_text("")
    for path in (tmp_path / "none", tmp_path / "plain"):
        with pytest.raises(EngineFault, match="cannot be started"):
            CliEngine(Program(str(path), 1, 5), ["default"])


def test_a_killed_signature_can_be_asked_again(program):
    """A provider that crashes takes nobody with it."""
    real = CliEngine(Program(program, 2, 30), ["default"])
    pkcs8 = real.generate("ed25519")
    key = real.open(pkcs8)

    class Killed(Program):
        """Ends itself by a signal, once."""

        left = 1

        def _run(self, words, files):
            if self.left:
                self.left -= 1
                return super()._run(["/bin/sh", "-c", f"kill -{signal.SIGSEGV.value} $$"], files)
            return super()._run(words, files)

    crashing = type(key)(Killed(program, 2, 30), key.providers, key.public_key, pkcs8)

    with pytest.raises(EngineFault, match="signal 11"):
        crashing.sign(b"message", Way())
    assert 64 == len(crashing.sign(b"message", Way()))
