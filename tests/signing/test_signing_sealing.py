"""Keys at rest: sealed for one row and one secret; the secret is nowhere to be seen."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pikaserver.api.errors import ConfigurationError, KeyUnavailable
from pikaserver.signing.sealing import KEY_OCTETS, FileKey, PassphraseKey

DATA_KEY = bytes(range(100, 132))
CANARY = b"correct horse battery staple"


class Asked:
    """A prompt that counts."""

    def __init__(self, passphrase):
        self.passphrase = passphrase
        self.times = 0

    def __call__(self):
        """Return the passphrase."""
        self.times += 1
        return self.passphrase


@pytest.fixture(scope="module")
def sealed_by_passphrase(module_entropy):
    return PassphraseKey(lambda: CANARY, module_entropy).seal(DATA_KEY, b"row")


def test_a_passphrase_opens_what_it_sealed(sealed_by_passphrase, entropy):
    """In another process, and asked for once."""
    asked = Asked(CANARY)
    key = PassphraseKey(asked, entropy)

    assert DATA_KEY == key.open(sealed_by_passphrase, b"row")
    assert DATA_KEY == key.open(key.seal(DATA_KEY, b"other"), b"other")
    assert 1 == asked.times


def test_the_cost_stands_beside_the_salt(sealed_by_passphrase):
    """RFC 9106: 64 MiB, three passes; a later release may ask for more."""
    assert 65_536 <= int.from_bytes(sealed_by_passphrase[1:5], "big")
    assert 3 == sealed_by_passphrase[5]


def test_known_salts_are_used_again(sealed_by_passphrase, entropy):
    """One derivation serves all keys, so that a start with many keys is quick."""
    key = PassphraseKey(lambda: CANARY, entropy)
    key.open(sealed_by_passphrase, b"row")

    assert sealed_by_passphrase[:23] == key.seal(DATA_KEY, b"x")[:23]


def test_a_wrong_passphrase_gets_one_sentence(sealed_by_passphrase, entropy):
    """It is forgotten, so the next try asks again and nothing is sealed with it."""
    asked = Asked(b"wrong")
    key = PassphraseKey(asked, entropy)

    with pytest.raises(KeyUnavailable) as refused:
        key.open(sealed_by_passphrase, b"row")

    assert "the passphrase does not open the stored keys" == str(refused.value)
    asked.passphrase = CANARY
    assert DATA_KEY == key.open(sealed_by_passphrase, b"row")


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(at=st.integers(0, 60), flip=st.integers(1, 255))
def test_nothing_opens_that_was_altered(kek, at, flip):
    """AES-GCM covers every octet; so does the associated data."""
    sealed = kek.seal(DATA_KEY, b"row")
    bent = bytes([*sealed[:at], sealed[at] ^ flip, *sealed[at + 1 :]])

    for octets, associated in ((bent, b"row"), (sealed, b"low"), (sealed[:at], b"row")):
        with pytest.raises(KeyUnavailable):
            kek.open(octets, associated)


@pytest.mark.parametrize(
    "damage",
    [
        lambda s: s[:1] + b"\xff\xff\xff\xff" + s[5:],
        lambda s: s[:5] + b"\xff" + s[6:],
        lambda s: s[:5] + b"\0" + s[6:],
        lambda s: s[:6] + b"\0" + s[7:],
        lambda s: s[:6] + b"\xff" + s[7:],
        lambda s: s[:10],
        lambda s: s[:1],
        lambda s: s[:23],
    ],
)
def test_damaged_parameters_cost_nothing(sealed_by_passphrase, entropy, damage):
    """Nobody takes all memory by writing into the database."""
    with pytest.raises(KeyUnavailable):
        PassphraseKey(lambda: CANARY, entropy).open(damage(sealed_by_passphrase), b"row")


def test_passphrase_and_key_file_are_not_mixed_up(sealed_by_passphrase, kek, entropy):
    """The sentence names what sealed the keys."""
    with pytest.raises(KeyUnavailable, match="sealed with a passphrase"):
        kek.open(sealed_by_passphrase, b"row")
    with pytest.raises(KeyUnavailable, match="sealed with a key file"):
        PassphraseKey(lambda: CANARY, entropy).open(kek.seal(DATA_KEY, b"row"), b"row")


def test_nonces_never_come_twice(kek):
    """The same key sealed again is other octets."""
    assert 50 == len({kek.seal(DATA_KEY, b"row") for _ in range(50)})


def test_a_key_of_another_length_is_refused(entropy):
    """AES-256 or nothing."""
    with pytest.raises(ConfigurationError):
        FileKey(bytes(16), entropy)


def test_no_secret_shows_itself(sealed_by_passphrase, entropy):
    """Canary: not in what prints these objects, nor in what is stored."""
    by_passphrase = PassphraseKey(lambda: CANARY, entropy)
    by_passphrase.open(sealed_by_passphrase, b"row")
    by_file = FileKey(CANARY + b"0123", entropy)
    assert KEY_OCTETS == len(CANARY + b"0123")

    for shown in (by_passphrase, by_file):
        assert CANARY.decode() not in f"{shown} {shown!r}"
    assert CANARY not in sealed_by_passphrase
    assert DATA_KEY not in sealed_by_passphrase
