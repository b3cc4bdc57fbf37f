"""An OpenSSL that signs something else, or reads one form of keys only: found out, and served."""

import hashlib

import pytest

from pikaserver.api.errors import (
    KeyUnavailable,
    MalformedRequest,
    SignatureFaulty,
)
from pikaserver.api.signing import MuSigner
from pikaserver.asn1 import private_key_forms
from pikaserver.signing.sign import sign_pieces, sign_tbs
from pikaserver.signing.software import new_private_key
from pikaserver_openssl import keys
from pikaserver_openssl.engine import EngineFault, Way
from tests.openssl.conftest import TBS, around, key


class LyingKey:
    """A key of an OpenSSL that signs something else than the message."""

    takes_mu = True

    def __init__(self, honest):
        self.honest = honest
        self.public_key = honest.public_key

    def sign(self, message, way):
        """Sign the digest of the message, as ``dgst -sign`` does with oqsprovider."""
        return self.honest.sign(hashlib.sha256(message).digest(), way)

    def sign_mu(self, mu):
        """Sign mu as the message, as oqsprovider does."""
        return self.honest.sign(mu, Way())


class LyingEngine:
    """Makes such keys; with `mu_only` it lies about mu alone."""

    title = "a lying OpenSSL"

    def __init__(self, honest, *, mu_only):
        self.honest, self.mu_only = honest, mu_only
        self.offered = honest.offered

    def generate(self, kind):
        return self.honest.generate(kind)

    def open(self, pkcs8):
        lying = LyingKey(self.honest.open(pkcs8))
        if self.mu_only:
            lying.sign = lying.honest.sign
        return lying


def test_an_engine_that_signs_digests_is_found_out(make_house, in_process):
    """When a key is made, when it is opened, and by sign_tbs; nothing is released."""
    house = make_house()
    honest = house.again(in_process)
    spki = honest.generate(key(), "ml-dsa-44", exportable=False)
    signer = honest.open(key(), "ml-dsa-44")
    lying = house.again(LyingEngine(in_process, mu_only=False))

    with pytest.raises(MalformedRequest, match="does not verify"):
        lying.generate(key("two"), "ml-dsa-44", exportable=False)
    with pytest.raises(KeyUnavailable, match="does not verify"):
        lying.open(key(), "ml-dsa-44")
    bent = type(signer)(signer.algorithm, spki, LyingKey(signer.key), signer.way)
    with pytest.raises(SignatureFaulty):
        sign_tbs(bent, TBS, spki)
    with pytest.raises(SignatureFaulty):
        sign_pieces(bent, lambda: [TBS], spki)


def test_mu_is_only_used_where_it_is_understood(make_house, in_process):
    """Oqsprovider takes mu for the message, and says nothing."""
    house = make_house()
    spki = house.again(in_process).generate(key(), "ml-dsa-44", exportable=False)

    signer = house.again(LyingEngine(in_process, mu_only=True)).open(key(), "ml-dsa-44")

    assert not isinstance(signer, MuSigner)
    assert sign_pieces(signer, lambda: [TBS], spki)
    assert isinstance(house.again(in_process).open(key(), "ml-dsa-44"), MuSigner)


class OqsEngine:
    """Stands for OpenSSL 3.0 with oqsprovider, which reads no form but its own."""

    title = "OpenSSL 3.0 with oqsprovider"

    def __init__(self, real):
        self.real = real
        self.offered = {"ml-dsa-44": "oqsprovider"}

    def generate(self, kind):
        found = private_key_forms.read(self.real.generate(kind))
        return private_key_forms.write(found, "oqs")

    def open(self, pkcs8):
        if private_key_forms.read(pkcs8).form != "oqs":
            raise EngineFault("unsupported")
        return self.real.open(pkcs8)


def test_oqsprovider_is_given_its_own_form(in_process):
    """Whatever form a key came in, and its own keys become ours."""
    engine = OqsEngine(in_process)
    fresh = keys.kept(engine.generate("ml-dsa-44"))

    for pkcs8 in (fresh, new_private_key("ml-dsa-44")):
        opened = keys.opened(engine, pkcs8, bytes(32))
        assert private_key_forms.read(pkcs8).public_key() == opened.public_key
    assert "expanded" == private_key_forms.read(fresh).form
    with pytest.raises(EngineFault, match=r"OpenSSL 3\.5"):
        keys.opened(engine, around("slh-dsa-sha2-128s", bytes(64)), bytes(32))
