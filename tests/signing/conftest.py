"""A key store in memory, a clock that stands, and a backend over both."""

import hashlib
import os
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pikaserver.api.errors import Conflict, NotFound
from pikaserver.signing.sealing import KEY_OCTETS, FileKey
from pikaserver.signing.software import SoftwareBackend

NOW = datetime(2026, 1, 1, tzinfo=UTC)


class CountedEntropy:
    """Octets that look random, never come twice, and are the same in each run."""

    def __init__(self):
        self.calls = 0

    def __call__(self, octets):
        """Return the next octets."""
        self.calls += 1
        return hashlib.shake_256(self.calls.to_bytes(8, "big")).digest(octets)


class MemoryKeyStore:
    """A `KeyStore` that forgets everything at the end."""

    def __init__(self):
        self.rows = {}

    def all(self):
        """Return all keys."""
        return [self.rows[name] for name in sorted(self.rows)]

    def get(self, name):
        """Return one key."""
        if name not in self.rows:
            raise NotFound(name)
        return self.rows[name]

    def add(self, key):
        """Keep a key."""
        if key.name in self.rows:
            raise Conflict(key.name)
        self.rows[key.name] = key

    def remove(self, name):
        """Drop a key."""
        self.get(name)
        del self.rows[name]


@pytest.fixture
def entropy():
    return CountedEntropy()


@pytest.fixture
def store():
    return MemoryKeyStore()


@pytest.fixture
def kek(entropy):
    return FileKey(bytes(range(KEY_OCTETS)), entropy)


@pytest.fixture
def backend(store, kek, entropy):
    return SoftwareBackend(store, kek, lambda: NOW, entropy)


@pytest.fixture(scope="module")
def module_backend():
    """A backend whose keys live as long as the tests of one file."""
    entropy = CountedEntropy()
    kek = FileKey(bytes(KEY_OCTETS), entropy)
    return SoftwareBackend(MemoryKeyStore(), kek, lambda: NOW, entropy)


@pytest.fixture(scope="module")
def module_entropy():
    """Entropy for what the tests of one file share."""
    return CountedEntropy()


class OpenSsl:
    """Runs one ``openssl`` and returns what it says."""

    def __init__(self, program):
        self.program = program

    def __call__(self, *arguments, stdin=None, check=True):
        """Run it; without `check` its complaints are part of the answer."""
        done = subprocess.run(
            [self.program, *arguments], input=stdin, capture_output=True, check=check
        )
        return done.stdout if check else done.stdout + done.stderr


@pytest.fixture(scope="session")
def openssl():
    """Return an OpenSSL that knows ML-DSA, or skip."""
    candidates = [
        os.environ.get("PIKASERVER_TEST_OPENSSL"),
        shutil.which("openssl"),
        str(Path(__file__).parents[2] / ".tools/openssl/openssl"),
    ]
    for candidate in candidates:
        if candidate is None or not Path(candidate).exists():
            continue
        listed = subprocess.run(
            [candidate, "list", "-signature-algorithms"], capture_output=True, check=True
        )
        if b"ML-DSA-65" in listed.stdout:
            return OpenSsl(candidate)
    if "CI" in os.environ:
        pytest.fail("no openssl with ML-DSA; set PIKASERVER_TEST_OPENSSL")
    pytest.skip("no openssl with ML-DSA; set PIKASERVER_TEST_OPENSSL")
