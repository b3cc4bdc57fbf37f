"""A running server, and clients that other people wrote: strongSwan's pki, BouncyCastle."""

import os
import subprocess
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from pikaserver.api.signing import KeyReference
from pikaserver.asn1.algorithms import default_algorithm
from pikaserver.authority.ca_certificates import CaContent
from pikaserver.authority.ceremony import AuthorityPlan
from pikaserver.authority.templates.starters import starter
from pikaserver.opening import open_server
from pikaserver.settings.loading import load
from pikaserver.testing.requirements import missing, require_program
from pikaserver.testing.servers import running_server
from tests.scep.device import House, rsa_key

AUTHORITIES = {"device": "ec-p256", "device-rsa": "rsa-2048", "device-ml": "ml-dsa-65"}
JARS = tuple(Path("/usr/share/java") / f"{name}.jar" for name in ("bcpkix", "bcprov", "bcutil"))
CURL_PLUGIN = "libstrongswan-extra-plugins"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """Give a server that runs."""
    with running_server(tmp_path_factory.mktemp("whole")) as made:
        yield made


@pytest.fixture(scope="module")
def house(server):
    """Open its data beside it, with an authority of each kind and a template for each."""
    with open_server(load({}, data=server.data), {}) as opened:
        house = House(opened)
        for template, key_type in AUTHORITIES.items():
            if template != "device":
                add_authority(opened, template, key_type)
            house.set("scep.enabled=true", template=template)
        yield house


def add_authority(server, name, key_type):
    plan = AuthorityPlan(
        name,
        CaContent(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])),
        key_type,
        KeyReference("software", f"{name}-1"),
        default_algorithm(key_type),
    )
    server.ceremony.create_subordinate(plan, "root", "test")
    server.templates.save(name, starter("device", issuing=name), "test")


@pytest.fixture(scope="module")
def pki():
    return require_program("pki", package="strongswan-pki")


class Strongswan:
    """strongSwan's pki with a key in a folder."""

    def __init__(self, pki, folder, url):
        self._pki, self._folder, self._url = pki, folder, url
        self.key("key.pem")
        words = ("--caout", "ca.pem", "--raout", "ra.pem", "--outform", "pem")
        self.run("--scepca", "--url", url, *words)

    def key(self, name, number=0):
        """Keep one of a few keys, for making them takes long."""
        octets = rsa_key(number).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        (self._folder / name).write_bytes(octets)

    def start(self, *words, out=None):
        with (self._folder / (out or "out")).open("wb") as target:
            return subprocess.Popen(
                [self._pki, *words],
                stdout=target,
                stderr=subprocess.PIPE,
                cwd=self._folder,
                env=os.environ | {"LC_ALL": "C"},
            )

    def run(self, *words, out=None):
        process = self.start(*words, out=out)
        _, told = process.communicate(timeout=60)
        if b"unable to fetch" in told and b"no capable fetcher" in told:
            missing("strongSwan's curl plugin", f"install {CURL_PLUGIN}")
        return process.returncode, told.decode()

    def scep(self, *words):
        """Return the words of ``pki --scep``."""
        certificates = [f"--cacert={one.name}" for one in sorted(self._folder.glob("ca*.pem"))]
        signer = "ra.pem" if (self._folder / "ra.pem").exists() else "ca-1.pem"
        return (
            "--scep", "--url", self._url, "--dn", "CN=plc-sw", "--outform", "pem",
            "--cacert-enc", signer, "--cacert-sig", signer, *certificates, *words,
        )  # fmt: skip

    def certificate(self, name):
        return x509.load_pem_x509_certificate((self._folder / name).read_bytes())


