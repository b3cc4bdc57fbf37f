"""SHA-1 and MD5 count only where somebody says so."""

import subprocess
from dataclasses import replace

import pytest

from pikaserver.api.errors import MalformedRequest
from pikaserver.asn1.csr import read_csr, verify_possession
from pikaserver.testing.requirements import require_program


@pytest.fixture(scope="module", params=["sha1", "md5"])
def old(request, tmp_path_factory):
    """Give a request signed with a weak hash, and the hash's name."""
    folder = tmp_path_factory.mktemp("weak")
    command = [
        require_program("openssl", package="openssl"), "req", "-new", "-newkey", "rsa:2048",
        "-noenc", "-keyout", folder / "key.pem", "-subj", "/CN=old", "-outform", "DER",
        f"-{request.param}",
    ]  # fmt: skip
    return read_csr(subprocess.run(command, capture_output=True, check=True).stdout), request.param


def test_a_weak_hash_is_refused_unless_it_is_named(old):
    """The other one does not count for it."""
    csr, name = old
    other = {"sha1": "md5", "md5": "sha1"}[name]

    verify_possession(csr, weak=[name])
    for weak in ((), (other,)):
        with pytest.raises(MalformedRequest, match="broken"):
            verify_possession(csr, weak=weak)


def test_a_weak_signature_by_another_key_is_refused(old):
    """A weak hash is no licence."""
    csr, name = old
    with pytest.raises(MalformedRequest, match="not signed by the key"):
        verify_possession(replace(csr, tbs=csr.tbs + b"x"), weak=[name])
