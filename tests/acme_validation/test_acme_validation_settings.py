"""What settings and policies say of validation is checked when it is said."""

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from pydantic import ValidationError

from pikaserver_acme.policies.rules import PolicyRules
from pikaserver_acme.validation.settings import ValidationSettings
from tests.acme_validation.attesters import Maker2


@pytest.mark.parametrize(
    "wrong",
    [
        {"reachable": ("10.0.0.1/8",)},
        {"reachable": ("everything",)},
        {"dns": ("127.0.0.1:0",)},
        {"dns": ("127.0.0.1:dns",)},
        {"vantage_points": ({"name": "there", "source": "eth0"},)},
        {"vantage_points": ({"name": "there", "dns": ("a:b:c:d",)},)},
        {"attestation_roots": {"tpm": ("x",)}},
        {"attestation_roots": {"packed": ()}},
    ],
)
def test_rules_that_cannot_be_followed_are_refused(wrong):
    """Not by the first client."""
    with pytest.raises(ValidationError):
        PolicyRules(template="web", **wrong)


def test_an_authority_that_is_no_root_is_not_trusted_alone():
    """A policy that names only that would refuse everything."""
    maker = Maker2("Stand-in")
    below = maker.authority.public_bytes(Encoding.PEM).decode()

    with pytest.raises(ValidationError, match="no self-signed certificate"):
        PolicyRules(template="web", attestation_roots={"tpm": (below,)})
    rules = PolicyRules(template="web", attestation_roots={"tpm": (below + maker.roots[0],)})
    assert {"tpm": (below + maker.roots[0],)} == rules.validation().attestation_roots


def test_ranges_of_the_settings_are_ranges():
    """``never-reach`` is written like a policy's ranges."""
    with pytest.raises(ValidationError):
        ValidationSettings(**{"never-reach": ["10.0.0.1/8"]})
