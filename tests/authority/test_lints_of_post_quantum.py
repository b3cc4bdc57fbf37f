"""Post-quantum keys have the uses of their RFCs: refused in templates, and again in drafts."""

from datetime import UTC, datetime

import pytest
from cryptography import x509

from pikaserver.api.errors import RequestRejected
from pikaserver.asn1 import der
from pikaserver.asn1.algorithms import KEY_TYPES
from pikaserver.asn1.certificate import builder_public_key, tbs, with_dummy_signature
from pikaserver.asn1.kem_keys import KEM_KEY_TYPES
from pikaserver.asn1.related_certificates import RELATED_CERTIFICATE, related_extension
from pikaserver.authority.linting import built_in_lints, lint
from pikaserver.authority.templates.documents import read_template
from pikaserver.authority.templates.starters import starter
from pikaserver.authority.templates.usages import KEY_USAGES
from pikaserver.testing.clock import FrozenClock
from pikaserver.testing.throw_away import distinguished_name

AT = datetime(2026, 1, 2, 12, tzinfo=UTC)
OCTETS = {"ml-dsa-65": 1952, "slh-dsa-sha2-128s": 32, "ml-kem-768": 1184}
LINTS = built_in_lints(FrozenClock())


def draft(kind, *usages, ca=False, extension=None, critical=False, octets=None):
    entry = KEY_TYPES.get(kind) or KEM_KEY_TYPES[kind]
    spki = der.sequence(entry.identifier, der.bit_string(octets or bytes(OCTETS[kind])))
    name = distinguished_name("x")
    builder = (
        x509.CertificateBuilder(name, name)
        .public_key(builder_public_key(spki))
        .serial_number(1 << 100)
        .not_valid_before(AT)
        .not_valid_after(datetime(2027, 1, 1, tzinfo=UTC))
        .add_extension(x509.BasicConstraints(ca, None), critical=True)
    )
    if usages:
        bits = {field: name in usages for name, field in KEY_USAGES.items()}
        builder = builder.add_extension(x509.KeyUsage(**bits), critical=True)
    if extension is not None:
        builder = builder.add_extension(extension, critical=critical)
    return with_dummy_signature(tbs(builder, "ed25519"), "ed25519")


def found(certificate):
    return {finding.lint: finding.text for finding in lint(certificate, certificate, LINTS)}


@pytest.mark.parametrize(
    ("kind", "good", "wrong", "name"),
    [
        ("ml-dsa-65", "digitalSignature", "keyEncipherment", "MlDsaKeysOnlySign"),
        ("ml-dsa-65", "nonRepudiation", "dataEncipherment", "MlDsaKeysOnlySign"),
        ("slh-dsa-sha2-128s", "cRLSign", "keyAgreement", "SlhDsaKeysOnlySign"),
        ("ml-kem-768", "keyEncipherment", "digitalSignature", "MlKemKeysOnlyEncipher"),
        ("ml-kem-768", "keyEncipherment", "keyAgreement", "MlKemKeysOnlyEncipher"),
    ],
)
def test_a_wrong_use_is_an_error(kind, good, wrong, name):
    """RFC 9881 section 5, RFC 9909 section 6, RFC 9935 section 5; alone or beside a good one."""
    assert name not in found(draft(kind, good))
    assert name not in found(draft(kind))
    assert wrong in found(draft(kind, wrong))[name]
    assert wrong in found(draft(kind, good, wrong))[name]


def test_a_kem_key_is_no_authority_and_well_formed():
    """It does not sign, has one length, and reduced coefficients."""
    assert "does not sign" in found(draft("ml-kem-768", ca=True))["MlKemKeysOnlyEncipher"]
    assert "EncapsulationKeyIsWellFormed" not in found(draft("ml-kem-768"))
    for octets in (bytes(800), b"\xff" * 1184):
        assert "EncapsulationKeyIsWellFormed" in found(draft("ml-kem-768", octets=octets))


def test_pairs_are_for_end_entities_and_not_critical():
    """RFC 9763 section 4."""
    bound = related_extension(b"a certificate")
    broken = x509.UnrecognizedExtension(RELATED_CERTIFICATE, b"\x30\x00")

    good = found(draft("ml-dsa-65", extension=bound))
    assert good.keys().isdisjoint({"OnlyEndEntitiesArePaired", "PairingIsNotCritical"})
    assert "OnlyEndEntitiesArePaired" in found(draft("ml-dsa-65", ca=True, extension=bound))
    assert "OnlyEndEntitiesArePaired" in found(draft("ml-dsa-65", extension=broken))
    assert "PairingIsNotCritical" in found(draft("ml-dsa-65", extension=bound, critical=True))


@pytest.mark.parametrize(
    ("types", "usages", "why"),
    [
        ('["ml-dsa-65"]', '["digitalSignature", "keyEncipherment"]', "RFC 9881 section 5"),
        ('["ml-dsa-44", "slh-dsa-sha2-128s"]', '["digitalSignature", "keyAgreement"]', "9909"),
        ('["ml-kem-768"]', '["keyEncipherment", "dataEncipherment"]', "RFC 9935 section 5"),
        ('["ml-dsa-65", "ml-kem-768"]', '["digitalSignature"]', "ml-kem-768 keys can do none"),
    ],
)
def test_a_template_of_post_quantum_keys_names_no_other_uses(types, usages, why):
    """The operator hears it before anybody asks."""
    with pytest.raises(RequestRejected, match=why):
        read(types, usages)


def test_a_template_of_all_kinds_gives_each_its_part():
    """What is left over for nobody does no harm there."""
    read('["ec-p256", "ml-dsa-65"]', '["digitalSignature", "keyEncipherment"]')
    read('["ml-dsa-65", "ml-kem-768"]', '["digitalSignature", "keyEncipherment"]')


def read(types, usages):
    document = starter("key-establishment").replace(
        '["ml-kem-512", "ml-kem-768", "ml-kem-1024"]', types
    )
    return read_template(document.replace('["keyEncipherment"]', usages), name="x", version=1)
