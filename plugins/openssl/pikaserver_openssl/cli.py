"""The engine ``cli``: an OpenSSL in processes of its own; standard library only."""

import base64
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from pikaserver_openssl.engine import KINDS, EngineFault, Way
from pikaserver_openssl.program import Input, Program

# "  { 1.2.840.113549.1.1.1, RSA, rsaEncryption } @ default", or a single name without braces
_LISTED = re.compile(r"^\s*(?:\{([^}]*)\}|(\S+)) @ (\S+)$", re.MULTILINE)
_PEM = re.compile(rb"-----BEGIN PRIVATE KEY-----([^-]*)-----END")
_DER = ("-outform", "DER")


class CliEngine:
    """Implements ``Engine`` by the program; a provider that crashes takes nobody with it."""

    def __init__(
        self, program: Program, providers: Sequence[str], module_directory: str | None = None
    ) -> None:
        self._program = program
        # OpenSSL looks for modules in the directory that was named before the provider.
        place = ("-provider-path", module_directory) if module_directory else ()
        self._providers = (*place, *(word for one in providers for word in ("-provider", one)))
        self.title = f"cli, {self._version()}"
        self._offered = MappingProxyType(dict(self._probe()))

    @property
    def offered(self) -> Mapping[str, str]:
        """See ``Engine``."""
        return self._offered

    def generate(self, key_type: str) -> bytes:
        """See ``Engine``."""
        kind = KINDS[key_type]
        # In DER it would be the traditional form of RSA and EC keys.
        text = self._program.run(
            *("genpkey", "-algorithm", kind.name, "-outform", "PEM"),
            *_options(kind.options),
            *self._providers,
        )
        block = _PEM.search(text)
        if block is None:
            raise EngineFault("openssl genpkey wrote no private key")
        return base64.b64decode(block[1])

    def open(self, pkcs8: bytes) -> "CliKey":
        """See ``Engine``."""
        words = ("pkey", "-in", "{key}", "-pubout", *_DER, *self._providers)
        public_key = self._program.run(*words, inputs=[Input("key", pkcs8)])
        return CliKey(self._program, self._providers, public_key, pkcs8)

    def _version(self) -> str:
        return self._program.run("version").decode("utf-8", "replace").strip()

    def _probe(self) -> Iterator[tuple[str, str]]:
        text = self._program.run("list", "-signature-algorithms", *self._providers).decode()
        found = {
            name.strip().lower(): provider
            for many, one, provider in _LISTED.findall(text)
            for name in (many or one).split(",")
        }
        for key_type, kind in KINDS.items():
            if kind.signature.lower() in found:
                yield key_type, found[kind.signature.lower()]


@dataclass(frozen=True, slots=True)
class CliKey:
    """Implements ``OpenedKey``; each signature is a process, which gets the key through memory."""

    program: Program = field(repr=False)
    providers: tuple[str, ...]
    public_key: bytes
    pkcs8: bytes = field(repr=False)
    takes_mu: bool = False
    """Not asked for: the message goes through memory, too, and large ones are no trouble."""

    def sign(self, message: bytes, way: Way) -> bytes:
        """See ``OpenedKey``; without ``-rawin`` a provider may take the message for a digest."""
        return self.program.run(
            *("pkeyutl", "-sign", "-rawin", "-inkey", "{key}", "-in", "{message}"),
            *(("-digest", way.digest) if way.digest else ()),
            *_options(way.options),
            *self.providers,
            inputs=[Input("key", self.pkcs8), Input("message", message)],
        )

    def sign_mu(self, mu: bytes) -> bytes:
        """See ``OpenedKey``; older programs know no such option and fail."""
        return self.sign(mu, Way(None, {"mu": "1"}))


def _options(options: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(
        word for name, value in options.items() for word in ("-pkeyopt", f"{name}:{value}")
    )
