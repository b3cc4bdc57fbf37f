"""Who may import whom, and what only one place may do; read from the source, nothing is run."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
TREES = ("pikaserver", "hsm_agent", *sorted(f"plugins/{p.name}" for p in ROOT.glob("plugins/*")))
SERVER = (
    "first_start ground host_plugin opening own_certificate periodic_checkpoints publishing server"
    " serving"
)
LOADING = "plugin_answers plugin_discovery plugin_hooks plugin_manager plugin_server"
HOUSE = "api asn1 authority clock hookspecs jobs logs secrecy settings signing storage web"

# A part may import itself and the parts named here; `pikaserver.` is left out.
MAY_IMPORT = {
    "api": "",
    "clock": "",
    "secrecy": "",
    "asn1": "api",
    "signing": "api asn1 hsm_agent.wire",
    "storage": "api asn1",
    "authority": "api asn1 signing storage",
    "web": "api",
    "hookspecs": "api",
    "settings": "api secrecy",
    "jobs": "api secrecy",
    "logs": "secrecy",
    **dict.fromkeys(LOADING.split(), f"api hookspecs {LOADING}"),
    **dict.fromkeys(SERVER.split(), f"{HOUSE} {LOADING} {SERVER}"),
    "cli": f"{HOUSE} {LOADING} {SERVER}",
    "testing": f"{HOUSE} {LOADING} {SERVER} hsm_agent.wire",
    "hsm_agent": "hsm_agent.wire",
    "hsm_agent.wire": "",
    **{f"pikaserver_{Path(tree).name}": "api asn1" for tree in TREES[2:]},
    "pikaserver_agents": "api asn1 hsm_agent.wire",
}
# A distribution and the only places that may import it.
ONLY_IN = {
    "asn1crypto": ("pikaserver.asn1",),
    "OpenSSL": ("pikaserver.web",),
    "pluggy": ("pikaserver.plugin_manager", "pikaserver.api.hooks"),
    "pkilint": ("pikaserver.authority",),
    "smartcard": ("hsm_agent.stores.piv",),
    "ykman": (),  # it kills scdaemon and signals yubikey-agent when it cannot connect
    "yubikit": ("hsm_agent.stores.piv",),
}
CLOCK_AND_DICE = {
    *("date.today", "datetime.now", "datetime.today", "datetime.utcnow", "os.getrandom"),
    *("os.urandom", "time.localtime", "time.gmtime", "time.time", "time.time_ns", "uuid.uuid1"),
    *("uuid.uuid4", "uuid.uuid7"),
}
DICE = {"random", "secrets"}
NO_NAMES = {"base", "common", "core", "helpers", "manager", "util", "utils"}
LONGEST_FILE = 300
LONGEST_FUNCTION = 40


def sources() -> dict[str, str]:
    """Return every module of ours by its dotted name."""
    found = {}
    for tree in TREES:
        folder = ROOT / tree
        base = folder if tree.startswith("plugins/") else ROOT
        for path in folder.rglob("*.py"):
            name = ".".join(path.relative_to(base).with_suffix("").parts)
            found[name.removesuffix(".__init__")] = path.read_text(encoding="utf-8")
    return found


def part(module: str) -> str | None:
    """Return the part of the house that a module belongs to, the most precise one."""
    short = module.removeprefix("pikaserver.")
    known = [name for name in MAY_IMPORT if short == name or short.startswith(f"{name}.")]
    return max(known, key=len, default=None)


def imports(tree: ast.AST, modules: dict[str, str]) -> Iterator[str]:
    """Yield the dotted name of everything that is imported, ours as modules."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield inner if inner in modules else node.module


def faults(modules: dict[str, str]) -> list[str]:
    """List everything that breaks a rule of the house."""
    found: list[str] = []
    graph: dict[str, set[str]] = {}
    for module, source in modules.items():
        tree = ast.parse(source)
        imported = set(imports(tree, modules))
        graph[module] = {name for name in imported if name in modules}
        found += [f"{module} {fault}" for fault in import_faults(module, imported)]
        found += [f"{module} {fault}" for fault in text_faults(module, source, tree)]
    return found + [f"circle: {' -> '.join(circle)}" for circle in circles(graph)]


