"""Real structures are read as what they are, with what they say."""

from datetime import timedelta
from ipaddress import ip_network

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import mldsa, rsa
from cryptography.x509 import ocsp

from hsm_agent.structures import algorithms as ours
from hsm_agent.structures.classify import Malformed, Proof, Raw, classify
from hsm_agent.structures.kinds import PROOF_LABEL
from pikaserver.asn1 import algorithms as theirs
from pikaserver.asn1 import crl as own_crls
from pikaserver.asn1 import der
from tests.hsm_agent import made_structures as made
from tests.hsm_agent.made_structures import DAY, NOW


def test_a_leaf_is_read():
    """Kind, serial, names as octets, times, inner algorithm and decoded extensions."""
    read = classify(made.leaf())

    assert ("cert", made.Made().serial, "ecdsa-sha256") == (read.kind, read.serial, read.algorithm)
    assert made.CA_NAME.public_bytes() == read.issuer
    assert made.Made().subject.public_bytes() == read.subject
    assert (NOW - timedelta(minutes=5), NOW + 90 * DAY) == (read.not_before, read.not_after)
    assert made.LEAF_SPKI == read.public_key
    assert (("digitalSignature",), ("1.3.6.1.5.5.7.3.1",)) == (read.key_usage, read.purposes)
    assert not read.is_ca


@pytest.mark.parametrize(
    "changes",
    [
        {"constraints": x509.BasicConstraints(ca=True, path_length=0), "usage": ()},
        {"usage": ("key_cert_sign",)},
        {"usage": ("key_cert_sign",), "constraints": None},
    ],
    ids=["ca", "keyCertSign", "keyCertSign-alone"],
)
def test_either_sign_of_an_authority_makes_one(changes):
    """CA:TRUE without keyCertSign and keyCertSign without CA:TRUE both make a ca-cert."""
    assert "ca-cert" == classify(made.leaf(**changes)).kind


def test_agents_know_all_algorithms_but_composite_ones():
    """Those are a draft's, and no agent has such keys."""
    others = {*theirs.SIGNATURE_ALGORITHMS} - {*ours.SIGNATURE_ALGORITHMS}

    assert all(name.startswith("composite-") for name in others)


@pytest.mark.parametrize("name", [*ours.SIGNATURE_ALGORITHMS])
def test_every_signature_algorithm_of_an_agent_is_named_alike_at_the_server(name):
    """Both tables have the same names, identifiers and families."""
    entry, mine = theirs.SIGNATURE_ALGORITHMS[name], ours.SIGNATURE_ALGORITHMS[name]

    assert (entry.identifier, entry.family, entry.hash) == (mine.identifier, mine.family, mine.hash)
    assert name == classify(made.leaf(algorithm=name)).algorithm


@pytest.mark.parametrize(
    ("private", "expected"),
    [
        (made.LEAF_KEY, "ec-p256"),
        (made.ED25519_KEY, "ed25519"),
        (mldsa.MLDSA44PrivateKey.from_seed_bytes(bytes(32)), "ml-dsa-44"),
        (mldsa.MLDSA65PrivateKey.from_seed_bytes(bytes(32)), "ml-dsa-65"),
        (mldsa.MLDSA87PrivateKey.from_seed_bytes(bytes(32)), "ml-dsa-87"),
        (rsa.generate_private_key(65537, 2048), "rsa-2048"),
    ],
)
def test_key_types_are_named_as_the_server_names_them(private, expected):
    """Among them those of ML-DSA (RFC 9881)."""
    octets = made.spki(private)

    assert expected == ours.key_type(octets) == theirs.key_type(octets)


@pytest.mark.parametrize(
    "spki",
    [
        b"",
        der.sequence(der.sequence(der.oid("1.3.101.112")), der.bit_string(bytes(31))),
        der.sequence(der.sequence(der.oid("1.3.101.112")), der.bit_string(bytes(32)), der.null()),
        der.sequence(der.sequence(der.oid("1.3.101.112")), der.bit_string(bytes(32), 1)),
        der.sequence(
            der.sequence(der.oid("1.2.840.113549.1.1.1"), der.null()),
            der.bit_string(der.sequence(der.integer(5))),
        ),
        der.sequence(
            der.sequence(der.oid("1.2.840.113549.1.1.1"), der.null()),
            der.bit_string(der.sequence(der.integer(-5), der.integer(65537))),
        ),
    ],
)
def test_what_is_no_public_key_is_malformed(spki):
    """Wrong lengths, further fields, and numbers that make no key."""
    with pytest.raises(Malformed):
        ours.key_type(spki)


def test_what_is_not_in_the_table_is_unknown():
    """An ML-DSA key with NULL parameters among it (RFC 9881 section 2)."""
    algorithm = der.sequence(der.oid("2.16.840.1.101.3.4.3.18"), der.null())

    assert "unknown" == ours.key_type(der.sequence(algorithm, der.bit_string(bytes(1952))))


@pytest.mark.parametrize(
    ("algorithm", "kind", "fits"),
    [
        ("rsa-pss-sha256", "rsa-2048", True),
        ("rsa-sha256", "ec-p256", False),
        ("ecdsa-sha512", "ec-p256", True),
        ("ecdsa-sha512", "ed25519", False),
        ("ml-dsa-65", "ml-dsa-65", True),
        ("ml-dsa-65", "ml-dsa-44", False),
        ("nonsense", "rsa-2048", False),
    ],
)
def test_which_algorithms_fit_a_key(algorithm, kind, fits):
    """By family; those that take the whole message are their key's own."""
    assert fits is ours.fits(algorithm, kind)


