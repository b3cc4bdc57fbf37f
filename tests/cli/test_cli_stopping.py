"""A program that is told to stop does so, whichever thread the signal came to."""

import os
import signal
import threading

import pytest

from pikaserver.cli.stopping import STOPPED_BY, stopped_by_signals


@pytest.mark.parametrize("number", STOPPED_BY)
def test_a_signal_to_the_process_stops_it(number):
    """As a service manager, or Ctrl-C, sends it."""
    stop = threading.Event()

    with stopped_by_signals(stop.set):
        os.kill(os.getpid(), number)

        assert stop.wait(30)


@pytest.mark.parametrize("number", STOPPED_BY)
def test_a_signal_that_another_thread_got_stops_it_too(number):
    """The main thread waits for a lock meanwhile, and is not woken by the kernel."""
    stop, waits = threading.Event(), threading.Event()

    def other():
        waits.wait()
        signal.pthread_kill(threading.get_ident(), number)

    thread = threading.Thread(target=other)
    thread.start()
    with stopped_by_signals(stop.set):
        waits.set()

        assert stop.wait(30)
    thread.join()


def test_other_signals_do_not_stop_it():
    """They are written to the same place."""
    stop, seen = threading.Event(), []
    before = signal.signal(signal.SIGUSR1, lambda *_: seen.append(1))
    try:
        with stopped_by_signals(stop.set):
            os.kill(os.getpid(), signal.SIGUSR1)
            os.kill(os.getpid(), signal.SIGUSR1)

            assert not stop.is_set()
            os.kill(os.getpid(), signal.SIGTERM)
            assert stop.wait(30)
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert seen


def test_afterwards_signals_do_what_they_did():
    """Each of them."""
    before = [signal.getsignal(number) for number in STOPPED_BY]

    with stopped_by_signals(lambda: None):
        assert before != [signal.getsignal(number) for number in STOPPED_BY]

    assert before == [signal.getsignal(number) for number in STOPPED_BY]
    assert -1 == signal.set_wakeup_fd(-1)
