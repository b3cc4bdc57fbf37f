"""The status page as text: made of the ``status`` deed's record, and of nothing else."""

from collections.abc import Iterable, Mapping, Sequence
from html import escape

_GOOD = {"up", "ready"}
_SIGNS = {True: ("good", "●"), False: ("bad", "▲")}
_SHORT = 20


def page(status: Mapping[str, object]) -> str:
    """Return the whole page in HTML."""
    name = escape(str(status["name"]))
    body = [
        _header(status, name),
        "<main id=main>",
        _warnings(_texts(_map(status["policy"]), "warnings"), status),
        _section("Lines to the server", _lines(_list(status["lines"]))),
        _section("Waiting for approval", _approvals(_list(status["approvals"]))),
        _section("Keys", _keys(_list(status["keys"]))),
        _section("Stores", _stores(_list(status["stores"]))),
        _section("Last operations", _operations(_list(status["operations"]))),
        _section("Policy and journal", _foundations(status)),
        "</main>",
    ]
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{name}: signing'
        ' agent</title><meta name="viewport" content="width=device-width, initial-scale=1">'
        '<link rel="stylesheet" href="/style.css"></head><body>' + "".join(body) + "</body></html>"
    )


def _header(status: Mapping[str, object], name: str) -> str:
    software = escape(str(status["software"]))
    return (
        '<a class="skip" href="#main">Skip to content</a><header>'
        f"<h1>{name}</h1><p>Signing agent, {software}. This page shows, and changes nothing."
        ' <a href="/" accesskey="r">Reload</a></p></header>'
    )


def _warnings(warnings: Sequence[str], status: Mapping[str, object]) -> str:
    trial = [_map(key) for key in _list(status["keys"]) if _map(key)["trial"]]
    if trial:
        word = "key is" if len(trial) == 1 else "keys are"
        warnings = [f"{len(trial)} {word} for trials: no better protected than a file.", *warnings]
    if not warnings:
        return ""
    items = "".join(f"<li>{escape(warning)}</li>" for warning in warnings)
    heading = '<section class="warning" aria-label="Warnings"><h2>⚠ Warnings</h2>'
    return f"{heading}<ul>{items}</ul></section>"


def _lines(lines: Sequence[object]) -> str:
    rows = [
        [
            _text(line["node"]),
            _text(line["address"]),
            _state(line["state"]),
            _text("-" if line["ping_age"] is None else f"{line['ping_age']} ms"),
            _text(line["answered"]),
            _text(line["refused"]),
            _text(line["fault"]),
        ]
        for line in map(_map, lines)
    ]
    names = ("Node", "Address", "State", "Last sign of life", "Answered", "Refused", "Last fault")
    return _table(names, rows, "No node is known. Enrol this agent.")


def _approvals(approvals: Sequence[object]) -> str:
    rows = [
        [
            _code(_cut(one["id"])),
            _text(one["key"]),
            _text(one["kind"]),
            _time(one["since"]),
            _text(f"{len(_list(one['approved_by']))} of {one['need']}"),
            f"<details><summary>Content</summary><pre>{escape(str(one['text']))}</pre></details>",
        ]
        for one in map(_map, approvals)
    ]
    names = ("Begins with", "Key", "Kind", "Since", "Approved", "What it says")
    return _table(names, rows, "Nothing waits.")


def _keys(keys: Sequence[object]) -> str:
    rows = [
        [
            _text(key["name"]) + (' <b class="tag">trial</b>' if key["trial"] else ""),
            _text(key["key_type"]),
            _state(key["state"]),
            _text("yes" if key["certificate"] else "no"),
            _code(_cut(key["spki"]), str(key["spki"])),
        ]
        for key in map(_map, keys)
    ]
    names = ("Name", "Type", "State", "Has a certificate", "Public key")
    return _table(names, rows, "There is no key yet.")


def _stores(stores: Sequence[object]) -> str:
    rows = [
        [
            _text(store["name"]),
            _text(store["kind"]),
            _state(store["state"]),
            _text(", ".join(map(str, _list(store["free"])))),
            _text(", ".join(f"{name}: {value}" for name, value in _map(store["details"]).items())),
        ]
        for store in map(_map, stores)
    ]
    return _table(("Name", "Kind", "State", "Free", "About it"), rows, "There is no store.")


def _operations(operations: Sequence[object]) -> str:
    rows = []
    for operation in map(_map, operations):
        left = {k: v for k, v in operation.items() if k not in {"line", "at", "event"}}
        told = ", ".join(f"{name}: {_cut(value)}" for name, value in left.items())
        rows.append(
            [
                _text(operation["line"]),
                _time(operation["at"]),
                _text(operation["event"]),
                _text(told),
            ]
        )
    return _table(("Line", "At", "What", "About it"), rows, "Nothing has happened yet.")


def _foundations(status: Mapping[str, object]) -> str:
    policy, journal = _map(status["policy"]), _map(status["journal"])
    facts = (
        ("Policy file", _code(str(policy["file"]))),
        ("Its hash", _code(str(policy["digest"]))),
        ("Lines in the journal", _text(journal["lines"])),
        ("Hash of the last one", _code(str(journal["head"]))),
    )
    return "<dl>" + "".join(f"<dt>{name}</dt><dd>{value}</dd>" for name, value in facts) + "</dl>"


def _section(title: str, content: str) -> str:
    if content.startswith("<table"):
        # A wide table scrolls by itself, and by keys too.
        about = f'class="wide" tabindex="0" role="region" aria-label="{title}"'
        content = f"<div {about}>{content}</div>"
    return f"<section><h2>{title}</h2>{content}</section>"


def _table(names: Iterable[str], rows: Sequence[Sequence[str]], empty: str) -> str:
    if not rows:
        return f"<p>{empty}</p>"
    head = "".join(f'<th scope="col">{name}</th>' for name in names)
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _state(state: object) -> str:
    """Return a state as sign and word: colour alone says nothing."""
    kind, sign = _SIGNS[state in _GOOD]
    return (
        f'<span class="{kind}"><span aria-hidden="true">{sign}</span> {escape(str(state))}</span>'
    )


def _code(text: str, title: str = "") -> str:
    about = f' title="{escape(title)}"' if title else ""
    return f"<code{about}>{escape(text)}</code>"


def _time(at: object) -> str:
    told = str(at).replace("T", " ").replace("Z", " UTC")
    return f'<time datetime="{escape(str(at))}">{escape(told)}</time>'


def _text(value: object) -> str:
    return escape(str(value))


def _cut(value: object) -> str:
    """Shorten what nobody reads to its end, such as a hash; sentences stay whole."""
    text = str(value)
    return text if " " in text or len(text) <= 2 * _SHORT else f"{text[:_SHORT]}…"


def _list(value: object) -> Sequence[object]:
    return value if isinstance(value, list | tuple) else ()


def _map(value: object) -> Mapping[str, object]:
    return value if isinstance(value, Mapping) else {}


def _texts(record: Mapping[str, object], name: str) -> Sequence[str]:
    return [str(one) for one in _list(record.get(name))]
