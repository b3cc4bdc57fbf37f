"""The virtual card through a real pcscd: ykman, OpenSC and pyscard do not know the difference."""

import contextlib
import subprocess
import sys

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from pikaserver.testing.patience import until
from pikaserver.testing.requirements import require_program
from tests.virtual_yubikey.plugged import READER, inserted_card, plugged_card
from tests.virtual_yubikey.room import room_with_reader

MANAGEMENT = "010203040506070801020304050607080102030405060708"
SLOWEST_RATE = 60
"""Commands a second; without TCP_QUICKACK it were 20, with it there are thousands."""


@pytest.fixture(scope="module")
def card(tmp_path_factory):
    """Give one card in one reader, for all tests."""
    with plugged_card(tmp_path_factory.mktemp("yubikey")) as card:
        yield card


@pytest.fixture
def ykman(card):
    """Give a function that runs ykman on the reader and returns what it said."""

    def run(*arguments):
        done = card.room.run("ykman", "--reader", READER, *arguments)
        assert 0 == done.returncode, done.stderr
        return done.stdout

    return run


@pytest.fixture
def pkcs11_tool(card):
    """Give a function that runs OpenSC's pkcs11-tool with the PIN."""
    require_program("pkcs11-tool", package="opensc")

    def run(*arguments, pin="123456"):
        return card.room.run("pkcs11-tool", "--login", "--pin", pin, *arguments)

    return run


class Client:
    """A program that keeps a connection to the card."""

    def __init__(self, process):
        self._process = process

    def ask(self, deed):
        """Let it do something and return what came of it."""
        self.begin(deed)
        return self.outcome()

    def begin(self, deed):
        """Let it do something."""
        self._process.stdin.write(f"{deed}\n")
        self._process.stdin.flush()

    def outcome(self):
        """Return what came of it."""
        return self._process.stdout.readline().strip()


@contextlib.contextmanager
def client_in(room):
    """Run such a program until the block ends."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with room.start(sys.executable, "-m", "tests.piv_card.reader_client", **pipes) as process:
        try:
            yield Client(process)
        finally:
            process.kill()


@pytest.fixture
def client(card):
    """Give one that runs beside the reader."""
    with client_in(card.room) as client:
        yield client


def make_key(ykman, card, slot, key_type):
    """Let ykman make a key and a certificate, and return the certificate."""
    public_key, certificate = card.room.folder / "public.pem", card.room.folder / "certificate.pem"
    ykman("piv", "keys", "generate", "-m", MANAGEMENT, "-a", key_type, slot, str(public_key))
    ykman(
        *("piv", "certificates", "generate", "-m", MANAGEMENT, "-P", "123456"),
        *("-s", f"CN={slot}", slot, str(public_key)),
    )
    ykman("piv", "certificates", "export", slot, str(certificate))
    read = x509.load_pem_x509_certificate(certificate.read_bytes())
    assert load_pem_public_key(public_key.read_bytes()) == read.public_key()
    return read


def test_ykman_finds_the_card_among_all_readers(card):
    """It tries the second, empty slot for three seconds."""
    listed = card.room.run("ykman", "list")

    assert "(5.7.1) [CCID] Serial: 12345678" in listed.stdout


def test_ykman_tells_of_device_and_piv(ykman):
    """Everything is as it left the factory."""
    assert "PIV         \tEnabled" in ykman("info")

    told = ykman("piv", "info")

    assert "PIV version:              5.7.1" in told
    assert "Management key algorithm: AES192" in told
    assert "WARNING: Using default PIN!" in told


def test_ykman_makes_a_certificate_and_an_attestation(ykman, card):
    """The attestation leads to the maker's root."""
    certificate = make_key(ykman, card, "9d", "ECCP384")

    attestation = x509.load_pem_x509_certificate(ykman("piv", "keys", "attest", "9d", "-").encode())

    f9 = x509.load_pem_x509_certificate(ykman("piv", "certificates", "export", "f9", "-").encode())
    attestation.verify_directly_issued_by(f9)
    f9.verify_directly_issued_by(x509.load_pem_x509_certificate(card.root.read_bytes()))
    assert certificate.public_key() == attestation.public_key()
    assert "CN=9d" == certificate.subject.rfc4514_string()


