"""The recipes of ``docs/how-to/reload-crls.md``, taken from the page as an operator would."""

import re
import shlex
from pathlib import Path

CHAIN = "/etc/pikaserver/chain.pem"

STATE = "/var/lib/pikaserver-crl-follow"


PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "reload-crls.md"
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def chapter(title):
    """Return the text below a heading."""
    _, _, rest = PAGE.read_text(encoding="utf-8").partition(f"\n## {title}\n")
    assert rest, title
    return rest.partition("\n## ")[0]


def arguments(title, replaced):
    """Return the words of a program's follower; ``replaced`` are places by those on the page."""
    (block,) = [text for kind, text in _BLOCK.findall(chapter(title)) if "ARGUMENTS=" in text]
    text = block.replace("\\\n", "").removeprefix("ARGUMENTS=")
    return shlex.split(_replaced(text, replaced))


def configuration(title, replaced, kind="text"):
    """Return what goes into the program's own configuration."""
    texts = [text for found, text in _BLOCK.findall(chapter(title)) if found == kind]
    return _replaced("".join(texts), replaced)


def _replaced(text, replaced):
    for place, ours in replaced.items():
        assert place in text, place
        text = text.replace(place, str(ours))
    return text


def places_of(house, folder):
    """Return what stands on the page, and what is here in its place."""
    return {
        "http://pki.example.org": f"http://127.0.0.1:{house.server.http_port}",
        STATE: folder,
        CHAIN: house.chain,
    }
