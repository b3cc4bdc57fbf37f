"""One target under atheris: ``python -m tests.fuzz.guided TARGET [libFuzzer's options]``."""

import sys

import atheris

with atheris.instrument_imports():
    from tests.fuzz.campaign import feed
    from tests.fuzz.targets import TARGETS


def main() -> None:
    """Fuzz until libFuzzer's options end it."""
    target = TARGETS[sys.argv.pop(1)]
    atheris.Setup(sys.argv, lambda octets: feed(target, octets) and None)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
