"""The how-to is true: its commands run, one after the other, against a server that listens."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography import x509

from pikaserver.testing.requirements import require_program
from pikaserver.testing.servers import running_server

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "enrol-with-rest.md"
BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PRELUDE = """
pikaserver() { "$PYTHON" -m pikaserver.cli "$@" --data "$DATA" | tee -a printed; }
curl() { command curl $RESOLVE "$@"; }
[ ! -e variables ] || . ./variables
CODE=$(sed -n 's/^code *//p' printed 2>/dev/null | tail -1)
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with running_server(tmp_path_factory.mktemp("how-to"), "--plugins", "crl,rest") as made:
        yield made


@pytest.fixture
def run(server, tmp_path):
    """Give a function that runs a block of the page in a shell, and keeps its variables."""
    for program in ("bash", "curl", "openssl"):
        require_program(program, package=program)
    environment = {
        **os.environ,
        "PYTHON": sys.executable,
        "DATA": str(server.data),
        "RESOLVE": " ".join(server.curl),
    }

    def run_(commands):
        text = commands.replace("http://pki.example.org", server.http)
        text = text.replace("https://pki.example.org", server.https)
        done = subprocess.run(
            [
                "bash",
                "-euc",
                f"{PRELUDE}\n{text}\ndeclare -p API SERIAL >variables 2>/dev/null || :",
            ],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert 0 == done.returncode, f"{commands}\n{done.stdout}{done.stderr}"
        return done.stdout

    return run_


def test_the_page_does_what_it_says(run, tmp_path):
    """From the code to the revocation, with curl and openssl alone."""
    begin, bare, in_json, look, renew, revoke = BLOCK.findall(PAGE.read_text())

    run(begin)
    run(bare)
    first, issuing = x509.load_pem_x509_certificates((tmp_path / "cert.pem").read_bytes())
    again = json.loads(run(in_json))
    looked, subject, window = run(look).splitlines()
    run(renew)
    revoked = json.loads(run(revoke))

    first.verify_directly_issued_by(issuing)
    assert first.serial_number == int(again["serial"], 16)
    assert again["serial"] == json.loads(looked)["serial"]
    assert "CN" in subject
    assert "plc-21" in subject
    assert {"start", "end"} == json.loads(window)["suggestedWindow"].keys()
    renewed = x509.load_pem_x509_certificate((tmp_path / "new-cert.pem").read_bytes())
    assert renewed.subject == first.subject
    assert ("revoked", again["serial"]) == (revoked["status"], revoked["serial"])


def test_curl_gets_problems_over_a_real_line(run, tmp_path):
    """401 with a challenge, 405, 413 and 404 of this door; plain HTTP does not lead here."""
    run(
        'curl -fsS -o root.pem http://pki.example.org/ca/root.pem\nAPI="https://pki.example.org/api/v1"'
    )

    def status(words):
        return run(f"curl -sS --cacert root.pem -o body -w '%{{http_code}}' {words}")

    assert "401" == status('-d @/dev/null "$API/certificates"')
    assert (
        "/api/v1/problems/not-authenticated"
        == (json.loads((tmp_path / "body").read_text())["type"])
    )
    assert "405" == status('-X DELETE "$API/templates"')
    assert "404" == status('"$API/nothing"')
    assert "404" == status("http://pki.example.org/api/v1/authorities")
    assert "200" == status('"$API/openapi.json"')
    (tmp_path / "large").write_bytes(b" " * 200_000)
    assert "413" == status('--data-binary @large "$API/certificates"')


def test_up_says_where_it_is(server):
    """Beside what it says of the other doors."""
    assert "/api/v1/openapi.json" in server.log()


BEGIN = """
curl -fsS -o root.pem http://pki.example.org/ca/root.pem
API=https://pki.example.org/api/v1
openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc -keyout key.pem \
  -subj /CN=plc-1 -addext subjectAltName=DNS:plc-1.example -out request.pem
"""
ASK = "curl -sS --cacert root.pem -H 'Content-Type: application/pkcs10' --data-binary @request.pem"


def test_every_form_is_opened_by_openssl(server, run):
    """PEM verifies up to the root with the chain that came along; PKCS#7 and DER are read."""
    run(BEGIN)
    code = ":".join(server.code())
    place = '"$API/certificates?template=device'

    for form in ("pem", "der", "pkcs7"):
        run(f'{ASK} -f -u {code} {place}&format={form}" -o cert.{form}')

    verified = run("openssl verify -CAfile root.pem -untrusted cert.pem cert.pem")
    listed = run("openssl pkcs7 -inform DER -in cert.pkcs7 -print_certs -noout")
    names = run("openssl x509 -inform DER -in cert.der -noout -ext subjectAltName")
    assert "cert.pem: OK" in verified
    assert 2 == listed.count("subject=")
    assert "DNS:plc-1.example" in names


def test_a_person_approves_beside_the_running_server(server, run, tmp_path):
    """202 and a place; after 'request approve' the place leads to the certificate."""
    server.command("template", "create", "slow", "--starter", "device", "--authority", "issuing")
    server.command("template", "set", "slow", "approval=true")
    run(BEGIN)
    user = "-u " + ":".join(server.code("slow"))

    told = run(f"{ASK} {user} -D head -w '%{{http_code}}' \"$API/certificates?template=slow\"")
    head = (tmp_path / "head").read_text().lower()
    place = re.search(r"location: /api/v1(\S+)", head)[1]
    look = f'curl -fsS --cacert root.pem {user} "$API{place}"'
    before = json.loads(run(look))
    server.command("request", "approve", str(before["id"]))
    after = json.loads(run(look))
    path = after["links"]["certificates"][0]
    certificate = run(
        f'curl -fsS --cacert root.pem "${{API%/api/v1}}{path}?format=pem"'
        " | openssl x509 -noout -subject"
    )

    assert told.endswith("202")
    assert "retry-after: " in head
    assert ("pending", "issued") == (before["state"], after["state"])
    assert "plc-1" in certificate


def test_two_curls_at_once_get_one_certificate(server, run):
    """One code, one certificate; who was told to come back gets it, too."""
    run(BEGIN)
    code = ":".join(server.code())
    ask = f'{ASK} -u {code} -o /dev/null -w "%{{http_code}} " "$API/certificates?template=device"'
    last = f'{ASK} -f -u {code} "$API/certificates?template=device"'

    both = run(f"{ask} & {ask}; wait")
    again = json.loads(run(last))

    assert set(both.split()) <= {"201", "503"}
    found = server.command("cert", "list", "--subject", "plc-1", "-o", "json")
    mine = [one for one in json.loads(found) if one["requester"].endswith(code.partition(":")[0])]
    assert [int(again["serial"], 16)] == [int(one["serial"].replace(":", ""), 16) for one in mine]
