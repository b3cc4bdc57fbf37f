"""Which names hold secrets, and how texts are freed of them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pikaserver.secrecy import is_secret, without_secrets


@pytest.mark.parametrize(
    ("name", "secret"),
    [
        ("password", True),
        ("smtp-password", True),
        ("challenge_password", True),
        ("API_TOKEN", True),
        ("pin", True),
        ("token-lifetime", False),
        ("pin-file", False),
        ("key-encryption-key", False),
        ("pinned", False),
        ("", False),
    ],
)
def test_the_last_word_of_a_name_decides(name, secret):
    """A lifetime of tokens is no secret; the token is."""
    assert secret is is_secret(name)


@pytest.mark.parametrize(
    "text",
    [
        "postgresql://u:CANARY@h/db",
        "cannot connect to postgresql+psycopg://u:CANARY@h/db: refused",
        "https://:CANARY@h",
        "postgresql://h/db?user=x&password=CANARY&a=b",
        "postgresql://u:CAN@ARY@h/db",
        "postgresql://u:CAN/ARY@h/db",
        "postgresql://u:CAN?ARY@h/db",
        "postgresql://u:CAN#ARY@h/db",
        "-----BEGIN PRIVATE KEY-----\nCANARY\n-----END PRIVATE KEY-----\n",
        "x -----BEGIN ENCRYPTED PRIVATE KEY-----\nCANARY",
    ],
)
def test_secrets_leave_no_trace_in_a_text(text):
    """Passwords within URLs and private keys, whole or cut off."""
    masked = without_secrets(text)

    assert "CAN" not in masked
    assert "ARY" not in masked.replace("PRIMARY", "")


@given(st.text())
def test_texts_without_secrets_are_readable(text):
    """Masking never fails, and masks nothing twice."""
    once = without_secrets(text)

    assert once == without_secrets(once)
