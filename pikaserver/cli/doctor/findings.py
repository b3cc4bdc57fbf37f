"""What an examination finds."""

from dataclasses import dataclass
from enum import StrEnum

from pikaserver.cli.output import Record


class State(StrEnum):
    """How bad it is."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True)
class Finding:
    """What was looked at, what was found, and what to do; no advice where all is well."""

    check: str
    state: State
    found: str
    advice: str = ""


def fine(check: str, found: str) -> Finding:
    """Return that there is nothing to do."""
    return Finding(check, State.OK, found)


def warning(check: str, found: str, advice: str) -> Finding:
    """Return something that will be a problem, or may be meant so."""
    return Finding(check, State.WARNING, found, advice)


def problem(check: str, found: str, advice: str) -> Finding:
    """Return something that keeps the server from its work."""
    return Finding(check, State.PROBLEM, found, advice)


def finding_row(finding: Finding) -> Record:
    """Return the columns of the list; an advice is too long for one."""
    return {"check": finding.check, "state": finding.state, "found": finding.found}


def finding_details(finding: Finding) -> Record:
    """Return everything, for programs."""
    return {**finding_row(finding), "advice": finding.advice or None}
