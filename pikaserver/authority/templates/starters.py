"""Starters: ready-made beginnings for templates, as commented documents that ship with us."""

from importlib import resources

from pikaserver.api.errors import NotFound

STARTERS = (
    "web",
    "client",
    "device",
    "code-signing",
    "smime",
    "document-signing",
    "ocsp",
    "tsa",
    "scep",
    "subca",
    "vpn",
    "wifi",
    "kubernetes",
    "mqtt-broker",
    "mqtt-client",
    "registrar",
    "cmc",
    "key-establishment",
    "audit",
)
"""Their names, which are also those of the templates that the first start creates."""


def starters(*, issuing: str = "issuing", root: str = "root") -> dict[str, str]:
    """Return the documents of all starters by name; see `starter`."""
    return {name: starter(name, issuing=issuing, root=root) for name in STARTERS}


def starter(name: str, *, issuing: str = "issuing", root: str = "root") -> str:
    """Return a starter's document, comments included.

    Args:
        name: one of `STARTERS`.
        issuing: the authority that signs for end entities here.
        root: the authority that signs for subordinate ones here.

    Raises:
        NotFound: no such starter.
    """
    if name not in STARTERS:
        raise NotFound(f"there is no starter {name!a}; there are {', '.join(STARTERS)}")
    file = resources.files("pikaserver.authority.templates.starter_documents").joinpath(
        f"{name}.toml"
    )
    return "".join(
        _with_authorities(line, issuing, root)
        for line in file.read_text(encoding="utf-8").splitlines(keepends=True)
    )


def _with_authorities(line: str, issuing: str, root: str) -> str:
    if not line.startswith(("authority", "client-authorities")):
        return line
    return line.replace('"issuing"', f'"{issuing}"').replace('"root"', f'"{root}"')
