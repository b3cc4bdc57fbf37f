"""ML-KEM: keys are recognised and checked, envelopes open for them, statements are read."""

import subprocess
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric import mlkem
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from pikaserver.api.errors import MalformedRequest, RequestRejected
from pikaserver.asn1 import der
from pikaserver.asn1.algorithms import key_type
from pikaserver.asn1.cmc_possession import (
    DecryptedPop,
    read_decrypted_pop,
    read_encrypted_pop,
    write_decrypted_pop,
    write_encrypted_pop,
)
from pikaserver.asn1.csr import read_csr, request_info, verify_possession
from pikaserver.asn1.enveloped_data import DecryptionFailed, seal
from pikaserver.asn1.identifiers import key_bits
from pikaserver.asn1.kem_envelopes import KemRecipient, open_for
from pikaserver.asn1.kem_keys import KEM_KEY_TYPES, check_encapsulation_key
from pikaserver.asn1.possession_statements import (
    read_statement,
    statement_attribute,
    unsigned_request,
)
from pikaserver.asn1.request_attributes import attribute_value
from pikaserver.clock import system_entropy
from pikaserver.testing.clock import CountedEntropy, FrozenClock
from pikaserver.testing.openssl import require_ml_dsa_openssl
from pikaserver.testing.throw_away import ThrowAwayAuthority, distinguished_name, throw_away_key

KEYS = {
    "ml-kem-768": mlkem.MLKEM768PrivateKey.generate(),
    "ml-kem-1024": mlkem.MLKEM1024PrivateKey.generate(),
}
MAKERS = {"ml-kem-768": "MLKEM768PrivateKey", "ml-kem-1024": "MLKEM1024PrivateKey"}
CA = ThrowAwayAuthority("Root", FrozenClock()(), CountedEntropy("kem"))
NAME = distinguished_name("kem.example")


def spki(key):
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def made_up(name, coefficients=b"\0"):
    """Return an SPKI with these octets over and over."""
    entry = KEM_KEY_TYPES[name]
    key = (coefficients * entry.public_octets)[: entry.public_octets - 32] + bytes(32)
    return der.sequence(entry.identifier, der.bit_string(key))


@pytest.mark.parametrize("name", KEYS)
def test_a_real_key_is_recognised_and_well_formed(name):
    """RFC 9935 section 3: by its OID, without parameters."""
    assert name == key_type(spki(KEYS[name]))
    check_encapsulation_key(spki(KEYS[name]))


def test_a_key_with_null_parameters_is_not_one():
    """RFC 9935 section 3: they are absent."""
    oid = der.oid("2.16.840.1.101.3.4.4.2")
    wrong = der.sequence(der.sequence(oid, der.null()), der.bit_string(bytes(1184)))

    assert "unknown" == key_type(wrong)


def test_openssl_makes_the_third_kind():
    """ML-KEM-512, which cryptography does not know."""
    openssl = require_ml_dsa_openssl()
    pem = subprocess.run(
        [openssl, "genpkey", "-algorithm", "ML-KEM-512"], capture_output=True, check=True
    ).stdout
    key = subprocess.run(
        [openssl, "pkey", "-pubout", "-outform", "DER"], input=pem, capture_output=True, check=True
    ).stdout

    assert "ml-kem-512" == key_type(key)
    check_encapsulation_key(key)
    with pytest.raises(RequestRejected, match="nothing here encrypts to ml-kem-512"):
        seal(b"secret", [KemRecipient(key)], system_entropy)


@pytest.mark.parametrize("name", KEM_KEY_TYPES)
def test_a_coefficient_has_to_be_reduced(name):
    """FIPS 203 section 7.2, the modulus check: 3328 is the greatest."""
    check_encapsulation_key(made_up(name, bytes.fromhex("000dd0")))  # 3328 twice

    for wrong in ("010d00", "0010d0"):  # 3329 below, 3329 above
        with pytest.raises(MalformedRequest, match="not below 3329"):
            check_encapsulation_key(made_up(name, bytes.fromhex(wrong)))


def test_a_key_has_one_length():
    """RFC 9935 section 4."""
    identifier = KEM_KEY_TYPES["ml-kem-768"].identifier
    with pytest.raises(MalformedRequest, match="1184 octets, not 800"):
        check_encapsulation_key(der.sequence(identifier, der.bit_string(bytes(800))))


