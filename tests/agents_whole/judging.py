"""What openssl says of certificates, CRLs and requests; it trusts nothing of ours."""

import subprocess

from pikaserver.testing.requirements import require_program


class Judge:
    """Runs ``openssl`` in a folder of its own; ``program`` may be one that knows ML-DSA."""

    def __init__(self, folder, program=None):
        self.folder = folder
        self.program = program or require_program("openssl", package="openssl")

    def file(self, name, content):
        """Write a file and return its path."""
        path = self.folder / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    def run(self, *words, given=None):
        """Run openssl, which must not fail, and return what it prints on both outputs."""
        told = subprocess.run(
            [self.program, *map(str, words)], input=given, capture_output=True, check=False
        )
        text = (told.stdout + told.stderr).decode(errors="replace")
        assert 0 == told.returncode, text
        return text

    def verdict(self, root, *certificates, options=()):
        """Return openssl's words on a path: trust in PEM, then the certificates, leaf first."""
        leaf, *others = certificates
        above = ["-untrusted", self.file("above.pem", "".join(others))] if others else []
        trust = self.file("trust.pem", root)
        command = [self.program, "verify", *options, "-CAfile", trust, *above]
        told = subprocess.run(
            [*map(str, command), str(self.file("leaf.pem", leaf))],
            capture_output=True,
            text=True,
            check=False,
        )
        return told.stdout + told.stderr

    def trusts(self, root, *certificates, options=()):
        """Tell whether openssl finds the path good; self-signed signatures are looked at too."""
        return ": OK\n" in self.verdict(
            root, *certificates, options=("-check_ss_sig", "-x509_strict", *options)
        )

    def trusts_crl(self, crl, authority):
        """Tell whether openssl finds the signature of a CRL (PEM) that of an authority's key."""
        signed, issuer = self.file("list.pem", crl), self.file("issuer.pem", authority)
        return "verify OK" in self.run("crl", "-in", signed, "-CAfile", issuer, "-noout")


class OutsideCa:
    """A CA of somebody else, made of openssl alone."""

    def __init__(self, judge):
        self._judge = judge
        folder = judge.folder
        self._key, self._root = folder / "outside.key", folder / "outside.pem"
        subject = ("-subj", "/CN=Outside Root", "-days", "3650")
        extensions = ("-addext", "basicConstraints=critical,CA:true")
        judge.run(
            "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-384", "-nodes",
            *subject, *extensions, "-addext", "keyUsage=critical,keyCertSign,cRLSign",
            "-keyout", self._key, "-out", self._root,
        )  # fmt: skip

    @property
    def pem(self):
        """Its certificate."""
        return self._root.read_text()

    @property
    def file(self):
        """The file with its certificate."""
        return self._root

    def sign(self, csr, name="signed"):
        """Return the file with the CA certificate that it makes of a CSR (PEM)."""
        judge = self._judge
        request, out = judge.file(f"{name}.csr", csr), judge.folder / f"{name}.pem"
        judge.run("req", "-in", request, "-verify", "-noout")
        extensions = judge.file(
            f"{name}.cnf",
            "basicConstraints=critical,CA:true,pathlen:0\nkeyUsage=critical,keyCertSign,cRLSign\n"
            "subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n",
        )
        judge.run(
            "x509", "-req", "-in", request, "-CA", self._root, "-CAkey", self._key, "-days", "365",
            "-set_serial", "0x0123456789abcdef", "-extfile", extensions, "-out", out,
        )  # fmt: skip
        return out
