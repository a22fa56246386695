"""A real browser for the pages that `make docs` builds, where one is installed."""

from __future__ import annotations

import base64
import fcntl
import itertools
import json
import os
import shutil
import subprocess

import pytest

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
OPTIONS = (
    "--headless --no-sandbox --disable-gpu --no-first-run --disable-dev-shm-usage "
    "--disable-background-networking --disable-component-update --hide-scrollbars "
    "--remote-debugging-pipe"
)
ERRORS = ("Runtime.exceptionThrown", "Log.entryAdded")


class Browser:
    """Drive headless Chromium by its DevTools protocol, over a pipe: no port, no package."""

    def __init__(self, program, profile):
        to_browser, self._write = map(_high, os.pipe())
        self._read, from_browser = map(_high, os.pipe())
        command = (
            f"exec {program} {OPTIONS} --user-data-dir={profile} about:blank "
            f"3<&{to_browser} 4>&{from_browser}"
        )
        self._process = subprocess.Popen(
            ["bash", "-c", command],
            pass_fds=(to_browser, from_browser),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(to_browser)
        os.close(from_browser)
        self._numbers = itertools.count(1)
        self._session = None
        self._buffer = b""
        self.events = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method, **parameters):
        """Send a command and wait for its answer; events that come before it are kept."""
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while (answer := self._receive()).get("id") != number:
            self.events.append(answer)
        assert "error" not in answer, answer
        return answer["result"]

    def open(self, url, width=1280, height=900):
        """Open a page in a window of this size, and wait until it has loaded."""
        self.events.clear()
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
        self.call("Emulation.setDeviceMetricsOverride", **size)
        self.call("Page.navigate", url=url)
        while not any(event.get("method") == "Page.loadEventFired" for event in self.events):
            self.events.append(self._receive())

    def evaluate(self, expression):
        """Give the value of a JavaScript expression; a promise is waited for."""
        given = {"expression": expression, "returnByValue": True, "awaitPromise": True}
        answer = self.call("Runtime.evaluate", **given)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def press(self, key, code):
        """Press a key, as a person would."""
        for kind in ("keyDown", "keyUp"):
            pressed = {"key": key, "code": key, "windowsVirtualKeyCode": code}
            self.call("Input.dispatchKeyEvent", type=kind, **pressed)

    def picture(self, selector):
        """Give the PNG of an element, as it is on the screen."""
        box = self.evaluate(
            f"(({{x, y, width, height}}) => ({{x, y: y + scrollY, width, height, scale: 1}}))"
            f"(document.querySelector('{selector}').getBoundingClientRect())"
        )
        return base64.b64decode(self.call("Page.captureScreenshot", clip=box)["data"])

    def complaints(self):
        """Give every error of the pages and every console message since the last `open`."""
        names = (*ERRORS, "Runtime.consoleAPICalled")
        return [event for event in self.events if event.get("method") in names]

    def requests(self):
        """Give the addresses that were asked for since the last `open`."""
        return [
            event["params"]["request"]["url"]
            for event in self.events
            if event.get("method") == "Network.requestWillBeSent"
        ]

    def close(self):
        self._process.kill()
        self._process.wait()
        os.close(self._write)
        os.close(self._read)

    def _receive(self):
        while b"\0" not in self._buffer:
            received = os.read(self._read, 1 << 20)
            assert received, "the browser has gone"
            self._buffer += received
        message, _, self._buffer = self._buffer.partition(b"\0")
        return json.loads(message)


def _high(descriptor):
    """Move a file descriptor out of the way of 3 and 4, which the browser wants."""
    moved = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 10)
    os.close(descriptor)
    return moved


@pytest.fixture(scope="session")
def browser(tmp_path_factory):
    """Start the browser, or skip."""
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    if program is None:
        pytest.skip(f"no browser here (apt-get install chromium); looked for {', '.join(BROWSERS)}")
    started = Browser(program, tmp_path_factory.mktemp("profile"))
    yield started
    started.close()
