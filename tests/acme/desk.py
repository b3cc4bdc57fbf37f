"""A client of our own: it signs what it is told to, right or wrong, and sends it."""

import base64
import itertools
import json
from dataclasses import dataclass, field, replace

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from joserfc import jws
from joserfc.jwk import ECKey

from pikaserver_acme.office import office
from pikaserver_acme.policies.rules import read_rules
from pikaserver_acme.validation.question import Verdict

ORIGIN = "https://acme.example.test"
ENVIRONMENT = {
    "PIKASERVER__SERVER__BASE_URLS__ACME": ORIGIN,
}
JOSE = {"Content-Type": "application/jose+json"}
URN = "urn:ietf:params:acme:error:"
_numbers = itertools.count(1)


class Registry(jws.JWSRegistry):
    """Signs with whatever is asked, headers as long as they are."""

    max_header_length = 1 << 20

    def get_alg(self, name):
        return self.algorithms[name]


def b64(octets):
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


def csr_of(*names, common_name=None, key=None, ips=()):
    """Return a CSR in DER."""
    key = key or ec.generate_private_key(ec.SECP256R1())
    subject = [] if common_name is None else [x509.NameAttribute(NameOID.COMMON_NAME, common_name)]
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name(subject))
    general = [x509.DNSName(name) for name in names] + [x509.IPAddress(ip) for ip in ips]
    if general:
        builder = builder.add_extension(x509.SubjectAlternativeName(general), critical=False)
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.DER)


def dns_names(*names):
    return [{"type": "dns", "value": name} for name in names]


class HeldValidators:
    """Begins nothing: the test says what comes of a challenge."""

    def __init__(self):
        self.begun = []
        self.caa = Verdict()
        self.asked_caa = []

    def begin(self, challenge_id):
        self.begun.append(challenge_id)

    def look_at_caa(self, asked):
        self.asked_caa += asked
        return self.caa


@dataclass
class Desk:
    """One policy of a server, and a client with one account key."""

    server: object
    web: object
    policy: str
    key: ECKey = field(default_factory=lambda: ECKey.generate_key("P-256"))
    kid: str | None = None
    nonce: str | None = None

    @classmethod
    def make(cls, server, web, **rules):
        """Give a client of a fresh policy; without rules everything is pre-approved."""
        name = f"policy-{next(_numbers)}"
        rules = {"template": "web"} | (rules or {"pre-approved": ["*"]})
        office(server.for_plugins).policies.put(name, read_rules(rules), "test")
        return cls(server, web, name)

    @property
    def office(self):
        return office(self.server.for_plugins)

    def another(self):
        """Return another client of the same policy, with a key of its own."""
        return replace(self, key=ECKey.generate_key("P-256"), kid=None)

    def url(self, path):
        return path if path.startswith("https://") else f"{ORIGIN}/acme/{self.policy}/{path}"

    def fresh(self):
        """Return a nonce."""
        path = f"/acme/{self.policy}/new-nonce"
        return self.web.send("HEAD", path).headers["replay-nonce"]

    def header(self, path, **changes):
        """Return the protected header of a request; ``None`` leaves a member out."""
        nonce = changes.get("nonce") or self.fresh()
        header = {"alg": "ES256", "url": self.url(path), "nonce": nonce}
        if self.kid is None:
            header["jwk"] = self.key.as_dict(private=False)
        else:
            header["kid"] = self.kid
        return {name: value for name, value in (header | changes).items() if value is not None}

    def sign(self, header, payload, key=None):
        """Return an envelope; a payload of ``None`` is empty."""
        octets = b"" if payload is None else json.dumps(payload).encode()
        return self.sign_octets(header, octets, key)

    def sign_octets(self, header, octets, key=None):
        """Return an envelope around any octets."""
        registry = Registry(algorithms=[header["alg"]], strict_check_header=False)
        member = {"protected": header}
        return jws.serialize_json(member, octets, key or self.key, registry=registry)

    def send(self, path, envelope, headers=JOSE):
        """Send an envelope, or octets, to a resource."""
        body = envelope if isinstance(envelope, bytes) else json.dumps(envelope).encode()
        return self.web.send("POST", self.url(path).removeprefix(ORIGIN), body, headers=headers)

    def post(self, path, payload=None, **changes):
        """Sign and send as a client should."""
        return self.send(path, self.sign(self.header(path, **changes), payload))

    def register(self, **wish):
        """Open an account and keep its URL."""
        answer = self.post("new-account", {"termsOfServiceAgreed": True} | wish)
        if answer.status_code in {200, 201}:
            self.kid = answer.headers["location"]
        return answer

    def order(self, *names, **wish):
        """Order for these DNS names."""
        return self.post("new-order", {"identifiers": dns_names(*names)} | wish)

    def finalize(self, order, csr):
        """Send a CSR for an order."""
        return self.post(order.json["finalize"], {"csr": b64(csr)})

    def certificate(self, *names):
        """Return the PEM of a certificate, from order to download."""
        done = self.finalize(self.order(*names), csr_of(*names))
        return self.post(done.json["certificate"]).text

    def challenge(self, order, kind="dns-01", index=0):
        """Return one challenge of an order."""
        found = self.post(order.json["authorizations"][index]).json
        return next(one for one in found["challenges"] if one["type"] == kind)

    def settle(self, challenge, verdict=None):
        """Begin a challenge and let validation come to this verdict."""
        self.post(challenge["url"], {})
        number = int(challenge["url"].rpartition("/")[2])
        return self.office.proving.settle(number, verdict or Verdict(log=("looked",)))


def problem(answer):
    """Return the last word of a problem's type."""
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    return answer.json["type"].removeprefix(URN)
