"""``hsm-agent run``: serves until it is told to stop."""

import argparse
import gc
import logging
import signal
import sys
from contextlib import closing

from hsm_agent.agent import open_agent
from hsm_agent.control.exit_codes import DONE
from hsm_agent.notify import ServiceManager
from hsm_agent.places import Place
from hsm_agent.running import Running
from hsm_agent.signals import Signals

SLICE_SECONDS = 0.5
_STOP = (signal.SIGTERM, signal.SIGINT)

_log = logging.getLogger(__name__)


def run(arguments: argparse.Namespace) -> int:
    """Keep lines to the server and sign; SIGTERM drains, SIGHUP reads the policy again."""
    _set_up_logs(debug=arguments.debug)
    with closing(Signals([*_STOP, signal.SIGHUP])) as signals:
        _run(Place(arguments.data), signals)
    return DONE


def _run(place: Place, signals: Signals) -> None:
    manager = ServiceManager()
    agent = open_agent(place)
    running = Running(agent)
    try:
        running.start()
        # Everything up to here stays: a collection need not walk through it again and again.
        gc.freeze()
        manager.tell("READY=1", f"STATUS=agent {agent.settings.name}")
        if running.status_address is not None:
            _log.info("status page at http://%s:%s/", *running.status_address)
        _serve(running, signals, manager)
        manager.tell("STOPPING=1", "STATUS=draining")
        _drain(running, signals, agent.settings.line.drain_timeout)
    finally:
        running.close()


def _serve(running: Running, signals: Signals, manager: ServiceManager) -> None:
    """Wait for signals, giving signs of life to the service manager."""
    while (number := signals.wait(manager.interval)) not in _STOP:
        if number is None:
            manager.tell("WATCHDOG=1")
        else:
            running.reload()


def _drain(running: Running, signals: Signals, seconds: float) -> None:
    """Let what was taken be answered; a second signal ends the wait."""
    _log.info("draining")
    running.drain()
    for _ in range(max(1, round(seconds / SLICE_SECONDS))):
        if running.is_idle(SLICE_SECONDS) or signals.wait(0) in _STOP:
            return


def _set_up_logs(*, debug: bool) -> None:
    # A service manager adds the time itself.
    form = "%(levelname)s %(message)s"
    if sys.stderr.isatty():
        form = "%(asctime)s " + form
    logging.basicConfig(level=logging.DEBUG if debug else logging.INFO, format=form)
