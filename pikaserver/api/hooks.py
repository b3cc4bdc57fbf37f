"""The markers by which pluggy knows our hooks."""

import pluggy

PROJECT = "pikaserver"
"""Name of the hook project and of the entry-point group's first half."""

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)