@pytest.mark.parametrize("template", ["device", "device-rsa"])  # it does not verify ML-DSA
def test_strongswan_enrols_and_renews(server, house, pki, tmp_path, template):
    """With a challenge, then with the certificate and a new key."""
    url = f"http://127.0.0.1:{server.http_port}/scep/{template}"
    client = Strongswan(pki, tmp_path, url)
    words = client.scep("--in", "key.pem", "--password", house.challenge(template))

    assert 0 == client.run(*words, out="cert.pem")[0]
    client.key("new.pem", 1)
    old = ("--cert", "cert.pem", "--key", "key.pem")
    code, told = client.run(*client.scep("--in", "new.pem", *old), out="renewed.pem")

    assert 0 == code, told
    assert "CN=plc-sw" == client.certificate("renewed.pem").subject.rfc4514_string()
    assert client.certificate("cert.pem").public_key() != (
        client.certificate("renewed.pem").public_key()
    )
    used = client.scep("--in", "new.pem", "--password", words[-1])
    assert 0 != client.run(*used, out="second.pem")[0]


def test_strongswan_polls_until_somebody_approved(server, house, pki, tmp_path):
    """PENDING, then CertPoll every second."""
    house.set("approval=true")
    client = Strongswan(pki, tmp_path, f"http://127.0.0.1:{server.http_port}/scep/device")
    words = client.scep("--in", "key.pem", "--password", house.challenge())
    process = client.start(*words, "--interval", "1", "--maxpolltime", "60", out="cert.pem")
    try:
        lines = iter(process.stderr.readline, b"")
        assert any(b"pending" in line.lower() for line in lines)
        (waiting,) = house.server.requests.list()
        house.server.requests.decide(waiting.id, "boss", approve=True)
        _, told = process.communicate(timeout=60)
    finally:
        process.kill()
        process.stderr.close()
        house.set("approval=false")

    assert 0 == process.returncode, told
    assert "CN=plc-sw" == client.certificate("cert.pem").subject.rfc4514_string()


@pytest.fixture(scope="module")
def java_client(tmp_path_factory):
    """Give the command of our small client in Java, compiled."""
    javac = require_program("javac", package="default-jdk-headless")
    java = require_program("java", package="default-jdk-headless")
    if not all(jar.exists() for jar in JARS):
        missing("BouncyCastle", "install libbcpkix-java")
    folder, jars = tmp_path_factory.mktemp("java"), ":".join(map(str, JARS))
    source = Path(__file__).parent / "java" / "ScepClient.java"
    subprocess.run([javac, "-nowarn", "-cp", jars, "-d", folder, source], check=True)
    return [java, "-XX:TieredStopAtLevel=1", "-cp", f"{folder}:{jars}", "ScepClient"]


@pytest.mark.parametrize("template", AUTHORITIES)
def test_bouncy_castle_enrols_renews_and_looks_up(server, house, java_client, template):
    """In GET and POST, each answer verified and opened."""
    url = f"http://127.0.0.1:{server.http_port}/scep/{template}"

    done = subprocess.run(
        [*java_client, url, "plc-java", house.challenge(template)],
        capture_output=True,
        text=True,
        check=False,
    )

    assert 0 == done.returncode, done.stderr
    assert [
        "wrong password: refused with failInfo 2",
        "enrolled: CN=plc-java",
        "renewed: CN=plc-java",
        "found: true",
    ] == done.stdout.splitlines()[:4]
    assert "crl by: " in done.stdout


@pytest.mark.parametrize(
    ("approve", "outcome"), [(True, "CN=plc-patient"), (False, "refused with failInfo 2")]
)
def test_bouncy_castle_polls_until_somebody_decided(server, house, java_client, approve, outcome):
    """PENDING, then CertPoll in the same transaction, in GET and POST, until it is decided."""
    house.set("approval=true")
    url = f"http://127.0.0.1:{server.http_port}/scep/device"
    words = [*java_client, url, "plc-patient", house.challenge(), "poll"]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert "asked: pending" == process.stdout.readline().strip(), process.stderr.read()
        waiting = next(one for one in house.server.requests.list() if one.state == "pending")
        house.server.requests.decide(waiting.id, "boss", approve=approve)
        told, faults = process.communicate(timeout=60)
    finally:
        process.kill()
        process.communicate()
        house.set("approval=false")

    assert 0 == process.returncode, faults
    assert f"polled: {outcome}" == told.strip()
