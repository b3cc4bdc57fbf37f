"""Callers of the REST door of a server without sockets; each answer is held to OpenAPI."""

import base64
import json
import re
from dataclasses import dataclass, field

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from falcon.testing import Result
from jsonschema import Draft202012Validator
from sqlalchemy import func, select

from pikaserver.api.certificates import CertificateQuery, CertificateRecord
from pikaserver.authority.templates.starters import starter
from pikaserver.server import PkiServer
from pikaserver.storage.tables import certificate
from pikaserver.testing.client import ServiceClient
from pikaserver.testing.clock import FrozenClock

ROOT = "/api/v1"
JSON = {"Content-Type": "application/json"}


def make_csr(common_name="plc-21", *names, key=None):
    """Return a request in DER."""
    key = key or ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
    if names:
        alternative = x509.SubjectAlternativeName([x509.DNSName(name) for name in names])
        builder = builder.add_extension(alternative, critical=False)
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.DER)


def pem_request(der):
    """Return a request in PEM."""
    return x509.load_der_x509_csr(der).public_bytes(Encoding.PEM).decode()


class Described:
    """Holds answers to what ``openapi.json`` says of them."""

    def __init__(self, document) -> None:
        self.document = document
        self._paths = {
            re.compile(re.sub(r"\{[^}]+\}", "[^/]+", path)): operations
            for path, operations in document["paths"].items()
        }

    def check(self, method: str, path: str, answer: Result) -> None:
        """Fail where an answer is not described, or of another form."""
        operation = self._operation(method, path.partition("?")[0])
        content = answer.headers.get("content-type", "").partition(";")[0]
        assert content, (method, path, answer.status)
        described = {"application/problem+json": {"schema": self._problem()}}
        if operation is not None:
            answers = operation["responses"]
            described = answers.get(str(answer.status_code), answers["default"])["content"]
        assert content in described, (method, path, answer.status, content)
        if content.endswith("json") and method != "HEAD":
            schema = {**described[content]["schema"], "components": self.document["components"]}
            Draft202012Validator(schema).validate(answer.json)

    def _operation(self, method, path):
        for pattern, operations in self._paths.items():
            if pattern.fullmatch(path):
                return operations.get(method.lower().replace("head", "get"))
        return None

    def _problem(self):
        return {"$ref": "#/components/schemas/ProblemDocument"}


@dataclass(frozen=True)
class Door:
    """The server, and callers of its REST door."""

    server: PkiServer
    clock: FrozenClock
    client: ServiceClient
    described: Described = field(repr=False)

    def send(self, method: str, path: str, body: bytes = b"", **who) -> Result:
        """Send a request; the answer is checked against its description."""
        answer = self.client.send(method, f"{ROOT}{path}", body, **who)
        self.described.check(method, f"{ROOT}{path}", answer)
        return answer

    def ask(self, csr: bytes, user=None, *, template="device", headers=(), **rest) -> Result:
        """Ask for a certificate in JSON."""
        shown = rest.pop("certificate", None)
        wish = {"template": template, "csr": base64.b64encode(csr).decode(), **rest}
        return self.post("/certificates", wish, headers=headers, user=user, certificate=shown)

    def post(self, path: str, document: object, headers=(), **who) -> Result:
        """Send a document."""
        body = json.dumps(document).encode()
        return self.send("POST", path, body, headers={**JSON, **dict(headers)}, **who)

    def code(self, template="device", uses=1, **more) -> tuple[str, str]:
        """Make an enrolment code."""
        made = self.server.codes.create(template, "test", uses=uses, **more)
        return made.user, made.code

    def template(self, name: str, *changes: tuple[str, str], like: str = "device") -> str:
        """Save a template that differs from a starter."""
        document = starter(like)
        for old, new in changes:
            assert old in document
            document = document.replace(old, new)
        self.server.templates.save(name, document, "test")
        return name

    def issue(self, csr: bytes, template: str = "device") -> CertificateRecord:
        """Issue a certificate by the door, and return its record."""
        answer = self.ask(csr, self.code(template), template=template)
        assert 201 == answer.status_code, answer.text
        return self.record(answer.json["serial"])

    def record(self, serial: str) -> CertificateRecord:
        """Return a certificate of ours."""
        return self.server.certificates.find(CertificateQuery(serial=int(serial, 16)))[0]

    def issued(self) -> int:
        """Return how many certificates there are, those included that are being signed."""
        with self.server.database.reading() as connection:
            statement = select(func.count()).select_from(certificate)
            return connection.execute(statement).scalar_one()