def test_a_crl_of_the_far_future_is_read():
    """GeneralizedTime counts from 2050 on."""
    later = NOW.replace(year=2051)

    assert later == classify(made.crl(next_update=later)).next_update


def test_a_crl_is_read():
    """Number, times, scope and the serials, streamed as their content octets."""
    read = classify(made.crl(7, serials=[5, 0x80, 1 << 150]))

    assert ("crl", 7, 3, "complete") == (read.kind, read.number, read.revoked, read.scope)
    assert (NOW, NOW + DAY) == (read.this_update, read.next_update)
    assert [5, 0x80, 1 << 150] == [int.from_bytes(one, "big") for one in read.serials()]
    assert made.CA_NAME.public_bytes() == read.issuer


def test_scopes_tell_partitions_and_deltas_apart():
    """Each issuing distribution point is a scope of its own, and so are its deltas."""
    point = x509.IssuingDistributionPoint(
        full_name=[x509.UniformResourceIdentifier("http://a.example/1.crl")],
        relative_name=None,
        only_contains_user_certs=False,
        only_contains_ca_certs=False,
        only_some_reasons=None,
        indirect_crl=False,
        only_contains_attribute_certs=False,
    )
    partition = classify(made.crl(distribution_point=point)).scope
    delta = classify(made.crl(3, distribution_point=point, delta_base=2)).scope

    assert partition.startswith("complete:")
    assert delta == partition.replace("complete", "delta")
    assert "delta" == classify(made.crl(3, delta_base=1)).scope


def test_certificates_on_hold_do_not_last():
    """What is on hold may come off again; everything else has to stay."""
    reasons = own_crls.RevocationReason
    entries = [
        own_crls.entry(1, NOW, reasons.CERTIFICATE_HOLD),
        own_crls.entry(2, NOW, reasons.UNSPECIFIED),
        own_crls.entry(3, NOW, reasons.SUPERSEDED, invalidity_at=NOW),
    ]
    head = own_crls.CrlHead(made.CA_NAME.public_bytes(), "ecdsa-sha256", NOW, NOW, 1, bytes(20))
    read = classify(b"".join(own_crls.tbs_pieces(head, own_crls.in_memory(entries))))

    assert [b"\1", b"\2", b"\3"] == list(read.serials())
    assert [b"\2", b"\3"] == list(read.lasting())


@pytest.mark.parametrize("encoding", ocsp.OCSPResponderEncoding)
def test_an_ocsp_answer_is_read(encoding):
    """By name or by key; the hashes are those of the issuer."""
    read = classify(made.answer(algorithm=hashes.SHA256(), encoding=encoding))

    (only,) = read.answers
    assert ("ocsp", NOW, ()) == (read.kind, read.produced_at, read.critical)
    assert ("sha256", made.Made().serial, "good") == (only.hash, only.serial, only.status)
    assert (NOW, NOW + DAY) == (only.this_update, only.next_update)
    assert bool(read.responder_name) is (encoding is ocsp.OCSPResponderEncoding.NAME)
    assert bool(read.responder_key_hash) is (encoding is ocsp.OCSPResponderEncoding.HASH)


def test_a_request_is_read():
    """Its subject, its key, and what it asks for."""
    read = classify(made.csr())

    assert ("csr", made.CA_SPKI) == (read.kind, read.public_key)
    assert made.CA_NAME == read.subject_name
    assert ["2.5.29.19"] == [*read.extensions]


def test_signed_attributes_are_read():
    """Content type, digest, and each attribute's values."""
    read = classify(made.scep())

    assert ("cms-attrs", made.DATA, bytes(32)) == (
        read.kind,
        read.content_type,
        read.message_digest,
    )
    assert (b"\x13\x013",) == read.attributes["2.16.840.1.113733.1.9.2"]


def test_a_time_stamp_is_read_with_its_attributes():
    """All optional fields may be there; a fraction of a second counts."""
    at = der.element(0x18, b"20261122120000.25Z")
    tsa = der.context(0, der.context(4, made.CA_NAME.public_bytes()))
    extension = der.sequence(der.oid("1.2.3"), der.octet_string(b"x"))
    content = made.tst_info(
        der.sequence(der.integer(1)), der.boolean(value=True), der.integer(9), tsa,
        der.context(1, extension),
    ).replace(der.generalized_time(NOW), at)  # fmt: skip
    content = der.sequence(content[der.content(content, 0)[0] :])

    read = classify(made.stamped(content), content)

    assert ("tst", "1.2.3.4", "sha256", 77) == (read.kind, read.policy, read.hash, read.serial)
    assert NOW + timedelta(milliseconds=250) == read.gen_time
    assert made.CA_NAME.public_bytes() == read.tsa


def test_a_proof_is_the_label_and_32_octets():
    """It is no DER and so never another structure."""
    assert Proof(bytes(32)) == classify(PROOF_LABEL + bytes(32))


@pytest.mark.parametrize(
    "octets",
    [b"x", bytes(32), b"\x30" * 32, b"\x31" * 64, b"\x30\x80", der.sequence(der.null())],
)
def test_what_looks_like_nothing_is_raw(octets):
    """Digests may begin with any octet, also with that of a SEQUENCE."""
    assert Raw(octets) == classify(octets)


def test_name_constraints_are_decoded():
    """They are what an approver has to see."""
    limits = x509.NameConstraints(
        [x509.DNSName("example.com"), x509.IPAddress(ip_network("10.0.0.0/8"))], None
    )

    read = classify(made.ca(more=((limits, True),)))

    assert limits == read.extensions["2.5.29.30"].value
