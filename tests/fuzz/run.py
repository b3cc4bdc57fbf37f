"""Fuzz the parsers: ``python -m tests.fuzz.run [--seconds N] [--seed N] [TARGET ...]``.

Guided by coverage where atheris is installed, else by plain mutation.  What is found is kept
in ``.fuzz/``, and shown again by ``--file``.
"""

import argparse
import importlib.util
import random
import subprocess
import sys
import warnings
from pathlib import Path

from tests.fuzz.campaign import Finding, feed, run
from tests.fuzz.targets import TARGETS

FOLDER = Path(".fuzz")


def main() -> int:
    """Return 1 when something was found."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.run", description=__doc__)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=", ".join(TARGETS))
    parser.add_argument("--seconds", type=float, default=10.0, help="for each target")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32))
    parser.add_argument("--plain", action="store_true", help="without atheris")
    parser.add_argument("--file", type=Path, help="feed one file and stop")
    options = parser.parse_args()
    warnings.simplefilter("error")
    names = options.targets or list(TARGETS)
    if unknown := [name for name in names if name not in TARGETS]:
        parser.error(f"no target {unknown[0]!r}; there are {', '.join(TARGETS)}")
    if options.file is not None:
        feed(TARGETS[names[0]], options.file.read_bytes())
        return 0
    guided = not options.plain and importlib.util.find_spec("atheris") is not None
    fuzz = _guided if guided else _plain
    found = [fuzz(name, options.seconds, options.seed) for name in names]
    return int(any(found))


def _plain(name: str, seconds: float, seed: int) -> bool:
    found = False
    for news in run(name, seconds, seed):
        if isinstance(news, Finding):
            found = True
            sys.stdout.write(f"{name}: {news.save(FOLDER)}\n{news.told}")
        else:
            sys.stdout.write(f"{name}: {news} inputs, seed {seed}\n")
        sys.stdout.flush()
    return found


def _guided(name: str, seconds: float, seed: int) -> bool:
    corpus = FOLDER / name
    corpus.mkdir(parents=True, exist_ok=True)
    for number, octets in enumerate(TARGETS[name].seeds()):
        (corpus / f"seed-{number}").write_bytes(octets)
    command = [sys.executable, "-m", "tests.fuzz.guided", name, corpus, f"-seed={seed}"]
    command += [f"-max_total_time={int(seconds)}", f"-artifact_prefix={FOLDER}/{name}-"]
    return subprocess.run(command, check=False).returncode != 0


if __name__ == "__main__":
    sys.exit(main())