def import_faults(module: str, imported: set[str]) -> Iterator[str]:
    """Find arrows that point upwards, and libraries outside their one place."""
    own = part(module)
    if own is None and module != "pikaserver":
        yield "stands on no floor: add it to MAY_IMPORT"
    allowed = {own, *MAY_IMPORT.get(own or "", "").split()}
    for name in sorted(imported):
        first = name.partition(".")[0]
        ours = first == "hsm_agent" or first.startswith("pikaserver")
        if ours and part(name) not in allowed:
            yield f"imports {name}"
        if not any(f"{module}.".startswith(f"{home}.") for home in ONLY_IN.get(first, (module,))):
            yield f"imports {name}"
        if own == "hsm_agent.wire" and first not in {
            *sys.stdlib_module_names,
            "cbor2",
            "hsm_agent",
        }:
            yield f"imports {name}"


def text_faults(module: str, source: str, tree: ast.Module) -> Iterator[str]:
    """Find what no file may hold, or only one."""
    if NO_NAMES & set(module.split(".")):
        yield "has a name that says nothing"
    if len(source.splitlines()) > LONGEST_FILE:
        yield f"has {len(source.splitlines())} lines"
    for node in ast.walk(tree):
        yield from shape_faults(node)
        if not module.endswith(".clock"):
            yield from clock_faults(node)


def shape_faults(node: ast.AST) -> Iterator[str]:
    """Find imports that hide something, and functions that are too long."""
    if isinstance(node, ast.ImportFrom) and node.level:
        yield f"line {node.lineno}: a relative import"
    named = ast.unparse(node) if isinstance(node, ast.Name | ast.alias | ast.Attribute) else ""
    if named.endswith("TYPE_CHECKING"):
        yield f"line {node.lineno}: TYPE_CHECKING"
    if isinstance(node, ast.FunctionDef) and function_lines(node) > LONGEST_FUNCTION:
        yield f"{node.name} has {function_lines(node)} lines"


def clock_faults(node: ast.AST) -> Iterator[str]:
    """Find a second source of time or randomness."""
    if isinstance(node, ast.Attribute):
        name = ".".join(ast.unparse(node).split(".")[-2:])
        if name in CLOCK_AND_DICE:
            yield f"line {node.lineno}: {name}"
    elif isinstance(node, ast.Import):
        yield from (f"imports {alias.name}" for alias in node.names if alias.name in DICE)
    elif isinstance(node, ast.ImportFrom):
        for alias in node.names:
            if node.module in DICE or f"{node.module}.{alias.name}" in CLOCK_AND_DICE:
                yield f"imports {node.module}.{alias.name}"


def function_lines(function: ast.FunctionDef) -> int:
    """Count a function's lines without its docstring."""
    first = function.body[0]
    text = first.value if isinstance(first, ast.Expr) else None
    told = isinstance(text, ast.Constant) and isinstance(text.value, str)
    docstring = (first.end_lineno or 0) - first.lineno + 1 if told else 0
    return (function.end_lineno or 0) - function.lineno + 1 - docstring


def circles(graph: dict[str, set[str]]) -> list[list[str]]:
    """Return circles of imports; none when every module can be put above those it imports."""
    left = {module: set(targets) - {module} for module, targets in graph.items()}
    while free := [module for module, targets in left.items() if not targets & left.keys()]:
        for module in free:
            del left[module]
    if not left:
        return []
    path = [next(iter(left))]
    while path[-1] not in path[:-1]:
        path.append(min(left[path[-1]] & left.keys()))
    return [path[path.index(path[-1]) :]]