@pytest.mark.parametrize(
    ("slot", "key_type", "shared"),
    [
        ("9a", "RSA2048", ["--id", "01", "-m", "SHA256-RSA-PKCS"]),
        ("9c", "ECCP256", ["--id", "02", "-m", "ECDSA-SHA256", "--signature-format", "openssl"]),
    ],
)
def test_opensc_signs_and_verifies(ykman, pkcs11_tool, card, slot, key_type, shared):
    """Slot 9C wants the PIN for each signature, which OpenSC knows."""
    certificate = make_key(ykman, card, slot, key_type)
    message, signature = card.room.folder / "message", card.room.folder / "signature"
    message.write_bytes(b"message")

    signed = pkcs11_tool("--sign", *shared, "-i", message, "-o", signature)
    verified = pkcs11_tool("--verify", *shared, "-i", message, "--signature-file", signature)

    assert 0 == signed.returncode, signed.stderr
    assert "Signature is valid" in verified.stdout, verified.stderr
    public_key = certificate.public_key()
    if isinstance(public_key, rsa.RSAPublicKey):
        public_key.verify(signature.read_bytes(), b"message", padding.PKCS1v15(), hashes.SHA256())
    else:
        public_key.verify(signature.read_bytes(), b"message", ec.ECDSA(hashes.SHA256()))


def test_a_wrong_pin_is_counted_once(ykman, pkcs11_tool, card):
    """Through OpenSC; the right one fills the counter up again."""
    card.tell("forget-log")

    refused = pkcs11_tool("--list-objects", pin="000000")

    assert "CKR_PIN_INCORRECT" in refused.stderr
    tries = [command for command, _ in card.tell("log") if command.startswith("00200080" + "08")]
    assert 1 == len(tries)
    assert "PIN tries remaining:      2/3" in ykman("piv", "info")
    pkcs11_tool("--list-objects")
    assert "PIN tries remaining:      3/3" in ykman("piv", "info")


def test_a_pulled_card_kills_its_connection_and_serves_a_new_one(ykman, card, client):
    """The old one says 0x80100069 for good, once the reader has noticed; before, 0x80100016."""
    make_key(ykman, card, "9c", "ECCP256")
    assert ["connected", "signed"] == [client.ask("connect"), client.ask("sign")]

    card.pull()

    assert client.ask("sign").startswith("CardConnectionException 801000")
    card.await_empty()
    assert "CardConnectionException 80100069" == client.ask("sign")
    card.insert()
    assert "CardConnectionException 80100069" == client.ask("sign")
    assert ["connected", "signed"] == [client.ask("connect"), client.ask("sign")]


def test_there_is_no_connection_without_a_card(card, client):
    """A reader that is empty says so to whoever comes."""
    card.pull()
    card.await_empty()

    told = client.ask("connect")

    card.insert()
    assert "NoCardException 8010000c" == told
    assert "connected" == client.ask("connect")


def test_commands_are_not_slowed_down_by_acknowledgements(client):
    """Nagle and delayed acknowledgements together make 20 commands a second."""
    client.ask("connect")

    # Others may keep the machine busy for a while; who waits for acknowledgements is always slow.
    until(lambda: float(client.ask("rate")) > SLOWEST_RATE, "a quick series of commands", 60)


def test_a_card_pulled_amid_a_signature_fails_it(tmp_path):
    """The program learns it at once, and the key is there when the card is put back."""
    generate = ["piv", "keys", "generate", "-m", MANAGEMENT, "-a", "ECCP256", "9c", "-"]
    with room_with_reader(tmp_path) as room:
        with inserted_card(room):
            made = room.run("ykman", "--reader", READER, *generate)
            assert 0 == made.returncode, made.stderr
        # Another process with the same memory is the same card, put back.
        with inserted_card(room, "--delay", "ECCP256=60") as card, client_in(room) as client:
            client.ask("connect")
            client.begin("sign")
            assert "done" == card.tell("await-work")

            card.pull()

            assert client.outcome().startswith("CardConnectionException")
        with inserted_card(room), client_in(room) as client:
            assert ["connected", "signed"] == [client.ask("connect"), client.ask("sign")]
