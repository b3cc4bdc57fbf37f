"""A whole hierarchy on keys that OpenSSL signs with; OpenSSL 3.5 and BouncyCastle judge it."""

import subprocess
from types import SimpleNamespace

import pytest

from pikaserver.clock import system_clock
from pikaserver.first_start import FirstStart, set_up
from pikaserver.testing.openssl import require_ml_dsa_openssl
from tests.cli.conftest import Shell
from tests.openssl.bouncycastle import require_bouncycastle

ROOT = "slh-dsa-sha2-128f"
ISSUING = "ml-dsa-87"
# Keys of the leaves, which OpenSSL makes together with their requests.
LEAVES = ("ml-dsa-44", "ml-dsa-65", "slh-dsa-shake-128f", "slh-dsa-sha2-192f", "ec-p256")


def settings_text(options):
    return "[plugins.openssl]\n" + "".join(
        f'{name} = "{value}"\n' for name, value in options.items()
    )


@pytest.fixture(scope="module")
def openssl():
    """Run OpenSSL 3.5 in the folder of the hierarchy."""
    program = require_ml_dsa_openssl()

    def call(folder, *words):
        command = [program, *map(str, words)]
        done = subprocess.run(command, cwd=folder, capture_output=True, check=False)
        assert 0 == done.returncode, done.stderr.decode()
        return done.stdout + done.stderr

    return call


@pytest.fixture(scope="module")
def house(tmp_path_factory, options, openssl):
    """A root of SLH-DSA, an issuing authority of ML-DSA, leaves of all kinds, CRLs, requests."""
    folder = tmp_path_factory.mktemp("openssl")
    data = folder / "data"
    set_up(FirstStart(data), {}, system_clock)
    (data / "conf.d").mkdir(exist_ok=True)
    (data / "conf.d" / "openssl.toml").write_text(settings_text(options))
    shell = Shell(data, folder)
    shell("key", "generate", "openssl:top", "--type", ROOT)
    words = ("--subject", "CN=PQ Root,O=Example")
    shell("ca", "create", "top", "--key", "openssl:top", "--key-type", ROOT, *words)
    keys = ("--key", "openssl:middle", "--key-type", ISSUING)
    shell("ca", "create", "middle", "--parent", "top", *keys, "--subject", "CN=PQ Middle,O=Example")
    shell("template", "create", "pq", "--starter", "device", "--authority", "middle")
    kinds = ", ".join(f'"{kind}"' for kind in LEAVES)
    shell("template", "set", "pq", f"key.types=[{kinds}]")
    for kind in LEAVES:
        request(openssl, folder, kind)
        out = folder / f"{kind}.pem"
        shell("cert", "issue", "--template", "pq", "--csr", folder / f"{kind}.csr", "--out", out)
    for name in ("top", "middle"):
        shell("ca", "export", name, "--out", folder / f"{name}.pem")
        shell("crl", "generate", name)
        shell("crl", "export", name, "--out", folder / f"{name}.crl")
        out = folder / f"{name}.csr"
        shell("csr", "create", "--key-ref", f"openssl:{name}", "--subject", "CN=x", "--out", out)
    return SimpleNamespace(folder=folder, shell=shell)


def request(openssl, folder, kind):
    """Let OpenSSL make a key and its request."""
    algorithm = ["EC", "-pkeyopt", "ec_paramgen_curve:P-256"] if kind == "ec-p256" else [kind]
    openssl(folder, "genpkey", "-algorithm", *algorithm, "-out", f"{kind}.key")
    words = ("-subj", f"/CN={kind}", "-addext", f"subjectAltName=DNS:{kind}.plant.example")
    openssl(folder, "req", "-new", "-key", f"{kind}.key", *words, "-out", f"{kind}.csr")


