"""Who is given what seals keys, before there is a server."""

from types import SimpleNamespace

from pikaserver.api.signing import KeyReference
from pikaserver.ground import signer_registry

SERVER = object()


class TwoFaced:
    """A backend that says another scheme now than when it was asked."""

    scheme = "software"

    def __init__(self):
        self.given = []

    def seal_with(self, secrets):
        """Take what seals the keys of a scheme; here that is the scheme's name."""
        self.given.append(secrets)


def test_a_backend_gets_what_seals_keys_of_the_scheme_that_it_was_loaded_by():
    """A plugin that changes its answer later gets no other one's secrets, and no other name."""
    backend = TwoFaced()
    plugins = SimpleNamespace(signer_backends=lambda _: [("own", backend)])
    ground = SimpleNamespace(plugins=plugins, key_secrets=lambda scheme: scheme)

    registry = signer_registry(ground, SERVER)

    assert ["own"] == backend.given
    assert backend is registry.backend(KeyReference.parse("own:key"))
