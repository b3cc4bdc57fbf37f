"""A real browser, driven over a pipe: Chromium's own protocol, one JSON text after another."""

import base64
import json
import os
import subprocess
import sys

from pikaserver.testing.requirements import require_program

FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--ignore-certificate-errors",
    "--no-first-run",
    "--disable-background-networking",
    "--remote-debugging-pipe",
)
# Chromium reads commands from descriptor 3 and writes answers to 4, whatever ours are.
_WITH_PIPES = """
import fcntl, os, sys
ours = [fcntl.fcntl(int(number), fcntl.F_DUPFD, 10) for number in sys.argv[1:3]]
for number, one in enumerate(ours, 3):
    os.dup2(one, number)
os.execv(sys.argv[3], sys.argv[3:])
"""


class Browser:
    """One page; what its console says is kept in ``complaints``."""

    def __init__(self, folder):
        program = require_program("chromium", package="chromium")
        theirs, self._ours_out = os.pipe()
        self._ours_in, their_out = os.pipe()
        start = [sys.executable, "-c", _WITH_PIPES, str(theirs), str(their_out)]
        self._process = subprocess.Popen(
            [*start, program, *FLAGS, f"--user-data-dir={folder}"],
            pass_fds=(theirs, their_out),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(theirs)
        os.close(their_out)
        self._left, self._number, self._session = b"", 0, None
        self.complaints = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Log", "Runtime", "Network"):
            self.call(f"{domain}.enable")

    def close(self):
        self._process.kill()
        self._process.wait()
        os.close(self._ours_in)
        os.close(self._ours_out)

    def call(self, method, **words):
        """Carry out a command and return its result."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": words}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._ours_out, json.dumps(message).encode() + b"\0")
        while True:
            told = self._told()
            if told.get("id") == self._number:
                assert "error" not in told, told
                return told["result"]

    def _told(self):
        while b"\0" not in self._left:
            piece = os.read(self._ours_in, 65536)
            assert piece, "the browser has ended"
            self._left += piece
        one, _, self._left = self._left.partition(b"\0")
        told = json.loads(one)
        if told.get("method") in ("Log.entryAdded", "Runtime.exceptionThrown"):
            self.complaints.append(told["params"])
        if told.get("method") == "Page.loadEventFired":
            self._loaded = True
        return told

    def after_load(self, deed):
        """Do what leads to another page, and wait for that."""
        self._loaded = False
        deed()
        while not self._loaded:
            self._told()

    def open(self, url, user):
        """Go to an address as somebody."""
        credentials = base64.b64encode(":".join(user).encode()).decode()
        self.call("Network.setExtraHTTPHeaders", headers={"Authorization": f"Basic {credentials}"})
        self.after_load(lambda: self.call("Page.navigate", url=url))

    def says(self, expression):
        """Return the value of an expression in the page."""
        return self.call("Runtime.evaluate", expression=expression, returnByValue=True)["result"][
            "value"
        ]

    def press(self, key, text=None):
        """Press a key of the keyboard."""
        code = {"Tab": 9, "Enter": 13, " ": 32}[key]
        more = {"text": text} if text else {}
        words = {"key": key, "windowsVirtualKeyCode": code}
        self.call("Input.dispatchKeyEvent", type="keyDown", **words, **more)
        self.call("Input.dispatchKeyEvent", type="keyUp", **words)

    def tab_to(self, selector):
        """Press Tab until an element has the focus."""
        for _ in range(40):
            if self.says(f"document.activeElement.matches({selector!r})"):
                return
            self.press("Tab")
        raise AssertionError(f"no key leads to {selector}")

    def type(self, text):
        """Type text where the focus is."""
        self.call("Input.insertText", text=text)

    def picture(self, file, scheme):
        """Take a picture of the whole page in light or dark, on a screen or a phone."""
        media = [{"name": "prefers-color-scheme", "value": scheme}]
        self.call("Emulation.setEmulatedMedia", features=media)
        data = self.call("Page.captureScreenshot", captureBeyondViewport=True)["data"]
        file.write_bytes(base64.b64decode(data))
