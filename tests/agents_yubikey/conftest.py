"""A desk with two authorities on one card, shared by the tests of a file."""

import pytest

from tests.agents_yubikey.desk import desk


@pytest.fixture(scope="module")
def card_desk(tmp_path_factory):
    """Give a root in slot 9c and an issuing authority in slot 9d; the agent runs."""
    with desk(tmp_path_factory.mktemp("piv")) as made:
        made.root_record = made.ca(
            "hw-root", "--key", "agent:vault-a/9c?profile=root", "--key-type", "ec-p384"
        )
        made.ca("hw", "--parent", "hw-root", "--key", "agent:vault-a/9d", "--key-type", "ec-p256")
        made.wish = made.template("hw")
        yield made
