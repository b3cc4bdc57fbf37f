"""Names of files, objects, entries and topics, made of templates."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from string import Formatter

from pikaserver.api.crls import FULL_CRL, CrlSummary
from pikaserver.api.errors import ConfigurationError

CRL_PLACEHOLDERS = ("authority", "generation", "scope", "part", "number")
CERTIFICATE_PLACEHOLDERS = ("authority", "generation")
STATUS_PLACEHOLDERS = ("authority",)
_SHARD = "shard-"
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*", re.ASCII)


@dataclass(frozen=True, slots=True)
class NameTemplate:
    """A name with placeholders such as ``{authority}``."""

    text: str
    placeholders: frozenset[str]

    @classmethod
    def read(cls, text: str, known: tuple[str, ...]) -> "NameTemplate":
        """Check a template.

        Raises:
            ConfigurationError: it has a placeholder that is none, or a single brace.
        """
        try:
            parts = list(Formatter().parse(text))
        except ValueError as error:
            raise ConfigurationError(f"{text!r} is no name: {error}") from error
        used = [field for _, field, _, _ in parts if field is not None]
        plain = all(not form and turn is None for _, field, form, turn in parts if field)
        if not plain or not set(used) <= set(known):
            there = ", ".join(f"{{{name}}}" for name in known)
            raise ConfigurationError(f"{text!r} may have the placeholders {there} and no others")
        return cls(text, frozenset(used))

    def of_crl(self, crl: CrlSummary, write: Callable[[str], str] = str) -> str:
        """Return the name of a CRL; ``write`` puts each value in the name's own writing."""
        values = {
            "authority": crl.authority,
            "generation": str(crl.generation),
            "scope": crl.scope,
            "part": part_of(crl.scope),
            "number": str(crl.number),
        }
        return self._filled(values, write)

    def of_certificate(
        self, authority: str, generation: int, write: Callable[[str], str] = str
    ) -> str:
        """Return the name of an authority's certificate."""
        return self._filled({"authority": authority, "generation": str(generation)}, write)

    def of_authority(self, authority: str) -> str:
        """Return the name of something that is an authority's."""
        return self._filled({"authority": authority}, str)

    def _filled(self, values: dict[str, str], write: Callable[[str], str]) -> str:
        for name in self.placeholders:
            # Authorities and scopes have plain names; this is the wall behind that fence.
            empty = name == "part" and not values[name]
            if not empty and not _PLAIN.fullmatch(values[name].removeprefix("-")):
                raise ConfigurationError(f"{values[name]!r} cannot be part of a name")
        return self.text.format(**{name: write(value) for name, value in values.items()})


def part_of(scope: str) -> str:
    """Return what stands behind the authority in the server's own names: ``-delta``, ``-3``."""
    return "" if scope == FULL_CRL else f"-{scope.removeprefix(_SHARD)}"
