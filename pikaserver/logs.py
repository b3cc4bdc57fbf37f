"""Structured logs on one stream: short events with fields, as lines of text or of JSON.

A record's fields come by ``extra``: ``_log.info("issued", extra={"serial": "0a1b"})``.  What a
formatter writes has passed `_readable`, which is the one place where secrets are masked.
"""

import json
import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Literal, TextIO

from pikaserver.secrecy import MASK, is_secret, without_secrets

_SECRET_FIELDS = frozenset({"authorization", "code", "cookie", "csr", "kek", "key", "private_key"})
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"asctime", "message", "taskName"}
_encode = json.JSONEncoder(default=str).encode
# Libraries that tell at "info" what only their authors want to know.
_TALKATIVE = ("alembic", "sqlalchemy", "waitress")


def configure(form: Literal["text", "json"], level: str, stream: TextIO) -> None:
    """Let every logger of this process write to a stream, from a level on."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonLines() if form == "json" else TextLines())
    root = logging.getLogger()
    for former in root.handlers[:]:
        root.removeHandler(former)
    root.addHandler(handler)
    root.setLevel(level.upper())
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))
    logging.captureWarnings(capture=True)


class JsonLines(logging.Formatter):
    """One JSON object per record."""

    def format(self, record: logging.LogRecord) -> str:
        """See ``logging.Formatter``."""
        return _encode(_readable(record))


class TextLines(logging.Formatter):
    """One line per record, for people; a traceback follows indented."""

    def format(self, record: logging.LogRecord) -> str:
        """See ``logging.Formatter``."""
        fields = _readable(record)
        time, level = fields.pop("time"), fields.pop("level")
        logger, event = fields.pop("logger"), str(fields.pop("event"))
        trace = fields.pop("traceback", None)
        parts = [f"{time} {level:<7} {logger}: {_printable(event)}"]
        parts += [f"{name}={_word(value)}" for name, value in fields.items()]
        line = " ".join(parts)
        # Nothing in a traceback may look like a line of its own.
        return line if trace is None else "\n  ".join([line, *str(trace).splitlines()])


def _readable(record: logging.LogRecord) -> dict[str, object]:
    """Return what may be written of a record."""
    fields: dict[str, object] = {
        "time": datetime.fromtimestamp(record.created, UTC)
        .isoformat(timespec="milliseconds")
        .replace("+00:00", "Z"),
        "level": record.levelname.lower(),
        "logger": record.name,
        "event": without_secrets(record.getMessage()),
    }
    for name, value in vars(record).items():
        if name not in _STANDARD:
            fields[name] = _masked(name, value)
    if record.exc_info:
        fields["traceback"] = without_secrets(logging.Formatter().formatException(record.exc_info))
    return fields


def _masked(name: str, value: object) -> object:
    """Return a field's value without secrets, however deep they stand."""
    if value is None or isinstance(value, bool | int | float):
        return MASK if is_secret(name) and value is not None else value
    if is_secret(name) or name.lower().replace("-", "_") in _SECRET_FIELDS:
        return MASK
    if isinstance(value, str):
        return without_secrets(value)
    if isinstance(value, Mapping):
        return {str(inner): _masked(str(inner), item) for inner, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_masked(name, item) for item in value]
    return without_secrets(str(value))


def _word(value: object) -> str:
    text = value if isinstance(value, str) else _encode(value)
    plain = text.isprintable() and text and not any(c in text for c in ' "=')
    return text if plain else _encode(text)


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text)
