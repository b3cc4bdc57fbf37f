"""What people copy into clients: words that every command line takes for what they are."""

import pytest


@pytest.mark.parametrize("octet", [0xF8, 0xFB])
def test_no_word_of_an_external_account_begins_with_a_minus_sign(desk, monkeypatch, octet):
    """Certbot takes ``--eab-kid -x`` for two options; one in thirty accounts had such a word."""
    answers = []

    def entropy(octets):
        answers.append(octets)
        first = octet if len(answers) % 3 else 0
        return bytes([first]) + bytes([octet]) * (octets - 1)

    server = desk.office.externals._server  # noqa: SLF001 - the dice of this deed alone
    monkeypatch.setattr(desk.office.externals, "_server", WithDice(server, entropy))

    made = desk.office.externals.create(desk.policy, "test")

    assert ("A", "A") == (made.kid[0], made.hmac[0])
    assert 6 == len(answers)


class WithDice:
    """A server with other dice."""

    def __init__(self, server, entropy):
        self._server, self.entropy = server, entropy

    def __getattr__(self, name):
        return getattr(self._server, name)
