"""Deeds whose signature somebody else gives later, after approvals."""

import time
from collections.abc import Callable
from datetime import timedelta
from typing import TypeVar

import click

from pikaserver.api.errors import SignaturePending

EVERY_SECONDS = 2.0
T = TypeVar("T")


def patiently(deed: Callable[[], T], wait: timedelta | None) -> T:
    """Do a deed, and again while its signature is pending, for as long as is waited.

    Raises:
        SignaturePending: it still is; the same deed later goes on from there.
    """
    end = time.monotonic() + (wait.total_seconds() if wait else 0.0)
    told = ""
    while True:
        try:
            return deed()
        except SignaturePending as pending:
            if time.monotonic() >= end:
                raise
            if str(pending) != told:
                tell(told := str(pending))
            time.sleep(EVERY_SECONDS)


def tell(step: str) -> None:
    """Show on standard error how far a deed is."""
    click.echo(f"  {step}", err=True)
