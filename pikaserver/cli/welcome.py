"""What ``pikaserver up`` says when it serves: where, and what to do next."""

from pathlib import Path

from cryptography.hazmat.primitives.hashes import SHA256

from pikaserver.authority.authorities import IssuingKey
from pikaserver.first_start import ISSUING, ROOT, TLS
from pikaserver.serving import RunningServer


def welcome(running: RunningServer, data: Path) -> list[str]:
    """Return the lines to print."""
    server = running.server
    lines = ["", "pikaserver is ready."]
    lines += [f"  {name:<10} {address}" for name, address in running.addresses.items()]
    keys = {
        key.authority: key
        for key in server.authorities.all_keys()
        if key.generation.current and server.authorities.get(key.authority).enabled
    }
    if ROOT in keys:
        lines += ["", f"Trust this root:  {_name(keys[ROOT])}"]
        lines += [f"  SHA-256 {_fingerprint(keys[ROOT])}"]
    base = server.base_url("crl")
    if base is not None and ISSUING in keys:
        lines += [f"  curl -o chain.pem {base}/downloads/chain"]
    if base is not None and TLS in keys:
        lines += ["", f"To connect over TLS, trust this root:  {_name(keys[TLS])}"]
        lines += [f"  SHA-256 {_fingerprint(keys[TLS])}"]
        lines += [f"  curl -o tls.pem {base}/ca/{TLS}.pem"]
    if "est" in server.plugins.names:
        lines += ["", "Give a device a code, then let it enrol:"]
        lines += [f"  pikaserver code create --template device --data {data}"]
    reached = [*server.local_urls("acme"), server.base_url("acme")]
    if "acme" in server.plugins.names and reached[0] is not None:
        lines += [
            "",
            "Let certbot, lego or another ACME client prove a name and get its certificate:",
        ]
        lines += [f"  {reached[0]}/acme/web/directory"]
    reached = [*server.local_urls("rest"), server.base_url("rest")]
    if "rest" in server.plugins.names and reached[0] is not None:
        lines += ["", "Programs ask in JSON:", f"  {reached[0]}/api/v1/openapi.json"]
    lines += ["", "A certificate right now, without any protocol:"]
    files = f"--key-out www.key --out www.pem --data {data}"
    lines += [f"  pikaserver cert issue --template web --dns www.example.test {files}"]
    lines += ["", "Everything else: pikaserver --help.  Stop with Ctrl-C.", ""]
    return lines


def _name(key: IssuingKey) -> str:
    return key.certificate.subject.rfc4514_string()


def _fingerprint(key: IssuingKey) -> str:
    return key.certificate.fingerprint(SHA256()).hex(":").upper()