def test_the_house_keeps_its_own_rules():
    """Floors, no circles, one place each for ASN.1, pluggy, time and randomness, small files."""
    modules = sources()

    assert {"pikaserver.api.hooks", "pikaserver_est", "hsm_agent"} <= modules.keys()
    assert [] == faults(modules)


@pytest.mark.parametrize("tree", ["tests", "benchmarks"])
def test_what_is_beside_the_house_is_in_small_files_too(tree):
    """Who looks for a promise finds it by the name of a file."""
    found = {path: path.read_text("utf-8") for path in (ROOT / tree).rglob("*.py")}
    long = {str(path) for path, text in found.items() if text.count("\n") > LONGEST_FILE}

    assert found
    assert set() == long


@pytest.mark.parametrize(
    ("module", "source", "fault"),
    [
        ("pikaserver.web.x", "import pikaserver.storage.tables", "imports pikaserver.storage"),
        (
            "pikaserver.web.x",
            "def f():\n    from pikaserver import authority",
            "imports pikaserver",
        ),
        ("pikaserver.api.x", "from pikaserver import jobs", "imports pikaserver"),
        ("pikaserver.storage.x", "from pikaserver.signing import sign", "pikaserver.signing"),
        ("pikaserver_est.x", "from pikaserver.server import build", "imports pikaserver.server"),
        ("pikaserver_est.x", "import pikaserver_crl", "imports pikaserver_crl"),
        ("hsm_agent.x", "from pikaserver.api import errors", "imports pikaserver.api"),
        ("hsm_agent.wire.x", "import requests", "imports requests"),
        ("hsm_agent.wire.x", "import hsm_agent.policy", "imports hsm_agent.policy"),
        ("pikaserver.signing.x", "import hsm_agent.channel", "imports hsm_agent.channel"),
        ("pikaserver.novelty", "", "stands on no floor"),
        ("pikaserver_est.messages", "from asn1crypto import core", "imports asn1crypto"),
        ("pikaserver.server", "import pluggy", "imports pluggy"),
        ("pikaserver.jobs", "from .clock import x", "a relative import"),
        ("pikaserver.jobs", "import typing\nif typing.TYPE_CHECKING:\n    x = 1", "TYPE_CHECKING"),
        ("pikaserver.jobs", "import datetime as d\nd.datetime.now()", "datetime.now"),
        ("pikaserver.jobs", "import time\ntime.time()", "time.time"),
        ("pikaserver.jobs", "from time import time", "imports time.time"),
        ("pikaserver.jobs", "import os\nx = os.urandom", "os.urandom"),
        ("pikaserver.jobs", "from secrets import token_hex", "imports secrets.token_hex"),
        ("pikaserver.jobs", "import random", "imports random"),
        ("pikaserver.web.utils", "", "has a name that says nothing"),
        ("pikaserver.jobs", "x = 1\n" * 301, "has 301 lines"),
        ("pikaserver.jobs", "def f():\n" + "    x = 1\n" * 40, "f has 41 lines"),
    ],
)
def test_a_broken_rule_is_found(module, source, fault):
    """The checker above is no better than what it finds."""
    modules = dict.fromkeys(sources(), "")

    (found,) = faults({**modules, module: source})

    assert found.startswith(f"{module} ")
    assert fault in found


def test_a_circle_is_found_and_what_is_allowed_is_not():
    """Imports within functions count too."""
    circle = {
        "pikaserver.web.a": "import pikaserver.web.b",
        "pikaserver.web.b": "def f():\n    from pikaserver.web import c",
        "pikaserver.web.c": "from pikaserver.web.a import x",
        "pikaserver.web.d": "import pikaserver.web.a, time\ntime.monotonic()",
        "pikaserver.clock": "import os\nos.urandom(3)",
        "pikaserver.signing.agent": "from hsm_agent.wire import messages",
        "hsm_agent.wire.messages": "import cbor2",
    }

    (found,) = faults(circle)

    assert found.startswith("circle: pikaserver.web.")
    assert 3 == found.count(" -> ")