@pytest.mark.parametrize("kind", LEAVES)
def test_openssl_verifies_path_and_crls(house, openssl, kind):
    """RFC 9881, RFC 9909 and RFC 5280: a path of three algorithms, each CRL by its issuer."""
    crls = [(house.folder / f"{name}.crl").read_bytes() for name in ("top", "middle")]
    (house.folder / "both.crl").write_bytes(b"".join(crls))

    said = openssl(
        house.folder,
        *("verify", "-CAfile", "top.pem", "-untrusted", "middle.pem"),
        *("-crl_check_all", "-CRLfile", "both.crl", "-x509_strict", f"{kind}.pem"),
    )

    assert f"{kind}.pem: OK" in said.decode()


@pytest.mark.parametrize("name", ["top", "middle"])
def test_openssl_verifies_requests_over_keys_that_are_kept_here(house, openssl, name):
    """RFC 2986, signed by SLH-DSA and by ML-DSA."""
    assert b"verify OK" in openssl(house.folder, "req", "-verify", "-noout", "-in", f"{name}.csr")


def test_bouncycastle_agrees(house):
    """Certificates, CRLs and requests; it has an SLH-DSA of its own."""
    judge = require_bouncycastle()
    jobs = [
        *("certificate:top.pem:top.pem", "certificate:middle.pem:top.pem"),
        *(f"certificate:{kind}.pem:middle.pem" for kind in LEAVES),
        *("crl:top.crl:top.pem", "crl:middle.crl:middle.pem", "request:top.csr"),
        *("request:middle.csr", *(f"request:{kind}.csr" for kind in LEAVES)),
    ]

    said = judge(house.folder, *jobs)

    assert [f"good {job}" for job in jobs] == said.splitlines()


def test_a_request_with_a_bent_signature_is_refused(house, openssl):
    """Nothing is issued; the sentence says why."""
    kind = "slh-dsa-shake-128f"
    openssl(house.folder, "req", "-in", f"{kind}.csr", "-outform", "DER", "-out", "bent.der")
    octets = bytearray((house.folder / "bent.der").read_bytes())
    octets[-1] ^= 1
    (house.folder / "bent.der").write_bytes(octets)

    answer = house.shell.try_(
        "cert", "issue", "--template", "pq", "--csr", house.folder / "bent.der"
    )

    assert 0 != answer.code
    assert "not signed by the key that it names" in answer.errors


def test_a_template_names_the_parameter_sets_that_it_takes(house, openssl):
    """One that is not named is refused, and so is a key that is too long."""
    request(openssl, house.folder, "slh-dsa-sha2-256f")

    csr = house.folder / "slh-dsa-sha2-256f.csr"
    answer = house.shell.try_("cert", "issue", "--template", "pq", "--csr", csr)

    assert "slh-dsa-sha2-256f keys are not allowed" in answer.errors


def test_keys_go_out_in_the_form_that_is_asked_for(house, openssl):
    """And come back, whatever OpenSSL made of them."""
    shell, folder = house.shell, house.folder
    openssl(
        folder,
        *("genpkey", "-algorithm", "ML-DSA-65", "-provparam", "ml-dsa.output_formats=priv-only"),
        *("-out", "expanded.key"),
    )
    spki = openssl(folder, "pkey", "-in", "expanded.key", "-pubout")
    name = "openssl:old"

    refused = shell.try_("key", "import", "software:old", folder / "expanded.key")
    shell("key", "import", name, folder / "expanded.key", "--exportable")

    assert "has no seed" in refused.errors
    for form in ("expanded", "oqs"):
        shell(
            "key", "export", name, "--form", form, "--unencrypted", "--out", folder / f"{form}.out"
        )
        assert spki == openssl(folder, "pkey", "-in", f"{form}.out", "-pubout")
    assert "no seed" in shell.try_("key", "export", name, "--form", "seed", "--unencrypted").errors
    secret = shell.file("secret", "correct horse\n")
    shell("key", "export", name, "--passphrase-file", secret, "--out", folder / "sealed.out")
    words = ("pkey", "-in", "sealed.out", "-passin", "pass:correct horse", "-pubout")
    assert spki == openssl(folder, *words)
    shell("key", "import", "openssl:again", folder / "sealed.out", "--passphrase-file", secret)
    for wrong in ("wrong\n", "\n"):
        secret = shell.file("wrong", wrong)
        words = ("key", "import", "openssl:no", folder / "sealed.out", "--passphrase-file", secret)
        assert 0 != shell.try_(*words).code


