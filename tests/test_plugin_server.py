"""Hooks are given a server that does what the API names, and has nothing else to offer."""

import inspect

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from pikaserver.api.certificates import Authorities, Certificates
from pikaserver.api.codes import EnrollmentCodes
from pikaserver.api.crls import Crls
from pikaserver.api.devices import Devices
from pikaserver.api.generated_keys import KeyGenerator
from pikaserver.api.issuance import EnrollmentRequest, Issued, Requester, Requests
from pikaserver.api.renewal import Renewals
from pikaserver.api.server import Server, Templates
from pikaserver.api.storage import Database
from pikaserver.asn1.csr import read_csr
from pikaserver.plugin_manager import Plugins
from pikaserver.plugin_server import PluginServer
from pikaserver.testing.servers import make_server

ROLES = {
    "authorities": Authorities,
    "certificates": Certificates,
    "codes": EnrollmentCodes,
    "crls": Crls,
    "database": Database,
    "devices": Devices,
    "renewals": Renewals,
    "key_generator": KeyGenerator,
    "requests": Requests,
    "templates": Templates,
}


def public(thing):
    return {name for name in dir(thing) if not name.startswith("_")}


def named_by(protocol):
    return {name for name in vars(protocol) if not name.startswith("_")}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with make_server(tmp_path_factory.mktemp("narrow") / "data") as made:
        yield made


def test_it_offers_the_protocol_and_nothing_else(server):
    """No way leads from here to a signer, the audit trail or the ceremonies."""
    assert named_by(Server) == public(server.for_plugins)


@pytest.mark.parametrize(("name", "role"), ROLES.items())
def test_so_does_everything_in_it(server, name, role):
    """Behind ``crls`` stand the signers, behind ``templates`` the right to change them."""
    assert named_by(role) == public(getattr(server.for_plugins, name))


def test_every_hook_is_given_that_one():
    """The type says so, and mypy refuses the whole server."""
    hooks = [value for name, value in vars(Plugins).items() if not name.startswith("_")]
    given = [inspect.signature(hook).parameters for hook in hooks if inspect.isfunction(hook)]

    servers = {one["server"].annotation for one in given if "server" in one}
    assert {PluginServer} == servers


def test_what_it_offers_works(server):
    narrow = server.for_plugins
    subject = x509.Name.from_rfc4514_string("CN=narrow.example.test")
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
    signed = builder.sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())
    csr = read_csr(signed.public_bytes(Encoding.DER))

    issued = narrow.enroll(EnrollmentRequest(csr, Requester("t", "operator"), "device", "cli"))

    assert isinstance(issued, Issued)
    assert issued.record == narrow.certificates.get(issued.record.id)
    assert narrow.crls.issue("issuing")[0] == narrow.crls.latest("issuing")
    assert narrow.templates.get("device").name in narrow.templates.names()
