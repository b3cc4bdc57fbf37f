"""Tells operators of each use of an algorithm that a template lets in for old devices alone."""

import logging
from collections.abc import Collection

from pikaserver.api.templates import Template

_log = logging.getLogger(__name__)


def log_weak(where: str, used: Collection[str], template: Template) -> None:
    """Log the weak algorithms of a message, or of the request in it, if there are any."""
    if not used:
        return
    _log.warning(
        "weak algorithms in a %s",
        where,
        extra={
            "event": "scep.weak-algorithm",
            "template": template.name,
            "algorithms": ", ".join(sorted(used)),
        },
    )