@pytest.mark.parametrize("name", KEYS)
def test_an_envelope_opens_for_its_key_alone(name):
    """RFC 9936; another key, and altered octets, open nothing."""
    key = KEYS[name]
    sealed = seal(b"a secret", [KemRecipient(spki(key))], system_entropy)

    assert b"a secret" == open_for(sealed, spki(key), key.decapsulate)

    other = getattr(mlkem, MAKERS[name]).generate()
    with pytest.raises(MalformedRequest, match="another recipient"):
        open_for(sealed, spki(other), other.decapsulate)
    with pytest.raises(DecryptionFailed):
        open_for(sealed, spki(key), other.decapsulate)


@given(at=st.integers(min_value=0), octet=st.integers(1, 255))
def test_an_altered_envelope_opens_nothing_and_raises_one_family(at, octet):
    """Whatever is flipped, the content does not change."""
    key = KEYS["ml-kem-768"]
    octets = bytearray(seal(b"a secret", [KemRecipient(spki(key))], CountedEntropy("envelope")))
    octets[at % len(octets)] ^= octet

    try:
        content = open_for(bytes(octets), spki(key), key.decapsulate)
    except MalformedRequest:
        return
    # Only the vector is not protected by anything: CBC.
    assert len(content) < 16


def test_a_statement_names_the_signers_certificate():
    """RFC 9883 section 3, with and without the certificate itself."""
    for send in (False, True):
        info = request_info(
            NAME, spki(KEYS["ml-kem-768"]), [], statement_attribute(CA.certificate, send=send)
        )
        csr = unsigned_request(info)

        statement = read_statement(csr)

        assert statement is not None
        assert (CA.certificate if send else None) == statement.certificate
    with pytest.raises(MalformedRequest):
        verify_possession(csr)


def test_the_certificate_sent_along_is_the_one_named():
    """Else whoever reads it would believe another path."""
    other = ThrowAwayAuthority("Other", FrozenClock()(), CountedEntropy("other"))
    value = attribute_value(_stated(statement_attribute(CA.certificate, send=True)), _STATEMENT)
    assert value is not None
    swapped = value.replace(CA.certificate, other.certificate)
    named = der.sequence(der.oid(_STATEMENT), der.set_of(_relength(swapped)))

    with pytest.raises(MalformedRequest, match="not the one that is named"):
        read_statement(_stated(named))


_STATEMENT = "1.3.6.1.4.1.22112.2.1"


def _relength(sequence):
    """Return a SEQUENCE with its length right again; its own header has two length octets."""
    return der.sequence(sequence[4:])


def _stated(attribute):
    return unsigned_request(request_info(NAME, spki(KEYS["ml-kem-768"]), [], attribute))


@given(value=st.binary(max_size=60))
def test_no_statement_raises_anything_but_malformed_request(value):
    """Its octets come from strangers."""
    attribute = der.sequence(der.oid(_STATEMENT), der.set_of(der.octet_string(value), value))
    try:
        read_statement(_stated(attribute))
    except MalformedRequest:
        return
    raise AssertionError("two values were taken")


def test_a_pop_of_cmc_reads_as_written():
    """RFC 5272 section 6.7."""
    key = KEYS["ml-kem-768"]
    sealed = seal(b"y" * 32, [KemRecipient(spki(key))], system_entropy)
    tagged = der.context(0, der.integer(7) + der.sequence())

    assert (tagged, sealed, b"w" * 32) == read_encrypted_pop(
        write_encrypted_pop(tagged, sealed, b"w" * 32)
    )
    answer = DecryptedPop(7, b"p" * 32)
    assert answer == read_decrypted_pop(write_decrypted_pop(answer))


@given(octets=st.binary(max_size=80))
def test_no_pop_raises_anything_but_malformed_request(octets):
    """Its octets come from strangers."""
    for read in (read_decrypted_pop, read_encrypted_pop):
        for value in (octets, der.sequence(octets)):
            with pytest.raises(MalformedRequest):
                read(value)


def test_an_unsigned_request_of_a_key_that_signs_proves_nothing():
    """RFC 9925 is for keys that cannot."""
    key = throw_away_key(CountedEntropy("unsigned"))
    csr = unsigned_request(request_info(NAME, spki(key), []))

    assert b"" == csr.signature
    with pytest.raises(MalformedRequest):
        verify_possession(replace(csr))
    assert key_bits(spki(key)) == key_bits(read_csr(csr.der).public_key)
