"""Other chains: across to another root, as clients of RFC 8555 section 7.4.2 choose them."""

import subprocess
from datetime import UTC, datetime
from itertools import pairwise

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from pikaserver.api.signing import KeyReference
from pikaserver.authority.ca_certificates import CaContent
from pikaserver.authority.ceremony import AuthorityPlan
from pikaserver.testing.openssl import require_ml_dsa_openssl
from pikaserver_acme.chains import _ways
from tests.acme.desk import csr_of


def plan(name):
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, f"The {name}")])
    return AuthorityPlan(
        name=name,
        content=CaContent(subject, path_length=2),
        key_type="ec-p256",
        key=KeyReference("software", f"{name}-1"),
        algorithm="ecdsa-sha256",
    )


def links_of(answer):
    found = answer.headers.get("link", "")
    return [part.split(">")[0].strip(" <") for part in found.split(",") if "alternate" in part]


def test_a_cross_certificate_gives_another_chain(desk, server):
    """The usual one first; each tells where the others are."""
    done = desk.finalize(desk.order("www.example.com"), csr_of("www.example.com"))
    before = desk.post(done.json["certificate"])
    server.ceremony.create_root(plan("other-root"), "test")
    root = server.authorities.get("root").generations[0].certificate
    server.succession.cross_sign(x509.load_der_x509_certificate(root), "other-root", "test")

    usual = desk.post(done.json["certificate"])
    (link,) = links_of(usual)
    other = desk.post(link)

    chains = [x509.load_pem_x509_certificates(one.content) for one in (usual, other)]
    assert [] == links_of(before)
    assert before.content == usual.content
    assert chains[0][0] == chains[1][0]
    ours = x509.load_der_x509_certificate(root).subject
    assert [ours, plan("other-root").content.subject] == [chain[-1].issuer for chain in chains]
    for chain in chains:
        for below, above in pairwise(chain):
            below.verify_directly_issued_by(above)
    assert [done.json["certificate"]] == links_of(other)
    assert 404 == desk.post(f"{done.json['certificate']}/7").status_code


def test_a_root_of_slh_dsa_is_the_end_of_a_chain(tmp_path):
    """Cryptography cannot verify it, and says so with an error of its own."""
    openssl = require_ml_dsa_openssl()
    ca = ("-addext", "basicConstraints=critical,CA:TRUE", "-x509", "-noenc")
    for name, words in {
        "root": ("-newkey", "slh-dsa-sha2-128f"),
        "stranger": ("-newkey", "slh-dsa-sha2-128f"),
        "issuing": (
            *("-newkey", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"),
            *("-CA", "root.pem", "-CAkey", "root.key"),
        ),
    }.items():
        subject = "issuing" if name == "issuing" else "root"  # the stranger has the root's name
        files = ("-keyout", f"{name}.key", "-out", f"{name}.pem", "-subj", f"/CN={subject}")
        command = [openssl, "req", *ca, *words, *files]
        subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    root, stranger, issuing = (
        x509.load_pem_x509_certificate((tmp_path / f"{name}.pem").read_bytes())
        for name in ("root", "stranger", "issuing")
    )
    der = [one.public_bytes(Encoding.DER) for one in (root, stranger, issuing)]

    found = _ways([der[2]], der, datetime.now(UTC))

    assert [(der[2], der[0])] == found
