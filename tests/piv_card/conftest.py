"""The virtual card for its own tests; without yubikit there is nothing to test it by."""

import importlib.util

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

HERE = importlib.util.find_spec("yubikit") and importlib.util.find_spec("smartcard")
# ``test_packages_of_the_card.py`` says, once, what is missing.
collect_ignore_glob = [] if HERE else ["test_card_*.py"]


@pytest.fixture(scope="session")
def large_keys():
    """Give RSA keys that would take long to make, by the card's numbers of their types."""
    return {
        0x05: [rsa.generate_private_key(65537, 3072)] * 9,
        0x16: [rsa.generate_private_key(65537, 4096)] * 9,
    }
