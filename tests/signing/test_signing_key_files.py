"""Key files and credentials: read when they are what they should be, else one sentence."""

import os

import pytest

from pikaserver.api.errors import ConfigurationError
from pikaserver.signing.key_files import (
    create_key_file,
    read_key_credential,
    read_key_file,
    read_passphrase_credential,
)


def test_a_made_key_file_is_read_again(tmp_path, entropy):
    """For its owner's eyes only, and never overwritten."""
    path = tmp_path / "key"

    key = create_key_file(path, entropy)

    assert key == read_key_file(path)
    assert 0o600 == path.stat().st_mode & 0o777
    with pytest.raises(ConfigurationError, match="cannot be made: File exists"):
        create_key_file(path, entropy)
    with pytest.raises(ConfigurationError, match="No such file"):
        create_key_file(tmp_path / "none" / "key", entropy)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o601])
def test_a_key_file_that_others_may_use_is_refused(tmp_path, entropy, mode):
    """Whatever the right: read, write or execute."""
    path = tmp_path / "key"
    create_key_file(path, entropy)
    path.chmod(mode)

    with pytest.raises(ConfigurationError, match="others may use the key file"):
        read_key_file(path)


@pytest.mark.parametrize(
    ("content", "key"),
    [
        (b"\x07" * 32, b"\x07" * 32),
        (b"07" * 32, b"\x07" * 32),
        (b"07" * 32 + b"\n", b"\x07" * 32),
        (b"0A" * 32 + b"\r\n", b"\x0a" * 32),
    ],
)
def test_a_key_is_octets_or_hexadecimal(tmp_path, content, key):
    """As ``openssl rand`` writes it, with and without ``-hex``."""
    path = tmp_path / "key"
    path.write_bytes(content)
    path.chmod(0o400)

    assert key == read_key_file(path)
    assert key == read_key_credential(tmp_path, "key")


@pytest.mark.parametrize(
    "content", [b"", b"07" * 31, b"x" * 64, b"\x07" * 33, b"\xff" * 64, b"0" * 2000]
)
def test_what_is_no_key_is_refused_without_showing_it(tmp_path, content):
    """The sentence holds nothing of the file."""
    path = tmp_path / "key"
    path.write_bytes(content)
    path.chmod(0o600)

    for read in (lambda: read_key_file(path), lambda: read_key_credential(tmp_path, "key")):
        with pytest.raises(ConfigurationError) as refused:
            read()
        assert "xxxx" not in str(refused.value)


def test_credentials_are_read_by_name(tmp_path):
    """The system decides who may read its folder; a newline at the end is the editor's."""
    (tmp_path / "passphrase").write_bytes(b" with spaces \n")
    (tmp_path / "empty").write_bytes(b"\n")
    os.chmod(tmp_path / "passphrase", 0o440)  # noqa: PTH101 - as systemd sets it

    assert b" with spaces " == read_passphrase_credential(tmp_path, "passphrase")
    for name in ("empty", "none"):
        with pytest.raises(ConfigurationError, match=name):
            read_passphrase_credential(tmp_path, name)
