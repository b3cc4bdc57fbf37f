"""A time-stamping authority made of nothing but openssl, with a configuration of its own."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

CONFIGURATION = """
[req]
distinguished_name = name
[name]
[ca]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign
subjectKeyIdentifier = hash
[below]
basicConstraints = critical, CA:TRUE, pathlen:0
keyUsage = critical, keyCertSign
subjectKeyIdentifier = hash
[unit]
keyUsage = critical, digitalSignature
extendedKeyUsage = critical, timeStamping
[tsa]
default_tsa = usual
[usual]
serial = serial
default_policy = 1.2.3.4.1
other_policies = 1.2.3.4.2
digests = sha1, sha256, sha384, sha512, sha3-256
"""
USUAL = {"signer_digest": "sha256", "accuracy": "secs:1, millisecs:500, microsecs:100"}


@dataclass(frozen=True)
class ForeignTsa:
    """Keys and certificates in a folder: ``root``, ``ca`` below it, ``unit`` below that."""

    openssl: str
    folder: Path

    def call(self, *words: str) -> None:
        """Run openssl in the folder."""
        done = subprocess.run(
            [self.openssl, *words], cwd=self.folder, capture_output=True, check=False
        )
        assert 0 == done.returncode, done.stderr

    def certify(self, name: str, kind: str, issuer: str | None, key: str = "EC") -> Path:
        """Make a key and a certificate by the extensions of a section."""
        option = "rsa_keygen_bits:2048" if key == "RSA" else "ec_paramgen_curve:P-256"
        self.call("genpkey", "-algorithm", key, "-pkeyopt", option, "-out", f"{name}.key")
        signer = ("-CA", f"{issuer}.pem", "-CAkey", f"{issuer}.key") if issuer else ()
        self.call(
            *("req", "-x509", "-new", "-config", "tsa.cnf", "-extensions", kind, *signer),
            *("-key", f"{name}.key", "-subj", f"/O=Elsewhere/CN={name}", "-out", f"{name}.pem"),
        )
        return self.path(f"{name}.pem")

    def path(self, name: str) -> Path:
        """Return where a file is."""
        return self.folder / name

    def stamp(
        self, content: bytes, *query: str, unit: str = "unit", chain: bool = True, **settings: str
    ) -> bytes:
        """Return a TimeStampResp of ``openssl ts -reply``; settings go into its configuration."""
        lines = [f"{name} = {value}\n" for name, value in {**USUAL, **settings}.items()]
        self.path("run.cnf").write_text(CONFIGURATION + "".join(lines))
        self.path("content").write_bytes(content)
        self.call("ts", "-query", "-data", "content", "-out", "q.tsq", *(query or ("-cert",)))
        above = ("-chain", "ca.pem") if chain else ()
        self.call(
            *("ts", "-reply", "-config", "run.cnf", "-queryfile", "q.tsq", "-out", "r.tsr"),
            *("-signer", f"{unit}.pem", "-inkey", f"{unit}.key", *above),
        )
        return self.path("r.tsr").read_bytes()


def foreign_tsa(openssl: str, folder: Path) -> ForeignTsa:
    """Make one: a root, an authority below it, and units of several kinds."""
    made = ForeignTsa(openssl, folder)
    made.path("tsa.cnf").write_text(CONFIGURATION)
    made.path("serial").write_text("01\n")
    made.certify("root", "ca", None)
    made.certify("ca", "below", "root")
    made.certify("unit", "unit", "ca")
    made.certify("rsa-unit", "unit", "ca", "RSA")
    return made
