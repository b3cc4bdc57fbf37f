"""The report on quantum computers, and the CBOM: true to what is here, valid by its schema."""

import json
from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives.asymmetric import mldsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from pikaserver.api.issuance import EnrollmentRequest, Requester
from pikaserver.api.key_inventories import KeptKey
from pikaserver.asn1.csr import assemble_csr, read_csr, request_info
from pikaserver.asn1.possession_statements import unsigned_request
from pikaserver.authority.readiness.algorithms import algorithm_properties
from pikaserver.authority.readiness.assets import Assets, Exposure
from pikaserver.authority.readiness.cbom import cbom
from pikaserver.authority.readiness.report import exposed, report
from pikaserver.signing.ml_kem import ml_kem_public_key, new_ml_kem_key
from pikaserver.testing.servers import make_server
from pikaserver.testing.throw_away import distinguished_name

OPERATOR = Requester("cli:test", "operator")


class Channel:
    """A plugin's own keys."""

    kind = "agent-channel"

    def keys(self):
        """Return one."""
        return [KeptKey("agent vault, frames", "ed25519", "rotate it")]


def gather(server):
    return Assets(server.authorities, server.certificates, server.templates, [Channel()])


def quantum_request(name):
    key = mldsa.MLDSA44PrivateKey.generate()
    spki = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    info = request_info(distinguished_name(name), spki, [])
    return read_csr(assemble_csr(info, "ml-dsa-44", key.sign(info)))


@pytest.fixture(scope="module", params=["ec-p256", "ml-dsa-65"])
def server(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(f"ready-{request.param}") / "data"
    with make_server(folder, key_type=request.param) as made:
        for name in ("plc-1", "plc-2"):
            made.enroll(EnrollmentRequest(quantum_request(name), OPERATOR, "device", "cli"))
        wished = request_info(
            distinguished_name("plc-3"), ml_kem_public_key(new_ml_kem_key("ml-kem-768")), []
        )
        kem = made.key_generator.generate("ml-kem-768", unsigned_request(wished))
        made.enroll(
            EnrollmentRequest(kem.csr, OPERATOR, "key-establishment", "cli", answer=kem.answer)
        )
        yield made


def test_what_a_quantum_computer_breaks_is_told_with_its_cure(server):
    """A good key below a weak one is exposed by its path."""
    quantum = server.authorities.key("root").key_type == "ml-dsa-65"
    lines = report(gather(server).all())

    found = {(line.kind, line.name, line.key_type): line for line in lines}
    kind = "ml-dsa-65" if quantum else "ec-p256"
    root = found["authority", "root", kind]
    device = found["certificate", "device", "ml-dsa-44"]
    channel = found["agent-channel", "agent-channel", "ed25519"]
    assert (Exposure.NONE if quantum else Exposure.KEY) == root.exposure
    assert (Exposure.NONE if quantum else Exposure.PATH) == device.exposure
    assert 2 == device.count
    assert (Exposure.KEY, "rotate it", 1) == (channel.exposure, channel.renewal, channel.beyond)
    assert ("certificate", "key-establishment", "ml-kem-768") in found
    if quantum:
        assert "nothing to do" == root.renewal
    else:
        assert "pikaserver ca rekey root --key-type ml-dsa-65" in root.renewal
        assert "authority" == lines[0].kind
    assert exposed(lines) == sum(line.count for line in lines if line.exposure != "safe")


def test_what_ends_before_the_horizon_matters_less(server):
    """A root for ten years outlives 2035, a device for one year does not."""
    near = report(gather(server).all(), datetime(2026, 6, 1, tzinfo=UTC))
    far = report(gather(server).all(), datetime(2135, 1, 1, tzinfo=UTC))

    assert sum(line.beyond for line in near) == exposed(near)
    assert {"agent-channel"} == {line.kind for line in far if line.beyond}


def test_the_cbom_is_valid_by_its_schema(server):
    """By the validator of CycloneDX itself, in its strict form."""
    document = cbom(gather(server).all(), server.clock(), bytes(16), "0.1")

    text = json.dumps(document)

    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    refs = [one["bom-ref"] for one in document["components"]]
    assert len(set(refs)) == len(refs)
    known = set(refs)
    for one in document["dependencies"]:
        assert {one["ref"], *one["dependsOn"]} <= known
    kinds = {one["cryptoProperties"]["assetType"] for one in document["components"]}
    assert {"algorithm", "certificate", "related-crypto-material"} == kinds


def test_the_cbom_tells_levels_and_whose_signature(server):
    """NIST's category of each algorithm; a certificate names its issuer's."""
    document = cbom(gather(server).all(), server.clock(), bytes(16), "0.1")
    found = {one["bom-ref"]: one for one in document["components"]}
    uses = {one["ref"]: set(one["dependsOn"]) for one in document["dependencies"]}

    kem = found["algorithm:ml-kem-768"]["cryptoProperties"]["algorithmProperties"]
    assert ("kem", 3) == (kem["primitive"], kem["nistQuantumSecurityLevel"])
    edwards = found["algorithm:ed25519"]["cryptoProperties"]["algorithmProperties"]
    assert 0 == edwards["nistQuantumSecurityLevel"]
    leaf = next(ref for ref, one in found.items() if one["name"] == "CN=plc-1")
    issuer = next(ref for ref, one in found.items() if one["name"] == "issuing, generation 1")
    assert issuer in uses[leaf]
    assert "algorithm:ml-dsa-44" in uses[next(ref for ref in uses[leaf] if ref[:4] == "key:")]


@pytest.mark.parametrize(
    ("name", "category", "parameters"),
    [
        ("slh-dsa-sha2-128s", 1, "sha2-128s"),
        ("slh-dsa-shake-128s", 1, "shake-128s"),
        ("composite-ml-dsa-65-ec-p384", 3, "ml-dsa-65-ec-p384"),
        ("ml-dsa-87", 5, "87"),
        ("ml-kem-512", 1, "512"),
        ("rsa-2048", 0, "2048"),
        ("ed25519", 0, "ed25519"),
    ],
)
def test_no_two_parameter_sets_share_a_name(name, category, parameters):
    """SLH-DSA has two families of hashes; a composite has two halves."""
    found = algorithm_properties(name, category)

    assert parameters == found["parameterSetIdentifier"]
    assert category == found["nistQuantumSecurityLevel"]
