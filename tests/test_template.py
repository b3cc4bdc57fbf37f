"""The plugins that strangers copy work, outside this repository, and the guide shows their code."""

import ast
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
GUIDE = (DOCS / "plugin-guide.md").read_text(encoding="utf-8")
PIP = (sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "--no-input")


class Elsewhere:
    """A fresh environment into which one plugin was built and installed."""

    def __init__(self, folder, project):
        self._folder = folder
        self._source = folder / "source"
        self._python = folder / "venv" / "bin" / "python"
        shutil.copytree(DOCS / project, self._source)
        wheels = folder / "wheels"
        self._call(*PIP, "wheel", "--no-deps", "--no-build-isolation", "--no-index",
                   "--wheel-dir", wheels, self._source)  # fmt: skip
        self._call(sys.executable, "-m", "venv", "--without-pip", folder / "venv")
        (wheel,) = wheels.glob("*.whl")
        self._call(*PIP, "--python", self._python, "install", "--no-deps", "--no-index", wheel)
        self._borrow()

    def _borrow(self):
        """Let the environment see this one's libraries, which saves a download."""
        (libraries,) = (self._folder / "venv" / "lib").glob("*/site-packages")
        ours = [ROOT, *sorted((ROOT / "plugins").iterdir()), sysconfig.get_path("purelib")]
        (libraries / "borrowed.pth").write_text("\n".join(map(str, ours)) + "\n", encoding="utf-8")

    def _call(self, *command):
        environment = {n: v for n, v in os.environ.items() if not n.startswith(("PY", "PIKA"))}
        answer = subprocess.run(
            [str(word) for word in command],
            capture_output=True,
            text=True,
            check=False,
            cwd=self._folder,
            env=environment,
        )
        assert 0 == answer.returncode, answer.stdout + answer.stderr
        return answer.stdout

    def pikaserver(self, *arguments):
        """Run the command line of the environment."""
        return self._call(self._python, "-P", "-m", "pikaserver.cli", *arguments)

    def test(self):
        """Run the plugin's own tests against what was installed."""
        tests = self._source / "tests"
        return self._call(self._python, "-P", "-m", "pytest", "-p", "no:cacheprovider", tests)


@pytest.mark.parametrize(
    ("project", "name", "hooks"),
    [
        ("plugin-template", "hello", "register_services, register_validators"),
        (
            "plugin-example",
            "visits",
            "register_commands, register_migrations, register_services, register_settings",
        ),
    ],
)
def test_a_copied_plugin_builds_loads_and_passes_its_tests(tmp_path, project, name, hooks):
    """In a fresh environment, without touching the host."""
    elsewhere = Elsewhere(tmp_path, project)
    settings = tmp_path / "pikaserver.toml"
    settings.write_text(f'[plugins]\nenabled = ["{name}"]\n', encoding="utf-8")

    told = elsewhere.pikaserver("plugins", "info", name, "--config", settings)
    elsewhere.pikaserver("config", "check", "--config", settings)
    tested = elsewhere.test()

    assert "enabled" in told
    assert hooks in told
    assert re.search(r"\d+ passed", tested)
    assert "skipped" not in tested


def test_the_template_is_as_small_as_it_says():
    """Ten lines of code that do something; the rest is imports, docstrings and names."""
    source = (DOCS / "plugin-template" / "pikaserver_hello.py").read_text(encoding="utf-8")
    statements = [
        node
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Assign | ast.For | ast.If | ast.Raise | ast.Return)
    ]

    assert len(statements) <= 10


def blocks():
    """Return the guide's blocks of code with the file that is named above each."""
    return re.findall(
        r"^(?:`([^`\n]+)`:\n\n)?```(\w+)\n(.*?)\n```$", GUIDE, re.DOTALL | re.MULTILINE
    )


@pytest.mark.parametrize(
    ("file", "code"), [(file, code) for file, _, code in blocks() if file], ids=lambda v: v[:40]
)
def test_the_guides_code_is_that_of_the_tested_files(file, code):
    """Line by line."""
    text = (DOCS / file).read_text(encoding="utf-8")

    assert f"\n{code}\n" in f"\n{text}"


def test_all_python_of_the_guide_names_its_file():
    """What is not taken from a tested file would rot."""
    assert [] == [code for file, language, code in blocks() if language == "python" and not file]


def test_the_guide_keeps_its_order():
    """One small file first; a stranger reaches the second chapter in ten minutes."""
    chapters = re.findall(r"^## (\d)\. (\w+)", GUIDE, re.MULTILINE)

    words = [
        "One",
        "Install",
        "Settings",
        "A",
        "Storing",
        "Commands",
        "Testing",
        "Publishing",
        "The",
    ]
    assert [(str(n), word) for n, word in enumerate(words, 1)] == chapters


def test_the_guides_table_lists_every_hook():
    """In the order of ``pikaserver.hookspecs``, with arguments and return types."""
    source = (ROOT / "pikaserver" / "hookspecs.py").read_text(encoding="utf-8")
    hooks = [
        (f"{node.name}({', '.join(a.arg for a in node.args.args)})", ast.unparse(node.returns))
        for node in ast.parse(source).body
        if isinstance(node, ast.FunctionDef)
    ]

    rows = re.findall(r"^\| `(.+?)` \| `(.+?)` \|$", GUIDE, re.MULTILINE)

    assert hooks == [(hook, returns.replace("\\|", "|")) for hook, returns in rows]
