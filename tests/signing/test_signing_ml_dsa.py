"""ML-DSA keys in all forms in which they travel, made by hand and by OpenSSL 3.5."""

from os import urandom

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import mldsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from pikaserver.api.errors import MalformedRequest, RequestRejected
from pikaserver.asn1 import der
from pikaserver.asn1.algorithms import KEY_TYPES, SIGNATURE_ALGORITHMS, key_type
from pikaserver.asn1.csr import assemble_csr, read_csr_text, request_info, verify_possession
from pikaserver.asn1.ml_dsa import expand
from pikaserver.asn1.private_key_forms import FORMS
from pikaserver.signing.private_keys import (
    KeyFileClosed,
    load,
    public_key,
    read_private_key,
    write_private_key,
)
from pikaserver.signing.sign import sign_tbs
from pikaserver.signing.software_signers import make_signer

SETS = {
    "ml-dsa-44": mldsa.MLDSA44PrivateKey,
    "ml-dsa-65": mldsa.MLDSA65PrivateKey,
    "ml-dsa-87": mldsa.MLDSA87PrivateKey,
}
SEED = bytes(range(32))


@pytest.fixture(params=SETS)
def form(request):
    """Make PKCS#8 around any privateKey octets, and the halves of a real key."""
    key = SETS[request.param].from_seed_bytes(SEED)
    public, private = expand(request.param, SEED)
    assert key.public_key().public_bytes_raw() == public

    class Form:
        """What the tests need of one parameter set."""

        name = request.param
        expanded = private
        pkcs8 = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
        public_octets = public

        @staticmethod
        def around(secret, *parameters):
            """Return PKCS#8 with these octets as privateKey."""
            oid = KEY_TYPES[request.param].identifier[2:]
            return der.sequence(
                der.integer(0), der.sequence(oid, *parameters), der.octet_string(secret)
            )

    return Form


def both(seed, expanded):
    """OpenSSL's default form."""
    return der.sequence(der.octet_string(seed), der.octet_string(expanded))


def test_forms_with_a_seed_become_the_seed_form(form):
    """RFC 9881 section 6: seed, both; and the bare seed of earlier drafts."""
    for secret in (der.context(0, SEED, constructed=False), both(SEED, form.expanded), SEED):
        assert form.pkcs8 == read_private_key(form.around(secret))
    assert form.name == key_type(public_key(form.pkcs8))


def test_an_inconsistent_key_is_refused(form):
    """RFC 9881 section 6: seed and expanded key must agree."""
    for at in (0, 40, 100, 200, len(form.expanded) - 1):
        bent = bytes([*form.expanded[:at], form.expanded[at] ^ 1, *form.expanded[at + 1 :]])
        with pytest.raises(MalformedRequest, match="disagree"):
            read_private_key(form.around(both(SEED, bent)))
    with pytest.raises(MalformedRequest, match="disagree"):
        read_private_key(form.around(both(bytes(32), form.expanded)))


def test_keys_without_a_seed_are_read_but_are_no_software_keys(form):
    """Expanded, bare expanded, and oqsprovider's private with public."""
    for secret in (
        der.octet_string(form.expanded),
        form.expanded,
        der.octet_string(form.expanded + form.public_octets),
    ):
        pkcs8 = read_private_key(form.around(secret))
        assert form.around(der.octet_string(form.expanded)) == pkcs8
        assert public_key(form.pkcs8) == public_key(pkcs8)
        with pytest.raises(RequestRejected, match="has no seed"):
            load(pkcs8)


def test_other_octets_are_refused(form):
    """Wrong lengths, trailing octets, unknown tags, parameters."""
    seed = der.context(0, SEED, constructed=False)
    for secret, *parameters in (
        (seed + b"\0",),
        (seed[:-1],),
        (der.context(0, SEED[:-1], constructed=False),),
        (der.context(1, SEED, constructed=False),),
        (both(SEED, form.expanded) + b"\0",),
        (both(SEED, form.expanded[:-1]),),
        (both(SEED[:-1], form.expanded),),
        (der.sequence(der.octet_string(SEED)),),
        (der.sequence(der.null(), der.null()),),
        (b"",),
        (seed, der.null()),
    ):
        with pytest.raises((MalformedRequest, RequestRejected)):
            read_private_key(form.around(secret, *parameters))


@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize(
    ("written", "has_seed"),
    [
        ("seed-only", True),
        ("seed-priv", True),
        ("bare-seed", True),
        ("priv-only", False),
        ("bare-priv", False),
        ("oqskeypair", False),
    ],
)
def test_what_openssl_writes_is_read(openssl, name, written, has_seed):
    """Every form, and each of ours is read by OpenSSL in return."""
    option = f"ml-dsa.output_formats={written}"
    text = openssl("genpkey", "-algorithm", name.upper(), "-provparam", option)

    pkcs8 = read_private_key(text)

    spki = openssl("pkey", "-pubout", "-outform", "DER", stdin=text)
    assert public_key(pkcs8) == spki
    for form in FORMS if has_seed else ("expanded", "oqs"):
        ours = write_private_key(pkcs8, None, urandom, form)
        assert spki == openssl("pkey", "-pubout", "-outform", "DER", stdin=ours)
    if not has_seed:
        for form in ("seed", "both"):
            with pytest.raises(RequestRejected, match="no seed"):
                write_private_key(pkcs8, None, urandom, form)


@pytest.mark.parametrize("form", FORMS)
def test_what_we_encrypt_is_opened_by_openssl(openssl, form):
    """PBES2 around each form."""
    pkcs8 = read_private_key(openssl("genpkey", "-algorithm", "ML-DSA-44"))

    ours = write_private_key(pkcs8, b"secret", urandom, form)

    opened = openssl("pkey", "-passin", "pass:secret", "-pubout", "-outform", "DER", stdin=ours)
    assert public_key(pkcs8) == opened
    assert public_key(read_private_key(ours, b"secret")) == opened
    with pytest.raises(KeyFileClosed):
        read_private_key(ours)


def test_what_openssl_encrypts_is_read(openssl):
    """Its default form, encrypted, which cryptography alone refuses."""
    options = ("-aes-256-cbc", "-pass", "pass:secret")

    text = openssl("genpkey", "-algorithm", "ML-DSA-65", *options)

    assert "ml-dsa-65" == key_type(public_key(read_private_key(text, b"secret")))
    with pytest.raises(MalformedRequest):
        read_private_key(text, b"wrong")


@pytest.mark.parametrize("name", SETS)
def test_requests_pass_between_openssl_and_us(openssl, tmp_path, name):
    """Both verify the other's proof of possession."""
    key = tmp_path / "key"
    key.write_bytes(openssl("genpkey", "-algorithm", name.upper()))
    theirs = openssl(
        *("req", "-new", "-key", str(key), "-subj", "/CN=pq.example"),
        *("-addext", "subjectAltName=DNS:pq.example"),
    )
    verify_possession(read_csr_text(theirs))

    pkcs8 = read_private_key(key.read_bytes())
    spki = public_key(pkcs8)
    signer = make_signer(load(pkcs8), SIGNATURE_ALGORITHMS[name], spki)
    info = request_info(x509.Name([]), spki, [])
    ours = assemble_csr(info, name, sign_tbs(signer, info, spki))
    assert openssl("req", "-verify", "-inform", "DER", "-outform", "DER", stdin=ours).endswith(ours)
