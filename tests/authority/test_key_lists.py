"""Lists of bad keys are read in three formats; a missing or broken one stops the start."""

from hashlib import sha1, sha256

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, mldsa, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from pikaserver.api.errors import ConfigurationError
from pikaserver.authority.key_policy.lists import built_in_key_list, read_key_list

# The modulus and its hash are test data of Let's Encrypt's boulder (goodkey/weak_test.go); the
# key was made by Debian's broken OpenSSL.
DEBIAN = int(
    "D673252AF6723C3F72529403EAB7C30DEF3C52F97E799825F4A70191C616ADCF1ECE1113F1625971074C492C5920"
    "25FDEADBDB146A081826BDF0D77C3C913DCF1B6F0B3B78F5108D2E493AD0EEE8CA5C021711ADC13D358E61133870"
    "FCD19C8E5C22403959782AA82E72AEE53A3D491E3912CE27B27E1A85EA69C19A527D28F7934C9823B7E56FDD657D"
    "AC83FDC65BB22A98D843DF73238919781B714C81A5E2AFEC71F5C54AA2A27C590AD94C03C1062D50EFCFFAC743E3"
    "C8A3AE056846A1D756EB862BF4224169D467C35215ADE0AFCC11E85FE629AFB802C4786FF2E9C929BCCF502B3D3B"
    "8876C6A11785CC398B389F1D86BDD9CB0BD4EC13956EC3FA270D",
    16,
)
DEBIAN_SUFFIX = "8df20e6961a16398b85a"


def octets(key):
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


@pytest.fixture(scope="module")
def keys():
    """One key of each family; the first is the known bad one."""
    return [
        rsa.RSAPublicNumbers(65537, DEBIAN).public_key(),
        rsa.RSAPublicNumbers(65537, DEBIAN + 2).public_key(),
        ec.derive_private_key(4711, ec.SECP256R1()).public_key(),
        ed25519.Ed25519PrivateKey.from_private_bytes(b"\x05" * 32).public_key(),
        mldsa.MLDSA44PrivateKey.from_seed_bytes(b"\x05" * 32).public_key(),
    ]


def found(path, keys):
    bad = read_key_list(path)
    return [bad.has(octets(key), key) for key in keys]


def test_debians_list_is_read(tmp_path, keys):
    """openssl-vulnkey(1): the last 20 digits of SHA-1 over what openssl prints of a modulus."""
    path = tmp_path / "blacklist.RSA-2048"
    path.write_text(f"# made by hand\n{'0' * 20}\n{DEBIAN_SUFFIX}\n{'f' * 20}\n")

    assert sha1(f"Modulus={DEBIAN:X}\n".encode()).hexdigest().endswith(DEBIAN_SUFFIX)  # noqa: S324 - the format's own
    assert [True, False, False, False, False] == found(path, keys)


def test_our_own_list_is_read(tmp_path, keys):
    """SHA-256 of the SubjectPublicKeyInfo, one key per line, with comments."""
    path = tmp_path / "blocked.txt"
    lines = [sha256(octets(key)).hexdigest() for key in keys[2:4]]
    path.write_text(f"# ours\n\n{lines[0].upper()}  # stolen in March\n{lines[1]}\n")

    assert [False, False, True, True, False] == found(path, keys)


def badkeys_record(value, collection=1):
    return sha256(value).digest()[:15] + bytes([collection])


def test_badkeys_list_is_read(tmp_path, keys):
    """BLOCKLISTFORMAT.md of badkeys: modulus, x, or raw key, without leading zeros, hashed."""
    point = keys[2].public_numbers().x
    values = [
        DEBIAN.to_bytes(256, "big"),
        point.to_bytes((point.bit_length() + 7) // 8, "big"),
        keys[3].public_bytes_raw().lstrip(b"\x00"),
        keys[4].public_bytes_raw(),
        *(bytes([number]) for number in range(100)),
    ]
    path = tmp_path / "blocklist.dat"
    path.write_bytes(b"".join(sorted(badkeys_record(value) for value in values)))

    assert [True, False, True, True, True] == found(path, keys)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "empty"),
        (b"# nothing\n", "neither 20"),
        (b"xyz\n", "not hexadecimal"),
        (b"00\n", "neither 20"),
        (b"0" * 20 + b"\n" + b"0" * 64 + b"\n", "neither 20"),
        (b"\xff" * 17, "16-octet records"),
        (b"\xff" * 16 + b"\x00" * 16, "16-octet records"),
    ],
)
def test_a_broken_list_stops_the_start(tmp_path, content, why):
    """A list that is not one must not pass for an empty one."""
    path = tmp_path / "list"
    path.write_bytes(content)

    with pytest.raises(ConfigurationError, match=why):
        read_key_list(path)


def test_a_missing_list_stops_the_start(tmp_path):
    """The text says which file."""
    with pytest.raises(ConfigurationError, match=r"no-such-list cannot be read"):
        read_key_list(tmp_path / "no-such-list")
    with pytest.raises(ConfigurationError, match="cannot be read"):
        read_key_list(tmp_path)


def test_the_built_in_list_is_there(keys):
    """It travels with the package and knows the published Debian key by itself."""
    bad = built_in_key_list()

    assert len(bad) > 40
    assert bad.has(octets(keys[0]), keys[0])
    assert not bad.has(octets(keys[2]), keys[2])
