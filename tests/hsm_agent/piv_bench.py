"""Virtual YubiKeys on a bench: readers in this process, cards off the factory's values."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, load_der_public_key
from smartcard.Exceptions import NoCardException
from yubikit.core.smartcard import SmartCardConnection

from hsm_agent.stores.piv.opening import open_store
from hsm_agent.stores.piv.store import PivStore
from hsm_agent.stores.store import NewKey, TokenAbsent
from tests.virtual_yubikey.attestation import Maker
from tests.virtual_yubikey.card import VirtualYubiKey
from tests.virtual_yubikey.in_process import InProcessConnection
from tests.virtual_yubikey.keys import KeyType
from tests.virtual_yubikey.secret_values import ManagementKey, ManagementKeyType

SERIAL = 12345678
PIN, PUK = "462813", "83740192"
MANAGEMENT_KEY = bytes(range(24))
VERIFY, AUTHENTICATE, GENERATE, ATTEST = 0x20, 0x87, 0x47, 0xF9
SELECT_OTP = bytes.fromhex("00a4040007a0000005272001")
SELECT_PIV = bytes.fromhex("00a4040005a000000308")
RSA_KEYS = {
    number: [rsa.generate_private_key(65537, bits)]
    for number, bits in ((KeyType.RSA2048, 2048), (KeyType.RSA3072, 3072))
}
"""Making an RSA key takes its while; these are handed out again and again."""


class Stopwatch:
    """A monotonic clock that tests put forward."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


class Rack:
    """A connector whose readers hold virtual cards; ``held`` are readers that others use."""

    def __init__(self, *cards: VirtualYubiKey) -> None:
        self.cards = cards
        self.held: set[str] = set()
        self.connections = 0
        self.clock = Stopwatch()

    def readers(self) -> Sequence[str]:
        return [f"Reader {number}" for number, _ in enumerate(self.cards)]

    def connect(self, reader: str) -> SmartCardConnection:
        if reader in self.held:
            raise TokenAbsent(f"another program holds the card in reader {reader}")
        self.connections += 1
        try:
            return InProcessConnection(self.cards[int(reader.split()[1])])
        except NoCardException as error:
            raise TokenAbsent(f"no card in reader {reader}") from error


def prepared(card: VirtualYubiKey) -> VirtualYubiKey:
    """Give a card other secrets than the factory's, behind its back."""
    memory = card.memory
    memory.pin.set(PIN.encode().ljust(8, b"\xff"))
    memory.puk.set(PUK.encode())
    kind = ManagementKeyType.AES192 if card.version >= (5, 4, 0) else ManagementKeyType.TDES
    memory.management = ManagementKey(kind, MANAGEMENT_KEY)
    return card


def new_card(**how: object) -> VirtualYubiKey:
    """Return a prepared card; RSA keys of 2048 and 3072 bits are made beforehand."""
    return prepared(VirtualYubiKey(**{"serial": SERIAL, "fixed_keys": RSA_KEYS, **how}))


def open_bench(folder: Path, rack: Rack, **settings: object) -> PivStore:
    """Return a store with the right PIN and management key, unless settings say otherwise."""
    told: dict[str, object] = {
        "serial": SERIAL,
        "pin-file": "pin",
        "management-key-file": "management-key",
        "attestation-roots": ["roots.pem"],
        "wait": 60,
    }
    told |= {name.replace("_", "-"): value for name, value in settings.items()}
    write_secret(folder / "pin", PIN)
    write_secret(folder / "management-key", MANAGEMENT_KEY.hex())
    maker = rack.cards[0].maker
    assert maker is not None
    write_roots(folder / "roots.pem", maker)
    shown = {name: value for name, value in told.items() if value is not None}
    return open_store(shown, folder, connector=rack, monotonic=rack.clock)


def write_secret(path: Path, text: str) -> None:
    """Write a secret as an operator would, unless the file is there."""
    if not path.exists():
        path.touch(mode=0o600)
        path.write_text(f"{text}\n", encoding="ascii")


def write_roots(path: Path, maker: Maker) -> None:
    """Write what a verifier has to know of a maker."""
    above = [one.public_bytes(Encoding.PEM) for one in maker.intermediates]
    path.write_bytes(b"".join([maker.root_pem, *above]))


def made(store: PivStore, slot: str = "9a", key_type: str = "ec-p256", **policies: str) -> bytes:
    """Make a key and return its public half."""
    return store.generate(NewKey(slot, key_type, **policies)).public_key


def verifies(public_key: bytes, algorithm: str, data: bytes, signature: bytes) -> bool:
    """Check a signature with the library, which has its own paddings; wrong ones raise."""
    key = load_der_public_key(public_key)
    family, _, name = algorithm.rpartition("-")
    hashed = HASHES.get(name)
    if isinstance(key, rsa.RSAPublicKey):
        pss = padding.PSS(padding.MGF1(hashed), padding.PSS.DIGEST_LENGTH)
        key.verify(signature, data, padding.PKCS1v15() if family == "rsa" else pss, hashed)
    elif isinstance(key, ec.EllipticCurvePublicKey):
        key.verify(signature, data, ec.ECDSA(hashed))
    else:
        assert isinstance(key, ed25519.Ed25519PublicKey)
        key.verify(signature, data)
    return True


HASHES: Mapping[str, hashes.HashAlgorithm] = {
    "sha256": hashes.SHA256(),
    "sha384": hashes.SHA384(),
    "sha512": hashes.SHA512(),
}
