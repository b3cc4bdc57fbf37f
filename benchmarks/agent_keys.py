"""Keys for the benchmark of the agent, and what each of them signs without any agent.

``python benchmarks/agent_keys.py KIND FOLDER SECONDS`` prints the signatures per second that one
process gets from a key in a bare loop: no channel, no policy, no journal, no verification.
"""

import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from measuring import cpu_seconds

PIN, SO_PIN, LABEL = "481516", "11223344", "bench"
OCTETS = bytes(1000)
_MODULES = ("/usr/lib/softhsm/libsofthsm2.so", "/usr/lib64/softhsm/libsofthsm.so")
_SOFTHSM = "directories.tokendir = {0}/tokens\nobjectstore.backend = file\nlog.level = ERROR\n"


@dataclass(frozen=True)
class BenchKey:
    """A key that is measured: ``kind`` is one of `LOOPS`, ``options`` are those of an enrolment."""

    name: str
    kind: str
    key_type: str
    options: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    label: str = "bench"


def software() -> BenchKey:
    """Return a key in a file of the agent."""
    return BenchKey("software P-256", "software", "ec-p256")


def softhsm(folder: Path, key_type: str) -> BenchKey:
    """Return a key on a new SoftHSM token in this folder."""
    (folder / "tokens").mkdir(parents=True)
    configuration = folder / "softhsm2.conf"
    configuration.write_text(_SOFTHSM.format(folder))
    environment = {"SOFTHSM2_CONF": str(configuration)}
    new = ("--init-token", "--free", "--label", LABEL, "--so-pin", SO_PIN, "--pin", PIN)
    subprocess.run(
        ["softhsm2-util", *new],
        env={**os.environ, **environment},
        check=True,
        stdout=subprocess.DEVNULL,
    )
    pin = folder / "pin"
    pin.touch(mode=0o600)
    pin.write_text(PIN)
    token = ("--pkcs11-module", _module(), "--pkcs11-token", LABEL, "--pin-file", str(pin))
    kind = "rsa" if key_type.startswith("rsa") else "ec"
    return BenchKey(f"SoftHSM {key_type}", kind, key_type, token, environment)


def virtual_yubikey(seconds: float) -> BenchKey:
    """Return the key in slot 9c of a card that takes so long for a signature."""
    return BenchKey(f"virtual YubiKey, {seconds * 1000:.0f} ms", "piv", "ec-p256", label="9c")


def softhsm_is_missing() -> str:
    """Say what SoftHSM would need that is not here, nothing where all is."""
    if not shutil.which("softhsm2-util") or not _module():
        return "softhsm2 is not installed"
    return "" if importlib.util.find_spec("pkcs11") else "python-pkcs11 is not installed"


def limit(key: BenchKey, folder: Path, seconds: float, enter: tuple[str, ...] = ()) -> "Limit":
    """Measure a key in a bare loop, in a process of its own."""
    done = subprocess.run(
        [*enter, sys.executable, __file__, key.kind, str(folder), str(seconds)],
        env={**os.environ, **key.environment},
        check=True,
        stdout=subprocess.PIPE,
    )
    return Limit(**json.loads(done.stdout))


@dataclass(frozen=True)
class Limit:
    """Signatures per second, and the CPU seconds of one, in the process that has the key."""

    rate: float
    cpu: float


def _module() -> str:
    return next((path for path in _MODULES if Path(path).exists()), "")


def _software(_folder: Path) -> Callable[[], object]:
    from cryptography.hazmat.primitives import hashes  # noqa: PLC0415 - only this loop needs it
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415 - as above

    key, algorithm = ec.generate_private_key(ec.SECP256R1()), ec.ECDSA(hashes.SHA256())
    return lambda: key.sign(OCTETS, algorithm)


def _token_key(folder: Path) -> Any:  # noqa: ANN401 - python-pkcs11's types are its own
    import pkcs11  # noqa: PLC0415 - not everywhere installed

    token = pkcs11.lib(_module()).get_token(token_label=LABEL)
    session = token.open(user_pin=(folder / "pin").read_text())
    return session.get_key(pkcs11.ObjectClass.PRIVATE_KEY, label=LABEL)


def _rsa(folder: Path) -> Callable[[], object]:
    from pkcs11 import Mechanism  # noqa: PLC0415 - not everywhere installed

    key = _token_key(folder)
    return lambda: key.sign(OCTETS, mechanism=Mechanism.SHA256_RSA_PKCS)


def _ec(folder: Path) -> Callable[[], object]:
    from pkcs11 import Mechanism  # noqa: PLC0415 - not everywhere installed

    key = _token_key(folder)
    return lambda: key.sign(hashlib.sha256(OCTETS).digest(), mechanism=Mechanism.ECDSA)


def _piv(folder: Path) -> Callable[[], object]:
    from cryptography.hazmat.primitives import hashes  # noqa: PLC0415 - only some loops need it
    from ykman.pcsc import list_devices  # noqa: PLC0415 - not everywhere installed
    from yubikit.core.smartcard import SmartCardConnection  # noqa: PLC0415 - as above
    from yubikit.piv import KEY_TYPE, SLOT, PivSession  # noqa: PLC0415 - as above

    # The reader has two slots, and the card is in the first.
    device = min(list_devices("yubikey"), key=lambda one: str(one.reader.name))
    session = PivSession(device.open_connection(SmartCardConnection))
    session.verify_pin((folder / "yubikey.pin").read_text().strip())
    return lambda: session.sign(SLOT.SIGNATURE, KEY_TYPE.ECCP256, OCTETS, hashes.SHA256())


LOOPS = {"software": _software, "rsa": _rsa, "ec": _ec, "piv": _piv}


def main(kind: str, folder: str, seconds: str) -> None:
    """Sign in a loop and print what came of it."""
    sign = LOOPS[kind](Path(folder))
    sign()
    done, began, used = 0, time.perf_counter(), cpu_seconds(os.getpid())
    while (passed := time.perf_counter() - began) < float(seconds):
        sign()
        done += 1
    cpu = (cpu_seconds(os.getpid()) - used) / done
    print(json.dumps({"rate": done / passed, "cpu": cpu}), flush=True)
    # Modules and cards are known to hang when an interpreter takes them down.
    os._exit(0)


if __name__ == "__main__":
    main(*sys.argv[1:])
