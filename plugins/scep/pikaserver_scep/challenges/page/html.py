"""HTML as text: every value is escaped here, and nothing is styled or scripted in line."""

from collections.abc import Iterable
from html import escape

import segno

POLICY = (
    "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none';"
    " frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "Cache-Control": "no-store",
    # Of no-referrer browsers make "Origin: null", also on the way to ourselves.
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


def document(title: str, lead: str, body: Iterable[str]) -> str:
    """Return a whole page; ``title`` and ``lead`` are text, ``body`` is HTML."""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f"<title>{escape(title)}</title>"
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<link rel="stylesheet" href="challenges/style.css"></head><body>'
        '<a class="skip" href="#main">Skip to content</a>'
        f"<header><h1>{escape(title)}</h1><p>{escape(lead)}</p></header>"
        f'<main id="main">{"".join(body)}</main></body></html>'
    )


def field(name: str, label: str, control: str, hint: str) -> str:
    """Return a labelled control; its HTML names itself ``name`` and is described by the hint."""
    return (
        f'<div class="field"><label for="{name}">{escape(label)}</label>{control}'
        f'<p class="hint" id="{name}-hint">{escape(hint)}</p></div>'
    )


def text_input(name: str, value: str, **more: str) -> str:
    """Return an input."""
    own = _attributes({"id": name, "name": name, "value": value, **more})
    return f'<input{own} aria-describedby="{name}-hint">'


def text_area(name: str, value: str) -> str:
    """Return an input of several lines; a line break after the tag is not part of its text."""
    own = _attributes({"id": name, "name": name, "rows": "3"})
    return f'<textarea{own} aria-describedby="{name}-hint">\n{escape(value)}</textarea>'


def select(name: str, options: Iterable[tuple[str, str]], chosen: str) -> str:
    """Return a choice of values with their labels."""
    shown = "".join(
        f'<option value="{escape(value)}"{" selected" if value == chosen else ""}>'
        f"{escape(label)}</option>"
        for value, label in options
    )
    return f'<select id="{name}" name="{name}" aria-describedby="{name}-hint">{shown}</select>'


def hidden(name: str, value: str) -> str:
    """Return what a form sends along unseen."""
    return f"<input{_attributes({'type': 'hidden', 'name': name, 'value': value})}>"


def to_copy(name: str, label: str, value: str, kind: str = "") -> str:
    """Return a text to be copied: a tab or a click into it, and it is there to be marked."""
    own = {"id": name, "value": value, "class": kind, "autocomplete": "off", "spellcheck": "false"}
    return (
        f'<div class="field"><label for="{name}">{escape(label)}</label>'
        f"<input readonly{_attributes(own)}></div>"
    )


def command(label: str, text: str) -> str:
    """Return a command to be copied; a click marks all of it."""
    return (
        f'<div class="field"><span class="label">{escape(label)}</span>'
        f'<pre tabindex="0" aria-label="{escape(label)}">{escape(text)}</pre></div>'
    )


def qr_code(text: str, label: str) -> str:
    """Return a QR code, dark on white in both themes."""
    code = segno.make_qr(text, error="m").svg_inline(
        border=4, omitsize=True, svgclass=None, lineclass=None
    )
    return f'<div class="qr" role="img" aria-label="{escape(label)}">{code}</div>'


def _attributes(values: dict[str, str]) -> str:
    return "".join(
        f' {name}="{escape(value)}"' for name, value in values.items() if value or name == "value"
    )
