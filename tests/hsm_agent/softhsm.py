"""SoftHSM2 tokens for one test each: made in a folder, filled and looked at from outside."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from hsm_agent.stores.pkcs11.opening import open_store
from pikaserver.testing.requirements import missing, require_program

LABEL = "trial"
PIN = "481516"
SO_PIN = "11223344"
MODULES = (
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib64/softhsm/libsofthsm.so",
    "/usr/lib64/pkcs11/libsofthsm2.so",
    "/usr/local/lib/softhsm/libsofthsm2.so",
)


def softhsm_module():
    """Return the path of SoftHSM's library."""
    for path in MODULES:
        if Path(path).is_file():
            return path
    return missing("libsofthsm2.so", "install softhsm2")


def spy_module():
    """Return the path of OpenSC's library that writes down every call."""
    for folder in ("/usr/lib", "/usr/lib64"):
        for path in Path(folder).glob("**/pkcs11-spy.so"):
            return str(path)
    return missing("pkcs11-spy.so", "install opensc")


@dataclass
class SoftHsm:
    """One token in a folder of its own."""

    folder: Path
    module: str
    pin: str = PIN

    @property
    def environment(self):
        return {"SOFTHSM2_CONF": str(self.folder / "softhsm2.conf")}

    @property
    def token_folder(self):
        """Return the folder that is the token."""
        (found,) = (self.folder / "tokens").iterdir()
        return found

    @property
    def pin_file(self):
        return self.folder / "pin"

    def settings(self, **others):
        """Return ``[stores.NAME]`` for this token."""
        return {
            "module": self.module,
            "token": LABEL,
            "pin-file": str(self.pin_file),
            "environment": self.environment,
            **others,
        }

    def open(self, folder=None, **others):
        """Open the store as the agent does."""
        return open_store(self.settings(**others), folder or self.folder / "agent")

    def open_spied(self, **others):
        """Open the store so that `logins` can tell what reaches the token."""
        spy = {"PKCS11SPY": self.module, "PKCS11SPY_OUTPUT": str(self.folder / "calls")}
        environment = {**self.environment, **spy}
        return self.open(**{"module": spy_module(), "environment": environment, **others})

    @property
    def logins(self):
        """Return how often a PIN was given to the token by stores that were opened spied."""
        calls = self.folder / "calls"
        return calls.read_text().count(": C_Login") if calls.exists() else 0

    def write_pin(self, pin):
        self.pin_file.write_text(f"{pin}\n")
        self.pin_file.chmod(0o600)

    def remove(self):
        """Take the token out; its folder is moved away."""
        (self.folder / "away").mkdir(exist_ok=True)
        self.token_folder.rename(self.folder / "away" / self.token_folder.name)

    def put_back(self):
        """Put the token that was taken out back to where it was."""
        (away,) = (self.folder / "away").iterdir()
        away.rename(self.folder / "tokens" / away.name)

    def tool(self, *arguments, login=True):
        """Run OpenSC's pkcs11-tool against the token and return what it prints."""
        program = require_program("pkcs11-tool", package="opensc")
        pin = ["--login", "--pin", self.pin] if login else []
        command = [program, "--module", self.module, "--token-label", LABEL, *pin, *arguments]
        return self.run(command).stdout

    def python(self, source, **values):
        """Run a piece of Python with python-pkcs11 in a process of its own; return its output.

        It finds ``token`` and ``session`` (logged in, read-write), and the values by their names.
        """
        script = _PREAMBLE + source
        arguments = [sys.executable, "-c", script, self.module, LABEL, self.pin, repr(values)]
        return self.run(arguments).stdout

    def run(self, command, *, check=True):
        """Run a program that sees this token and no other."""
        return subprocess.run(
            command,
            env={**os.environ, **self.environment},
            capture_output=True,
            text=True,
            check=check,
            timeout=60,
        )


_PREAMBLE = """
import ast, sys
import pkcs11
from pkcs11 import *
module, label, pin, values = sys.argv[1:]
globals().update(ast.literal_eval(values))
token = pkcs11.lib(module).get_token(token_label=label)
session = token.open(rw=True, user_pin=pin)
"""


def make_softhsm(folder, pin=PIN):
    """Make a token with one PIN, which is in a file as well."""
    program = require_program("softhsm2-util", package="softhsm2")
    softhsm = SoftHsm(folder, softhsm_module(), pin)
    (folder / "tokens").mkdir(parents=True)
    (folder / "softhsm2.conf").write_text(
        f"directories.tokendir = {folder / 'tokens'}\nobjectstore.backend = file\n"
        "log.level = ERROR\nslots.removable = true\n"
    )
    new = ["--init-token", "--free", "--label", LABEL, "--so-pin", SO_PIN, "--pin", pin]
    softhsm.run([program, *new])
    softhsm.write_pin(pin)
    return softhsm
