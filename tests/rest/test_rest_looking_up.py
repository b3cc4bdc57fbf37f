"""What can be looked up: certificates, templates, authorities, the description itself."""

import json

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from jsonschema import Draft202012Validator

from pikaserver.api.certificates import Revocation, RevocationReason
from pikaserver.asn1.cms import read_certificates_only
from pikaserver_rest.operations import OPERATIONS
from pikaserver_rest.problems import KINDS
from tests.rest.asking import make_csr


@pytest.fixture(scope="session")
def record(door):
    return door.issue(make_csr("plc-1", "plc-1.example"))


@pytest.fixture
def serial(record):
    return f"{record.serial:x}".zfill(36)


@pytest.mark.parametrize("written", ["{0}", "0x{0}", "{1}"])
def test_a_certificate_is_found_by_its_serial_number(door, record, serial, written):
    """In lower case and in upper case; nobody has to say who asks, but hears nothing of others."""
    answer = door.send("GET", f"/certificates/{written.format(serial, serial.upper())}")

    assert 200 == answer.status_code
    assert (serial, record.fingerprint, "valid", None) == tuple(
        answer.json[name] for name in ("serial", "fingerprint", "status", "revocation")
    )
    assert f"/api/v1/certificates/{serial}/renewal" == answer.json["links"]["renewal"]
    assert not {"requester", "door", "decisions"} & answer.json.keys()
    assert record.requester not in answer.text


def test_a_certificate_is_found_by_its_fingerprint(door, record, serial):
    """SHA-256 in hex, as /renewal takes it."""
    for written in (record.fingerprint, record.fingerprint.upper()):
        assert serial == door.send("GET", f"/certificates/{written}").json["serial"]


@pytest.mark.parametrize("form", ["pem", "der", "pkcs7"])
def test_a_certificate_comes_in_every_form(door, record, form):
    """And HEAD is GET without its body."""
    path = f"/certificates/{record.fingerprint}?format={form}"
    answer, head = door.send("GET", path), door.send("HEAD", path)

    octets = {
        "pem": lambda: [
            one.public_bytes(Encoding.DER)
            for one in x509.load_pem_x509_certificates(answer.content)
        ],
        "der": lambda: [answer.content],
        "pkcs7": lambda: read_certificates_only(answer.content),
    }[form]()
    assert record.certificate == octets[0]
    assert (b"", 200) == (head.content, head.status_code)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/certificates/0", 400),
        ("/certificates/zz", 400),
        ("/certificates/" + "f" * 41, 400),
        ("/certificates/" + "f" * 64, 404),
        ("/certificates/" + "f" * 40, 404),
        ("/certificates/01?format=gif", 400),
        ("/certificates/01?format=pem&format=der", 400),
        ("/certificates/01?colour=blue", 400),
        ("/certificates", 405),
        ("/certificates/", 400),
        ("/authorities/nowhere", 404),
        ("/requests/0", 404),
        ("/requests/x", 404),
        ("/problems/nothing", 404),
        ("/", 404),
        ("", 404),
        ("/../v1", 404),
    ],
)
def test_what_is_not_there_is_a_problem(door, path, status):
    """Of this door's own kinds, whatever is asked below its root."""
    answer = door.send("GET", path)

    assert status == answer.status_code
    assert "application/problem+json" == answer.headers["content-type"]
    assert answer.json["type"].startswith("/api/v1/problems/")
    assert answer.headers["x-request-id"] == answer.json["request_id"]


def test_what_was_revoked_says_so(door):
    """When, and why."""
    record = door.issue(make_csr("plc-2"))
    revocation = Revocation(door.clock(), RevocationReason.KEY_COMPROMISE)
    door.server.for_plugins.revoke(record, revocation, "test")

    answer = door.send("GET", f"/certificates/{record.fingerprint}")

    assert "revoked" == answer.json["status"]
    at = f"{door.clock():%Y-%m-%dT%H:%M:%SZ}"
    assert {"at": at, "reason": "keyCompromise", "invalidityAt": None} == (
        answer.json["revocation"]
    )


def test_templates_are_those_of_the_credential(door, record):
    """A code is good for one; a certificate for those that trust its authority."""
    of_code = door.send("GET", "/templates", user=door.code("web")).json["items"]
    of_certificate = door.send("GET", "/templates", certificate=record.certificate).json["items"]

    assert ["web"] == [one["name"] for one in of_code]
    assert "90d" == of_code[0]["validity"]
    names = [one["name"] for one in of_certificate]
    assert {"device", "web", "client"} <= set(names)
    assert not {"ocsp", "subca", "audit", "tsa"} & set(names)
    assert sorted(names) == names
    assert 401 == door.send("GET", "/templates").status_code


def test_lists_come_in_pages(door, record):
    """RFC 8288: the header Link leads on until there is no more."""
    whole = door.send("GET", "/templates", certificate=record.certificate)
    found, path = [], "/templates?limit=3"
    while path:
        answer = door.send("GET", path, certificate=record.certificate)
        found += answer.json["items"]
        link = answer.headers.get("link", "")
        assert not link or link.endswith("; rel=next")
        path = link.partition(">")[0].removeprefix("</api/v1")

    assert whole.json["items"] == found
    assert "link" not in whole.headers


@pytest.mark.parametrize("limit", ["0", "101", "-1", "x", "", "1" * 5000, "\u0663"])
def test_a_limit_is_a_small_number(door, limit):
    """400 for all others."""
    assert 400 == door.send("GET", f"/authorities?limit={limit}").status_code


def test_authorities_are_public(door, record):
    """Names, certificates and chains, for whoever has to trust them."""
    listed = {one["name"]: one for one in door.send("GET", "/authorities").json["items"]}
    one = door.send("GET", "/authorities/issuing")
    chain = door.send("GET", "/authorities/issuing?format=pem")

    assert {"issuing", "root"} == listed.keys()
    assert listed["issuing"] == one.json
    issuing, root = x509.load_pem_x509_certificates(chain.content)
    x509.load_der_x509_certificate(record.certificate).verify_directly_issued_by(issuing)
    issuing.verify_directly_issued_by(root)
    assert issuing.fingerprint(SHA256()).hex() == one.json["fingerprint"]


def test_every_problem_has_a_page(door):
    """Its type is where to read on."""
    for name, kind in KINDS.items():
        answer = door.client.get(f"/api/v1/problems/{name}")

        assert 200 == answer.status_code
        assert kind.advice in answer.text


def test_the_description_is_openapi(door):
    """Its schemas are JSON Schemas; what it refers to is there, and every route is described."""
    document = door.described.document

    assert "3.1.0" == document["openapi"]
    for schema in document["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)
    text = json.dumps(document)
    references = {
        part.partition('"')[0] for part in text.split('"$ref": "#/components/schemas/')[1:]
    }
    assert references <= document["components"]["schemas"].keys()
    names = [
        operation["operationId"]
        for operations in document["paths"].values()
        for operation in operations.values()
    ]
    assert len(OPERATIONS) == len(set(names)) == len(names)
    for operation in OPERATIONS:
        written = {part.strip("{}") for part in operation.path.split("/") if part[:1] == "{"}
        assert written == {one.name for one in operation.parameters if one.place == "path"}


def test_an_unknown_method_is_a_problem(door):
    """405 with the methods that there are."""
    answer = door.send("DELETE", "/templates")

    assert 405 == answer.status_code
    assert "/api/v1/problems/method-not-allowed" == answer.json["type"]
    assert "GET" in answer.headers["allow"]
