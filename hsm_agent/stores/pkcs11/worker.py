"""The process that holds a PKCS#11 module: ``python -m hsm_agent.stores.pkcs11.worker``.

It is started by the store, does one request after the other, and ends with the line to its
parent.  A module that crashes or hangs takes nothing with it but this process.
"""

import ctypes
import os
import resource
import signal
import socket
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress

from pkcs11 import Mechanism, PKCS11Error, Session
from pkcs11.types import SignMixin

from hsm_agent.stores.pkcs11 import objects
from hsm_agent.stores.pkcs11.begun import Begun
from hsm_agent.stores.pkcs11.lots import Lot
from hsm_agent.stores.pkcs11.module_errors import refusal
from hsm_agent.stores.pkcs11.pipe import Pipe, flag, framed, number, numbers, octets, text
from hsm_agent.stores.pkcs11.refused import (
    AGAIN,
    FAULT,
    LOGIN,
    PIN_LOCKED,
    PIN_WRONG,
    UNKNOWN_KEY,
    Refused,
)
from hsm_agent.stores.pkcs11.token_session import TokenSession
from hsm_agent.wire.encoding import Value

_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE = 4
_MOST_SIGNATURE_OCTETS = 8192
_NO_CONTEXT = None
_READY: Mapping[str, Value] = {"n": 0}
"""The answer to nothing: the interpreter has started, and the module's time begins."""
_SPOILS_SESSION = (AGAIN, LOGIN, PIN_WRONG, PIN_LOCKED)


class Worker:
    """Answers requests; keys that were found once are found again without a search."""

    def __init__(self, token: TokenSession) -> None:
        self._token = token
        self._session: Session | None = None
        self._keys: dict[tuple[bytes, bytes], tuple[SignMixin, bool]] = {}

    def answer(self, request: Mapping[str, Value]) -> Mapping[str, Value]:
        """Do what a request asks for; whatever happens becomes an answer."""
        try:
            answer = self._done(request)
        except Refused as refused:
            answer = {"error": refused.code, "why": str(refused), "number": refused.number}
        except PKCS11Error as error:
            answer = self._after(refusal(error))
        except Exception as error:  # noqa: BLE001  # the request boundary of this process
            answer = {"error": FAULT, "why": f"the worker stumbled over a {type(error).__name__}"}
        return {"n": number(request, "n"), **answer}

    def _after(self, refused: Refused) -> Mapping[str, Value]:
        """Drop what the module no longer honours, so that the same request may come again."""
        if refused.code in _SPOILS_SESSION:
            self._token.drop()
        code = AGAIN if refused.code == LOGIN else refused.code
        return {"error": code, "why": str(refused)}

    def _done(self, request: Mapping[str, Value]) -> Mapping[str, Value]:
        deed = text(request, "do")
        if deed == "sign":
            return {"signature": self._sign(request)}
        if deed == "look":
            return self._token.look()
        if deed == "login":
            self._token.log_in(text(request, "pin"))
            return {}
        if deed == "list":
            listed = objects.listing(self._token.session())
            return {**listed, **self._still_there()}
        change = {
            "generate": objects.generate,
            "import": objects.import_pair,
            "certificate": objects.put_certificate,
        }[deed]
        self._keys.clear()
        change(self._token.session(), request)
        return {}

    def _sign(self, request: Mapping[str, Value]) -> bytes:
        key, needs_pin = self._key(request)
        pin = None
        if needs_pin:
            if not (pin := text(request, "pin")):
                raise Refused(FAULT, "the key wants the PIN with each signature")
            self._token.check_tries()
        mechanism = Mechanism(number(request, "mechanism"))
        return key.sign(
            octets(request, "octets"),
            mechanism=mechanism,
            mechanism_param=_parameter(mechanism, numbers(request, "parameter")),
            pin=pin,
            buffer_size=_MOST_SIGNATURE_OCTETS,
        )

    def _still_there(self) -> Mapping[str, Value]:
        """Look again after a search: a token that has gone may simply seem empty."""
        facts = self._token.look()
        if not flag(facts, "open"):
            raise Refused(AGAIN, "the token was away for a moment")
        return facts

    def _key(self, request: Mapping[str, Value]) -> tuple[SignMixin, bool]:
        """Return the private key of a request, and whether it wants the PIN each time."""
        session = self._token.session()
        if session is not self._session:
            # In another session, the same handle may be another key.
            self._session = session
            self._keys.clear()
        name = octets(request, "label"), octets(request, "id")
        if name not in self._keys:
            try:
                key = objects.private_key(session, request)
            except Refused as refused:
                if refused.code == UNKNOWN_KEY:
                    self._still_there()
                raise
            self._keys[name] = key, objects.wants_pin(key)
        return self._keys[name]


def _parameter(mechanism: Mechanism, numbers: list[int]) -> tuple[int | None, ...] | None:
    """Return a mechanism's parameters as python-pkcs11 takes them."""
    if mechanism == Mechanism.EDDSA and numbers:
        return numbers[0], _NO_CONTEXT
    return tuple(numbers) or None


def die_with_parent(parent: int) -> None:
    """Have the kernel kill this process when its parent ends, also within a call that hangs."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(0)
    # PINs and, with software tokens, keys are in this memory: it is not written to files.
    libc.prctl(_PR_SET_DUMPABLE, 0)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # A Ctrl-C, or a service manager, reaches every process; the parent still needs this one.
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)


def serve(pipe: Pipe, worker: Worker, begun: Begun) -> None:
    """Answer request after request until nobody asks any more.

    One thread for all: a second one that reads ahead costs more than it saves (measured).  The
    one that watches sleeps as good as always.

    Raises:
        OSError: nobody is there to be answered.
    """
    lot = Lot(pipe.send)
    threading.Thread(target=lot.watch, name="lots", daemon=True).start()
    while (request := pipe.receive()) is not None:
        lot.begin(request)
        begun.note(number(request, "n"))
        lot.add(request, framed(worker.answer(request)), more=pipe.has_message())


def main(descriptor: int, shared: int, parent: int) -> None:
    """Serve the line that the parent left open as this descriptor, until it closes."""
    die_with_parent(parent)
    pipe = Pipe(socket.socket(fileno=descriptor))
    settings = pipe.receive()
    if settings is not None:
        token = TokenSession(settings)
        with suppress(OSError):
            pipe.send(framed(_READY))
            serve(pipe, Worker(token), Begun(shared))
        token.drop()
    # Finalizers of modules are known to hang; the kernel cleans up as well.
    os._exit(0)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
