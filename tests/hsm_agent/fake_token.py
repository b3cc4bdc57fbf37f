"""A token in memory that speaks PKCS#11 3.2: for types of keys that SoftHSM 2.6 does not have."""

from cryptography.hazmat.primitives.asymmetric import mldsa
from pkcs11 import Attribute, KeyType, Mechanism, ObjectClass
from pkcs11.exceptions import AttributeTypeInvalid, MechanismInvalid, MechanismParamInvalid
from pkcs11.types import SignMixin

KEYS = {1: mldsa.MLDSA44PrivateKey, 2: mldsa.MLDSA65PrivateKey, 3: mldsa.MLDSA87PrivateKey}
MECHANISMS = [
    {"mechanism": 0x1C, "signs": False, "generates": True, "least": 0, "most": 0},
    {"mechanism": 0x1D, "signs": True, "generates": False, "least": 0, "most": 0},
]


class FakeObject(SignMixin):
    """An object with attributes; a private key has its secret beside them."""

    def __init__(self, session, attributes, secret=None):
        self._session = session
        self._attributes = attributes
        self._secret = secret

    def get_attributes(self, keys):
        return {key: self._attributes[key] for key in keys if key in self._attributes}

    def __getitem__(self, key):
        if key not in self._attributes:
            raise AttributeTypeInvalid
        return self._attributes[key]

    def matches(self, template):
        return all(self._attributes.get(key) == value for key, value in template.items())

    def destroy(self):
        self._session.objects.remove(self)

    def sign(self, data, *, mechanism, mechanism_param, pin, buffer_size):
        if mechanism != Mechanism.ML_DSA:
            raise MechanismInvalid
        if mechanism_param is not None:
            raise MechanismParamInvalid
        signature = self._secret.sign(data)
        assert len(signature) <= buffer_size
        return signature


class FakeSession:
    """A session whose token makes ML-DSA keys, as PKCS#11 3.2 section 6.67 has them."""

    def __init__(self):
        self.objects = []
        self.careless = False

    def get_objects(self, template):
        wanted = {
            key: _octets(key, value)
            for key, value in template.items()
            if key == Attribute.CLASS or not self.careless
        }
        yield from [found for found in self.objects if found.matches(wanted)]

    def generate_keypair(self, key_type, key_length, *, id, label, **others):  # noqa: A002  # its name
        assert (KeyType.ML_DSA, None, True) == (key_type, key_length, others["store"])
        if others["mechanism"] != Mechanism.ML_DSA_KEY_PAIR_GEN:
            raise MechanismInvalid
        secret = KEYS[others["public_template"][Attribute.PARAMETER_SET]].generate()
        names = {Attribute.ID: id, Attribute.LABEL: label.encode(), Attribute.KEY_TYPE: key_type}
        born = {
            Attribute.LOCAL: True,
            Attribute.ALWAYS_SENSITIVE: True,
            Attribute.NEVER_EXTRACTABLE: True,
        }
        public = {
            **names,
            **others["public_template"],
            Attribute.CLASS: ObjectClass.PUBLIC_KEY,
            Attribute.VALUE: secret.public_key().public_bytes_raw(),
        }
        private = {
            **names,
            **others["private_template"],
            **born,
            Attribute.CLASS: ObjectClass.PRIVATE_KEY,
        }
        return self._add(public), self._add(private, secret)

    def create_object(self, template):
        held = {key: _octets(key, value) for key, value in template.items()}
        seed = held.pop(Attribute.SEED, None)
        if seed is None:
            return self._add(held)
        secret = KEYS[held[Attribute.PARAMETER_SET]].from_seed_bytes(seed)
        return self._add({**held, Attribute.LOCAL: False}, secret)

    def _add(self, attributes, secret=None):
        self.objects.append(FakeObject(self, attributes, secret))
        return self.objects[-1]


def _octets(key, value):
    return value.encode() if key == Attribute.LABEL and isinstance(value, str) else value


class FakeTokenSession:
    """What ``TokenSession`` is to the worker, with a token that is always there."""

    def __init__(self, session):
        self._session = session

    def session(self):
        return self._session

    def look(self):
        return {"open": True, "login": True, "mechanisms": MECHANISMS, "token": "fake"}

    def drop(self):
        raise AssertionError("nothing here spoils a session")


class DirectPipeline:
    """What ``Pipeline`` is to the store, with the worker in the same process."""

    process = 0

    def __init__(self, worker):
        self._worker = worker

    def ask(self, request, limit, *, once=False):
        return self._worker.answer(request)

    def glance(self, request, limit, patience):
        return self._worker.answer(request)

    def close(self):
        return