def test_a_hierarchy_that_was_made_elsewhere_is_taken_over(house, openssl):
    """Its SLH-DSA root by certificate alone, its issuing authority with its key."""
    shell, folder = house.shell, house.folder
    for name, kind in (("above", "SLH-DSA-SHAKE-128f"), ("below", "SLH-DSA-SHA2-128f")):
        openssl(folder, "genpkey", "-algorithm", kind, "-out", f"{name}.key")
    extensions = ("-addext", "keyUsage=critical,keyCertSign,cRLSign")
    openssl(
        folder,
        *("req", "-x509", "-key", "above.key", "-subj", "/CN=Above", "-days", "30"),
        *(*extensions, "-out", "above.pem"),
    )
    openssl(
        folder,
        *("req", "-x509", "-key", "below.key", "-subj", "/CN=Below", "-days", "20"),
        *("-CA", "above.pem", "-CAkey", "above.key", *extensions, "-out", "below.pem"),
    )
    certificates = ("--certificate", folder / "below.pem", "--certificate", folder / "above.pem")
    words = ("ca", "import", "taken", "--key-file", folder / "below.key", *certificates)

    refused = shell.try_(*words, "--key", "software:taken")
    shell(*words, "--key", "openssl:taken")

    assert "openssl:NAME" in refused.errors
    shell("crl", "export", "taken", "--out", folder / "taken.crl")
    said = openssl(folder, "crl", "-verify", "-noout", "-in", "taken.crl", "-CAfile", "below.pem")
    assert b"verify OK" in said


def test_a_root_changes_from_slh_dsa_to_ml_dsa(house, openssl):
    """Old and new certify each other; both roads lead to a root that a client trusts."""
    shell, folder = house.shell, house.folder
    shell(
        "ca", "create", "old", "--key", "openssl:old-1", "--key-type", ROOT, "--subject", "CN=Old"
    )
    shell("ca", "export", "old", "--out", folder / "old-1.pem")

    shell("ca", "rekey", "old", "--key", "openssl:old-2", "--key-type", "ml-dsa-44")
    shell("ca", "export", "old", "--out", folder / "old-2.pem")

    verdict = openssl(folder, "verify", "-CAfile", "old-2.pem", "-x509_strict", "old-2.pem")
    assert b"OK" in verdict
    shell("crl", "generate", "old")
    for generation in (1, 2):
        shell("crl", "export", "old", "--generation", generation, "--out", folder / "old.crl")
        words = ("-in", "old.crl", "-CAfile", f"old-{generation}.pem")
        assert b"verify OK" in openssl(folder, "crl", "-verify", "-noout", *words)


def test_the_doctor_says_which_openssl_signs(house, options):
    """Engine, version, and kinds of keys."""
    found = {row["check"]: row for row in house.shell.try_("doctor", "-o", "json").json}

    row = found["openssl: openssl"]
    assert "ok" == row["state"]
    assert row["found"].startswith(options["engine"])
    assert "slh-dsa (12)" in row["found"]
    assert "openssl:top is ready" in found["key of top"]["found"]


def test_a_key_of_an_authority_stays(house):
    """As software keys do; the list knows who uses it."""
    users = {row["key"]: row["authority"] for row in house.shell.json("key", "list")}

    assert ("top", "middle") == (users["openssl:top"], users["openssl:middle"])
    assert 7 == house.shell.try_("key", "remove", "openssl:top", "--yes").code
