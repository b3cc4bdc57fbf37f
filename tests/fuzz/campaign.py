"""One target under mutated inputs, watched for foreign errors and for slowness."""

import hashlib
import time
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.fuzz.cbor_mutation import CborMutator
from tests.fuzz.mutation import Mutator
from tests.fuzz.target import Target
from tests.fuzz.targets import TARGETS

SECONDS_PER_64_KIB = 1.0


class TooSlow(Exception):
    """The parser took more than a second of this processor for each 64 KiB."""


@dataclass(frozen=True)
class Finding:
    """An input that a target did not take as it promises."""

    target: str
    octets: bytes
    told: str

    def save(self, folder: Path) -> Path:
        """Keep the input, so that it can be fed again."""
        folder.mkdir(exist_ok=True)
        path = folder / f"{self.target}-{hashlib.sha256(self.octets).hexdigest()[:12]}"
        path.write_bytes(self.octets)
        return path


def feed(target: Target, octets: bytes) -> bool:
    """Let a target read an input; return whether it was taken.

    Raises:
        TooSlow: it took too long.
        Exception: the target raised what it does not promise.
    """
    began = time.process_time()
    try:
        target.parse(octets)
    except target.refusals:
        taken = False
    else:
        taken = True
    spent = time.process_time() - began
    if spent > SECONDS_PER_64_KIB * max(1, len(octets) / 65536) and not target.is_trusted:
        raise TooSlow(f"{spent:.1f} s for {len(octets)} octets")
    return taken


def run(name: str, seconds: float, seed: int) -> Iterator[Finding | int]:
    """Yield each finding, one per kind of error, and at last the number of inputs."""
    target, number, seen = TARGETS[name], 0, set[str]()
    corpus = target.seeds()
    if target.is_cbor:
        mutator: CborMutator | Mutator = CborMutator(corpus, seed)
    else:
        mutator = Mutator(corpus, target.words, is_der=target.is_der, seed=seed)
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        octets = corpus[number] if number < len(corpus) else mutator.next()
        number += 1
        try:
            feed(target, octets)
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # noqa: BLE001 - a panic of Rust is no Exception
            frame = traceback.extract_tb(error.__traceback__)[-1]
            kind = f"{type(error).__name__} {frame.filename}:{frame.lineno}"
            if kind not in seen:
                seen.add(kind)
                yield Finding(name, octets, "".join(traceback.format_exception(error, limit=-8)))
    yield number
