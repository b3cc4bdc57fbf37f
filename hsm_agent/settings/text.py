"""The first ``agent.toml`` of an agent, as text with comments."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from hsm_agent.settings.settings import is_store_name

_HEAD = """\
# Settings of the signing agent {name}; config/hsm-agent.toml in the sources explains every one.
# What the agent signs is another file: policy.toml.
name = {quoted}
"""
_TRIAL = """
# A store for trials: the keys are files here, no better protected than files are.  For keys that
# matter, name a token instead: kind = "pkcs11" or kind = "piv".
"""
_STATUS = """
# A page that shows how the agent is, for people at this host.
[status]
"""
_STATUS_OFF = '# bind = "127.0.0.1:8446"\n'


@dataclass(frozen=True, slots=True)
class FirstSettings:
    """What an enrolment is told about the agent; ``store`` and ``kind`` describe its one store."""

    name: str
    store: str
    kind: str
    options: Mapping[str, object] = field(default_factory=dict)
    status: str = ""
    proxy: str = ""


def settings_text(first: FirstSettings) -> str:
    """Return the file."""
    parts = [_HEAD.format(name=first.name, quoted=quoted(first.name))]
    parts.append(_TRIAL if first.kind == "software" else "\n")
    # A name that is none is refused when the text is read, and breaks nothing before.
    store = first.store if is_store_name(first.store) else quoted(first.store)
    parts.append(f"[stores.{store}]\nkind = {quoted(first.kind)}\n")
    parts += [f"{key} = {quoted(value)}\n" for key, value in first.options.items()]
    if first.proxy:
        parts.append(f"\n[line]\nproxy = {quoted(first.proxy)}\n")
    parts.append(_STATUS)
    parts.append(f"bind = {quoted(first.status)}\n" if first.status else _STATUS_OFF)
    return "".join(parts)


def quoted(value: object) -> str:
    """Return a text or a number as TOML writes it."""
    # The escapes of JSON are those of TOML, which wants one more.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
