"""Composite ML-DSA before BouncyCastle, where it is one that knows the draft: ours and theirs."""

import pytest

from pikaserver.asn1 import der
from pikaserver.asn1.algorithms import verify
from pikaserver.asn1.composite import COMPOSITES
from pikaserver.asn1.csr import assemble_csr, read_csr, request_info
from pikaserver.signing.composite_keys import new_composite_key
from pikaserver.testing.throw_away import distinguished_name
from tests.openssl.bouncycastle import require_bouncycastle

# One of each kind; RSA keys take long to make, and Brainpool has another name there.
NAMES = (
    "composite-ml-dsa-44-rsa-pss-2048",
    "composite-ml-dsa-44-rsa-2048",
    "composite-ml-dsa-44-ed25519",
    "composite-ml-dsa-44-ec-p256",
    "composite-ml-dsa-65-ec-p384",
    "composite-ml-dsa-87-ed448",
    "composite-ml-dsa-87-ec-p521",
)


@pytest.fixture(scope="module")
def judge():
    return require_bouncycastle(composites=True)


def test_bouncycastle_agrees_on_composites(judge, tmp_path):
    """It verifies our requests, and we verify those that it made; a bent one is bad there, too."""
    theirs = {name: COMPOSITES[name].label.decode().removeprefix("COMPSIG-") for name in NAMES}
    for name in NAMES:
        key = new_composite_key(name)
        info = request_info(distinguished_name("ours"), key.public_key, [])
        request = assemble_csr(info, name, key.sign(info))
        (tmp_path / name).write_bytes(der.write_pem("CERTIFICATE REQUEST", request))
    bent = bytearray(request)
    bent[-1] ^= 1
    (tmp_path / "bent").write_bytes(der.write_pem("CERTIFICATE REQUEST", bytes(bent)))

    made = [f"make:{other}" for other in theirs.values()]
    told = judge(tmp_path, *(f"request:{name}:" for name in (*NAMES, "bent")), *made).splitlines()

    assert ["bad request:bent:"] == [line for line in told if not line.startswith("good ")]
    assert 2 * len(NAMES) + 1 == len(told)
    for name, other in theirs.items():
        csr = read_csr((tmp_path / f"{other}.p10").read_bytes())
        assert COMPOSITES[name].identifier == csr.signature_algorithm
        verify(csr.public_key, name, csr.signature, csr.tbs)
