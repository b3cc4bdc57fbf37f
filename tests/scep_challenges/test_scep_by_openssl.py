"""Each challenge method by requests that openssl built, under each kind of authority."""

import re
from itertools import count

import pytest
from cryptography import x509

from pikaserver.testing.client import ServiceClient
from pikaserver.testing.requirements import require_program
from pikaserver.testing.servers import make_server
from pikaserver_scep.challenges.accounts import NdesAccounts
from pikaserver_scep.challenges.static import Passphrases
from pikaserver_scep.plugin import register_services
from tests.scep.device import CERT_POLL, FAILURE, PENDING, PKCS_REQ, SUCCESS, Device, House
from tests.scep.openssl_device import OpensslDevice
from tests.scep.test_scep_whole import add_authority
from tests.scep_challenges.elsewhere import environment_of
from tests.scep_challenges.intune_stand_in import IntuneState

AUTHORITIES = {"rsa": "rsa-2048", "ec": "ec-p256", "ml-dsa": "ml-dsa-44"}
METHODS = ("one-time", "static", "ndes", "intune", "webhook", "manual")
_SERVICES = {"intune": {"intune": "contoso"}, "webhook": {"webhook": "inventory"}}


@pytest.fixture(scope="module")
def house(places, tls_file, tmp_path_factory):
    """Give a server with three authorities, and a template for each method under each."""
    folder = tmp_path_factory.mktemp("openssl")
    templates = [(authority, method) for authority in AUTHORITIES for method in METHODS]
    rules = {
        f"{authority}-{method}": {"methods": [method], **_SERVICES.get(method, {})}
        for authority, method in templates
    }
    environment = environment_of(rules, folder, places, tls_file)
    with make_server(folder / "data", environment=environment) as server:
        made = House(server)
        for authority, kind in AUTHORITIES.items():
            add_authority(server, authority, kind)
            made.set("scep.enabled=true", template=authority)
        for authority, method in templates:
            document = server.templates.document(authority)
            server.templates.save(f"{authority}-{method}", document, "test")
        yield made


@pytest.fixture(scope="module")
def client(house, tmp_path_factory):
    openssl = require_program("openssl", package="openssl")
    return Client(house, OpensslDevice(openssl, tmp_path_factory.mktemp("device")))


class Client:
    """A device whose messages openssl builds, and whose answers it opens."""

    def __init__(self, house, device):
        self._house, self._device, self._numbers = house, device, count()
        self.transaction = ""

    def asks_first(self, template, password, *, get):
        """Return the answer to a request in a transaction of its own."""
        self.transaction = f"openssl-{next(self._numbers)}"
        return self._sent(template, PKCS_REQ, self._device.csr(password), get=get)

    def polls(self, template, *, get):
        """Return the answer to a question how it stands."""
        return self._sent(template, CERT_POLL, b"who asks is in the signature", get=get)

    def certificate(self, reply):
        return self._device.certificate_in(self._device.opened(reply.envelope))

    def _sent(self, template, kind, content, *, get):
        path = f"/scep/{template}"
        envelope = self._device.seal(content, self._house.ca_certificates(path)[0])
        message = self._device.message(kind, envelope, self.transaction)
        answer = (self._house.get if get else self._house.post)(message, path)
        return Device().read(answer.content)


def from_the_page(house, template):
    """Fetch a password as management servers do."""
    accounts = NdesAccounts(house.server)
    account = accounts.create(template, "test")
    answer = ServiceClient(register_services(house.server)[1]).send(
        "GET", f"/scep/{template}/mscep_admin/", user=(template, account.password)
    )
    accounts.withdraw(template, "test")
    return re.search(r"password is: <B> (\S*)", answer.content.decode("utf-16"))[1]


PASSWORDS = {
    "one-time": lambda house, template: house.challenge(template),
    "static": lambda house, template: Passphrases(house.server).create(template, "test").passphrase,
    "ndes": from_the_page,
    "intune": lambda _house, _template: "intune-blob",
    "webhook": lambda _house, _template: "asset 7",
    "manual": lambda _house, _template: None,
}


def approve(house, template):
    (waiting,) = [one for one in house.server.requests.list() if one.template == template]
    house.server.requests.decide(waiting.id, "officer", approve=True)


@pytest.mark.parametrize("get", [True, False], ids=["GET", "POST"])
@pytest.mark.parametrize("authority", AUTHORITIES)
def test_openssl_is_let_in_by_each_method(house, places, client, authority, get):
    """And by none with a wrong password; a person decides once on the same request."""
    for method in METHODS if get else METHODS[:-1]:
        template = f"{authority}-{method}"
        places[0].state = IntuneState()
        places[0].state.refuse["validateRequest"] = "ChallengeDecryptionError"
        places[1].answer = 200, b'{"allow": false}'
        refused = client.asks_first(template, "guess-guess", get=get)
        places[0].state.refuse.clear()
        places[1].answer = 200, b'{"allow": true}'

        reply = client.asks_first(template, PASSWORDS[method](house, template), get=get)
        if method == "manual":
            assert PENDING == reply.status
            approve(house, template)
            reply = client.polls(template, get=get)

        assert (FAILURE, SUCCESS) == (refused.status, reply.status), (method, reply.text)
        issued = x509.load_der_x509_certificate(client.certificate(reply))
        issuer = house.server.authorities.get(authority).generations[0].certificate
        issued.verify_directly_issued_by(x509.load_der_x509_certificate(issuer))
