"""What one server has of ACME, put together once."""

from weakref import WeakKeyDictionary

from pikaserver.api.server import Server
from pikaserver_acme.accounts import Accounts
from pikaserver_acme.asking import Asking
from pikaserver_acme.chains import Chains
from pikaserver_acme.external_accounts import ExternalAccounts
from pikaserver_acme.finalizing import Finalizing
from pikaserver_acme.limits import RateLimiter
from pikaserver_acme.nonces import Nonces
from pikaserver_acme.ordering import Ordering
from pikaserver_acme.policies.directory import Policies
from pikaserver_acme.proving import Proving
from pikaserver_acme.resources.door import Door
from pikaserver_acme.revoking import Revoking
from pikaserver_acme.settings import AcmeSettings
from pikaserver_acme.successors import Successors
from pikaserver_acme.validation.validators import Validation


class Office:
    """The deeds of ACME over one server's collaborators."""

    def __init__(self, server: Server) -> None:
        limiter = RateLimiter(server.clock)
        self.server = server
        self.nonces = Nonces(server.database, server.secrets, server.clock, server.entropy)
        self.door = Door(server, self.nonces)
        self.policies = Policies(server)
        self.externals = ExternalAccounts(server, self.policies)
        self.accounts = Accounts(server, self.externals, limiter)
        self.ordering = Ordering(server, limiter)
        self.proving = Proving(server, self.door.default_places)
        self.validators = Validation(server, self.proving, server.settings(AcmeSettings).validation)
        self.asking = Asking(server, self.validators)
        self.successors = Successors(server, self.asking)
        self.finalizing = Finalizing(server, self.asking, self.successors)
        self.revoking = Revoking(server)
        self.chains = Chains(server)


_offices: WeakKeyDictionary[Server, Office] = WeakKeyDictionary()


def office(server: Server) -> Office:
    """Return the office of a server; each hook of one server works with the same."""
    if server not in _offices:
        _offices[server] = Office(server)
    return _offices[server]
