"""What a ``sign`` line means for later decisions."""

from dataclasses import dataclass
from datetime import datetime

from hsm_agent.journal.line import Line, number, text
from hsm_agent.policy.memory import CrlMark


@dataclass(frozen=True, slots=True)
class Use:
    """One structure that was allowed for one key.

    ``key`` and ``tbs_hash`` are SHA-256; ``ts`` and ``not_after`` are milliseconds since 1970,
    ``not_after`` 0 where the structure is no certificate, ``serial`` then -1.
    """

    key: bytes
    kind: str
    tbs_hash: bytes
    ts: int
    serial: int = -1
    not_after: int = 0
    scope: str = ""
    crl: CrlMark | None = None
    approved: bool = False

    @classmethod
    def of(cls, line: Line) -> "Use":
        """Read a line of event ``sign``.

        Raises:
            ValueError: a field is missing or is not what it has to be.
        """
        tbs_hash = bytes.fromhex(text(line, "tbs"))
        serial = text(line, "serial")
        return cls(
            bytes.fromhex(text(line, "key")),
            text(line, "kind"),
            tbs_hash,
            number(line, "ts"),
            int(serial, 16) if serial else -1,
            _milliseconds(text(line, "not-after")) if serial else 0,
            text(line, "scope"),
            _crl_mark(line, tbs_hash),
            bool(line.get("approved-by")),
        )


def _crl_mark(line: Line, tbs_hash: bytes) -> CrlMark | None:
    crl_number = text(line, "crl-number")
    if not crl_number:
        return None
    this_update = datetime.fromisoformat(text(line, "this-update"))
    return CrlMark(int(crl_number), this_update, tbs_hash)


def _milliseconds(when: str) -> int:
    return int(datetime.fromisoformat(when).timestamp() * 1000)
