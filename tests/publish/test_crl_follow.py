"""``crl follow`` keeps files fresh: verified, never older, at one stroke."""

import contextlib
import io
import logging
import subprocess

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from pikaserver.asn1.pem import read_pem, write_pem
from pikaserver.cli.main import run
from pikaserver.testing.clock import CountedEntropy
from pikaserver.testing.damage import altered
from pikaserver.testing.throw_away import ThrowAwayAuthority
from tests.publish.shop import PROGRAM


@pytest.fixture
def once(issuer, tmp_path, monkeypatch):
    """Run it once, in this process; return its exit code and what it said."""
    monkeypatch.setattr(logging.root, "handlers", [])
    monkeypatch.setattr(logging.root, "level", logging.WARNING)

    def run_once(*words, out="crl.pem", issuers=(issuer,)):
        known = [word for path in issuers for word in ("--issuer", path)]
        to = ("--out", tmp_path / out) if out else ()
        line = ["crl", "follow", *words, *known, *to, "--once", "--timeout", "30s"]
        with contextlib.redirect_stderr(io.StringIO()) as said:
            return run([str(word) for word in line]), said.getvalue()

    yield run_once
    logging.captureWarnings(capture=False)


def test_a_crl_comes_and_a_newer_one_takes_its_place(shop, once, crl, tmp_path):
    """In DER as it was signed, or in PEM."""
    shop.files["/crl"] = crl(1)
    assert (0, 1) == (once(f"{shop.url}/crl")[0], len(shop.asked))
    assert crl(1) == (tmp_path / "crl.pem").read_bytes()

    shop.files["/crl"] = write_pem("X509 CRL", crl(2))
    assert 0 == once(f"{shop.url}/crl", "--pem")[0]

    assert [crl(2)] == read_pem((tmp_path / "crl.pem").read_bytes(), "X509 CRL")


def test_several_crls_stand_in_one_file_or_each_in_its_own(
    shop, once, crl, house, tmp_path, issuer
):
    """Verifiers of whole chains want a CRL of each issuer."""
    root = house.server.authorities.keys["root"][0]
    (tmp_path / "root.pem").write_bytes(write_pem("CERTIFICATE", root.certificate))
    shop.files["/issuing"], shop.files["/root"] = crl(1), crl(1, key=root)
    issuers = (issuer, tmp_path / "root.pem")

    both = [f"{shop.url}/{name}" for name in ("issuing", "root")]
    pairs = [f"{url}={tmp_path}/{number}.crl" for number, url in enumerate(both)]
    assert 0 == once(*both, *pairs, issuers=issuers)[0]

    found = read_pem((tmp_path / "crl.pem").read_bytes(), "X509 CRL")
    assert [crl(1), crl(1, key=root)] == found
    assert crl(1, key=root) == (tmp_path / "1.crl").read_bytes()


def test_a_server_that_is_away_takes_nothing_from_the_file(
    shop, once, crl, house, tmp_path, issuer
):
    """What was there of the other issuer stays, and the code says that the file still holds."""
    root = house.server.authorities.keys["root"][0]
    (tmp_path / "root.pem").write_bytes(write_pem("CERTIFICATE", root.certificate))
    issuers, urls = (issuer, tmp_path / "root.pem"), [f"{shop.url}/issuing", f"{shop.url}/root"]
    shop.files["/issuing"], shop.files["/root"] = crl(1), crl(1, key=root)
    once(*urls, issuers=issuers)
    shop.files["/issuing"], shop.files["/root"] = crl(2), 503

    code, said = once(*urls, issuers=issuers)

    assert 0 == code
    assert "answers 503" in said
    found = read_pem((tmp_path / "crl.pem").read_bytes(), "X509 CRL")
    assert {crl(2), crl(1, key=root)} == set(found)


BAD = {
    "older": "is older than",
    "stranger": "is not by a known issuer",
    "forged": "is not by a known issuer",
    "of tomorrow": "begins in the future",
    "delta": "about something else",
    "cut off": "CRL",
    "portal": "CRL",
    "empty": "CRL",
    "two": "expected one CRL, found 2",
}


@pytest.fixture
def bad(house, crl):
    """Return what may not take the place of CRL 2, by its name."""
    stranger = ThrowAwayAuthority("issuing", house.clock(), CountedEntropy("stranger"))
    return {
        "older": crl(1),
        "stranger": crl(3, key=stranger),
        "forged": altered(crl(3)),
        "of tomorrow": crl(3, hours=1),
        "delta": crl(3, base_number=1),
        "cut off": crl(3)[:-20],
        "portal": b"<html>captive portal</html>",
        "empty": b"",
        "two": write_pem("X509 CRL", crl(3)) * 2,
    }


