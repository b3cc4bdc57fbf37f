"""ML-DSA on a token that has it (PKCS#11 3.2): SoftHSM 2.6 has not, so a token in memory stands in.

What is proven is our side: mechanisms, templates, forms of keys and signatures.
"""

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import mldsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_public_key,
)

from hsm_agent.stores.pkcs11.pins import NoPin, RefusedPins
from hsm_agent.stores.pkcs11.settings import TokenSettings
from hsm_agent.stores.pkcs11.token_store import TokenStore
from hsm_agent.stores.pkcs11.unlocking import Unlocking
from hsm_agent.stores.store import KeyExists, NewKey, Unsupported
from tests.hsm_agent.fake_token import DirectPipeline, FakeSession, FakeTokenSession

worker = pytest.importorskip("hsm_agent.stores.pkcs11.worker", reason="needs python-pkcs11")

TBS = b"to be signed" * 500
ALL = ("ml-dsa-44", "ml-dsa-65", "ml-dsa-87")
counter = iter(range(1, 1 << 16))


def octets(count):
    return next(counter).to_bytes(count, "big")


@pytest.fixture
def session():
    return FakeSession()


@pytest.fixture
def store(tmp_path, session):
    pipeline = DirectPipeline(worker.Worker(FakeTokenSession(session)))
    unlocking = Unlocking(pipeline, NoPin(), RefusedPins(tmp_path / "pins", octets), 1)
    return TokenStore(
        TokenSettings(Path("/module"), {"token": "fake"}, None), pipeline, unlocking, octets
    )


@pytest.mark.parametrize("key_type", ALL)
def test_a_key_is_made_and_signs(store, key_type):
    """Pure ML-DSA over the whole message, without context (RFC 9881 section 3)."""
    made = store.generate(NewKey("pq", key_type))

    assert (key_type, (key_type,)) == (made.key_type, made.algorithms)
    assert "never left the token" == made.details["protection"]
    signature = store.sign("pq", key_type, TBS)
    load_der_public_key(made.public_key).verify(signature, TBS)


@pytest.mark.parametrize("key_type", ALL)
def test_a_key_is_imported_by_its_seed(store, key_type):
    """The seed is what PKCS#8 holds (RFC 9881 section 6), and what CKA_SEED takes."""
    kind = {
        "ml-dsa-44": mldsa.MLDSA44PrivateKey,
        "ml-dsa-65": mldsa.MLDSA65PrivateKey,
        "ml-dsa-87": mldsa.MLDSA87PrivateKey,
    }[key_type]
    key = kind.generate()
    pkcs8 = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())

    stored = store.import_key(NewKey("moved", key_type), pkcs8)

    assert "imported" == stored.details["origin"]
    key.public_key().verify(store.sign("moved", key_type, TBS), TBS)


def test_the_token_offers_ml_dsa_and_nothing_that_it_lacks(store):
    """Its list of mechanisms decides."""
    assert ALL == store.state().key_types
    store.generate(NewKey("pq", "ml-dsa-44"))
    with pytest.raises(Unsupported):
        store.sign("pq", "ml-dsa-65", TBS)
    with pytest.raises(KeyExists):
        store.generate(NewKey("pq", "ml-dsa-44"))


def test_a_token_that_searches_carelessly_costs_no_key(store, session):
    """It returns everything of a class: what is not ours is neither taken nor destroyed."""
    session.careless = True
    first = store.generate(NewKey("first", "ml-dsa-44"))
    second = store.generate(NewKey("second", "ml-dsa-44"))

    assert [first, second] == store.keys()
    load_der_public_key(first.public_key).verify(store.sign("first", "ml-dsa-44", TBS), TBS)
    load_der_public_key(second.public_key).verify(store.sign("second", "ml-dsa-44", TBS), TBS)
