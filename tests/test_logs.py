"""Logs are one record per line, and hold no secret however it got there."""

import io
import json
import logging

import pytest

from pikaserver import logs
from pikaserver.secrecy import MASK

CANARY = "canary-93f1"


@pytest.fixture
def log():
    """Give a function that logs one record and returns what was written."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level

    def write(form, event, *arguments, level="info", **options):
        stream = io.StringIO()
        logs.configure(form, level, stream)
        logging.getLogger("pikaserver.tests").info(event, *arguments, **options)
        return stream.getvalue()

    yield write
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(capture=False)


def test_json_lines_carry_time_level_logger_event_and_fields(log):
    """A program finds every field by its name."""
    line = log("json", "issued", extra={"request_id": "r-1", "serial": "0a", "count": 2})

    record = json.loads(line)
    assert record.pop("time").endswith("Z")
    assert {
        "level": "info",
        "logger": "pikaserver.tests",
        "event": "issued",
        "request_id": "r-1",
        "serial": "0a",
        "count": 2,
    } == record
    assert 1 == line.count("\n")


def test_text_lines_are_for_people(log):
    """Fields follow the event; values with blanks are quoted."""
    line = log("text", "refused", extra={"request_id": "r-1", "why": "not ours", "empty": ""})

    assert line.endswith(' pikaserver.tests: refused request_id=r-1 why="not ours" empty=""\n')


@pytest.mark.parametrize("form", ["text", "json"])
def test_nobody_writes_lines_of_his_own(log, form):
    """A name with a line feed or an escape sequence stays within its line."""
    hostile = "x\n2026-01-01T00:00:00Z info fake: all is well\x1b[2J\x9b"

    line = log(form, "refused %s", hostile, extra={"name_asked": hostile})

    assert 1 == line.count("\n")
    assert line[:-1].isprintable()


def caught(error):
    """Return an error with a traceback."""
    try:
        raise error
    except type(error) as raised:
        return raised


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_traceback_stays_with_its_record(log, form):
    """In text it is indented, so that no line of it looks like a record."""
    error = caught(ValueError("out of luck\nforged line"))

    text = log(form, "failed", exc_info=error)

    assert "ValueError: out of luck" in text
    first, *others = text.splitlines()
    assert "failed" in first
    assert all(line.startswith("  ") for line in others)


@pytest.mark.parametrize("form", ["text", "json"])
@pytest.mark.parametrize(
    "extra",
    [
        {"password": CANARY},
        {"challenge_password": CANARY},
        {"pin": 4711},
        {"api-token": CANARY},
        {"key": CANARY},
        {"csr": CANARY.encode()},
        {"code": CANARY},
        {"authorization": f"Basic {CANARY}"},
        {"headers": {"Cookie": CANARY, "Accept": "x"}},
        {"attempts": [{"secret": CANARY}]},
        {"url": f"postgresql://u:{CANARY}@h/db"},
        {"text": f"-----BEGIN PRIVATE KEY-----\n{CANARY}\n-----END PRIVATE KEY-----"},
    ],
)
def test_secret_fields_are_masked(log, form, extra):
    """By their names, at any depth, and by their shape."""
    line = log(form, "asked", extra=extra)

    assert MASK in line
    assert CANARY not in line
    assert "4711" not in line


@pytest.mark.parametrize("form", ["text", "json"])
def test_secrets_in_messages_and_errors_are_masked(log, form):
    """Errors of database drivers quote the URL they were given."""
    url = f"postgresql://u:{CANARY}@h/db"
    error = caught(OSError(f"cannot reach {url}"))

    line = log(form, "lost %s", url, exc_info=error)

    assert "cannot reach" in line
    assert CANARY not in line


def test_the_level_rules_and_libraries_keep_quiet(log):
    """Raising the level hides ours; sqlalchemy's statements never show at info."""
    assert not log("text", "issued", level="warning")
    log("text", "issued")
    assert not logging.getLogger("sqlalchemy.engine").isEnabledFor(logging.INFO)
    assert not logging.getLogger("alembic.runtime").isEnabledFor(logging.INFO)