@pytest.mark.parametrize("name", BAD)
def test_what_may_not_take_its_place_does_not(shop, once, crl, tmp_path, bad, name):
    """Older, forged, of tomorrow, about something else, cut off, no CRL."""
    shop.files["/crl"] = crl(2)
    once(f"{shop.url}/crl")
    shop.files["/crl"] = bad[name]

    code, said = once(f"{shop.url}/crl")

    assert 1 == code
    assert BAD[name] in said
    assert crl(2) == (tmp_path / "crl.pem").read_bytes()


def test_a_new_key_s_first_crl_takes_over_and_the_old_key_s_do_not_come_back(
    shop, once, crl, tmp_path, issuer, house
):
    """Numbers begin anew with a key; then the later of the two is the newer one."""
    new = house.server.authorities.add("issuing", "root")
    path = tmp_path / "new.pem"
    path.write_bytes(write_pem("CERTIFICATE", new.certificate))
    shop.files["/crl"] = crl(40)
    once(f"{shop.url}/crl", issuers=(issuer, path))

    shop.files["/crl"] = first = crl(1, key=new, hours=-0.5)
    assert 0 == once(f"{shop.url}/crl", issuers=(issuer, path))[0]
    shop.files["/crl"] = crl(41)
    assert 1 == once(f"{shop.url}/crl", issuers=(issuer, path))[0]

    assert first == (tmp_path / "crl.pem").read_bytes()


def test_exit_codes_tell_whether_the_reader_can_start(shop, once, crl, tmp_path):
    """Missing and not to be had; there and ended; there and held, whoever is away."""
    assert 4 == once(f"{shop.url}/nothing")[0]
    shop.files["/crl"] = crl(1, hours=-3, days=0.05)
    assert 6 == once(f"{shop.url}/crl")[0]
    shop.files["/crl"] = crl(2)
    assert 0 == once(f"{shop.url}/crl")[0]
    shop.files.clear()
    assert 0 == once(f"{shop.url}/crl")[0]
    (tmp_path / "crl.pem").unlink()
    assert 4 == once(f"{shop.url}/crl")[0]


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["ftp://x/y", "--out", "x"], "should begin with http://"),
        (["http://x/y"], "needs a file"),
        (["http://x/y?a=b"], "needs a file"),
        (["http://x/y=/z", "--out", "x"], "--out is for URLs without a file"),
        (["http://x/y", "--out", "x", "--signal", "HUP"], "belong together"),
        (["http://x/y", "--out", "x", "--signal", "HOP", "--pid-file", "x"], "a name like 'HUP'"),
        (["http://x/y", "--out", "x", "--issuer", "nowhere"], "nowhere"),
    ],
)
def test_a_wrong_line_is_told(words, why):
    """Before anything is fetched."""
    done = subprocess.run([*PROGRAM, *words], capture_output=True, text=True, check=False)

    assert 2 == done.returncode
    assert why in done.stderr


def test_redirects_lead_on_but_never_from_tls_to_plain(shop, once, crl):
    """And not in a circle."""
    shop.files["/crl"] = crl(1)
    shop.files["/moved"] = (302, b"", {"Location": "/crl"})
    shop.files["/circle"] = (302, b"", {"Location": "/circle"})
    shop.files["/ftp"] = (302, b"", {"Location": "ftp://x/"})

    assert 0 == once(f"{shop.url}/moved", out="a")[0]
    for name, why in (("circle", "again and again"), ("ftp", "not as safe")):
        code, said = once(f"{shop.url}/{name}", out="b")
        assert 4 == code
        assert why in said


def test_without_an_issuer_only_the_form_and_the_age_count(shop, once, crl):
    """Its reader verifies the signature anyway."""
    shop.files["/crl"] = crl(2)
    assert 0 == once(f"{shop.url}/crl", issuers=())[0]
    shop.files["/crl"] = crl(1)
    assert 1 == once(f"{shop.url}/crl", issuers=())[0]


def test_a_certificate_of_the_issuer_may_be_der(house, once, shop, crl, tmp_path):
    """As ``/ca/issuing.cer`` gives it."""
    key = house.server.authorities.keys["issuing"][0]
    path = tmp_path / "issuing.cer"
    path.write_bytes(x509.load_der_x509_certificate(key.certificate).public_bytes(Encoding.DER))
    shop.files["/crl"] = crl(1)

    assert 0 == once(f"{shop.url}/crl", issuers=(path,))[0]
