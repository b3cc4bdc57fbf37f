"""``hsm-agent journal``: reads the files themselves, whether the agent runs or not."""

import argparse
import os
import sys
from pathlib import Path

from hsm_agent.cli.output import say, write_json, write_rows
from hsm_agent.control.exit_codes import DONE, UNHEALTHY
from hsm_agent.control.records import operation_record
from hsm_agent.journal.reading import export as export_lines
from hsm_agent.journal.reading import read_tail, stream
from hsm_agent.journal.verify import verify as verify_folder
from hsm_agent.places import Place
from hsm_agent.settings.settings import load_settings


def verify(arguments: argparse.Namespace) -> int:
    """Read the whole journal again."""
    report = verify_folder(_folder(arguments))
    if arguments.output == "json":
        write_json(
            {
                "sound": report.sound,
                "files": report.files,
                "lines": report.lines,
                "head": report.mark.head.hex(),
                "unfinished": report.unfinished,
                "events": dict(report.events),
                "faults": [
                    {"file": one.file, "line": one.place, "what": one.what} for one in report.faults
                ],
            }
        )
    else:
        say(report.text().rstrip("\n"))
    return DONE if report.sound else UNHEALTHY


def export(arguments: argparse.Namespace) -> int:
    """Write lines as they are."""
    folder = _folder(arguments)
    last = arguments.last or read_tail(folder).mark.index
    if arguments.out is None:
        export_lines(folder, arguments.first, last, sys.stdout.buffer.write)
        sys.stdout.flush()
        return DONE
    descriptor = os.open(arguments.out, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        mark = export_lines(folder, arguments.first, last, file.write)
    say(f"{arguments.out}: up to line {mark.index}, SHA-256 {mark.head.hex()}")
    return DONE


def show(arguments: argparse.Namespace) -> int:
    """Show the newest lines."""
    folder = _folder(arguments)
    first = max(1, read_tail(folder).mark.index - arguments.lines + 1)
    records: list[object] = [operation_record(one.mark, one.line) for one in stream(folder, first)]
    for record in records:
        if isinstance(record, dict) and arguments.output != "json":
            told = {k: v for k, v in record.items() if k not in {"line", "at", "event"}}
            record["about"] = told
    write_rows(records, ("line", "at", "event", "about"), arguments.output, "It is empty.")
    return DONE


def _folder(arguments: argparse.Namespace) -> Path:
    place = Place(arguments.data)
    return place.within(load_settings(place).journal)
