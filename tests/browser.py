"""A page in a headless Chromium or Chrome, by its DevTools protocol over two pipes: no driver, no further package, no port."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import select
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
OPTIONS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync", "--disable-dev-shm-usage",
           "--disable-background-networking", "--disable-component-update", "--remote-debugging-pipe")  # fmt: skip
TIMEOUT = 120.0


class Browser:
    """One tab. `problems` gathers what its console says of errors, warnings and refused content."""

    def __init__(self, process: subprocess.Popen, write: int, read: int):
        self.process, self.write, self.read = process, write, read
        self.problems: list[str] = []
        self.requests: list[str] = []
        self._buffer, self._number, self._events, self._session = b"", 0, [], None
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def open(self, page: Path, *, width: int = 390, height: int = 844, scripts: bool = True, dark: bool = False) -> None:
        """Loads a page in a window of that many pixels, and waits until it is there."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600)
        self.call("Emulation.setScriptExecutionDisabled", value=not scripts)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])
        self._events.clear()
        self.call("Page.navigate", url=page.as_uri())
        end = time.monotonic() + TIMEOUT
        while "Page.loadEventFired" not in self._events:
            self._take(end)

    def ask(self, expression: str) -> Any:
        """The value of a JavaScript expression in the page; works with the page's own scripts off, too."""
        done = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in done, done["exceptionDetails"]
        return done["result"].get("value")

    def widths(self) -> tuple[int, int]:
        """(width that the page needs, width that it has), in pixels."""
        element = "document.documentElement"
        return self.ask(f"{element}.scrollWidth"), self.ask(f"{element}.clientWidth")

    def screenshot(self, file: Path) -> None:
        """The whole page, not only what the window shows, as PNG."""
        done = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=True)
        file.write_bytes(base64.b64decode(done["data"]))

    def call(self, method: str, **params: Any) -> dict:
        """One command of the protocol, and its answer."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": params}
        if self._session is not None:
            message["sessionId"] = self._session
        os.write(self.write, json.dumps(message).encode() + b"\0")
        end = time.monotonic() + TIMEOUT
        while (answer := self._take(end)).get("id") != self._number:
            continue
        assert "error" not in answer, (method, answer["error"])
        return answer["result"]

    def _take(self, end: float) -> dict:
        """The next message; what matters of events is noted."""
        while b"\0" not in self._buffer:
            assert select.select([self.read], [], [], max(0.0, end - time.monotonic()))[0], f"no answer in {TIMEOUT:g} s"
            data = os.read(self.read, 1 << 20)
            assert data, "the browser has closed its end"
            self._buffer += data
        line, _, self._buffer = self._buffer.partition(b"\0")
        message = json.loads(line)
        self._note(message.get("method"), message.get("params", {}))
        return message

    def _note(self, method: str | None, params: dict) -> None:
        if method is None:
            return
        self._events.append(method)
        if method == "Runtime.exceptionThrown":
            self.problems.append(str(params["exceptionDetails"]))
        elif method == "Runtime.consoleAPICalled" and params["type"] in ("error", "warning", "assert"):
            self.problems.append(str(params["args"]))
        elif method == "Log.entryAdded" and params["entry"]["level"] in ("error", "warning"):
            self.problems.append(f"{params['entry']['text']} {params['entry'].get('url', '')}")
        elif method == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"])


@contextlib.contextmanager
def browser(profile: Path) -> Iterator[Browser]:
    """A browser with a new profile in that folder; skips the test where none is installed, or it does not start."""
    program = next((path for name in NAMES if (path := shutil.which(name))), None)
    if program is None:
        pytest.skip("no Chromium or Chrome on this machine to open the page in")
    (their_read, write), (read, their_write) = os.pipe(), os.pipe()
    # The browser reads commands from its file 3 and answers in 4. Both are moved out of the way first: they may be 3 and 4 crosswise.
    ends = f'exec 8<&{their_read} 9>&{their_write}; exec 3<&8 4>&9 8<&- 9>&-; exec "$@"'
    command = ["bash", "-c", ends, "bash", program, *OPTIONS, f"--user-data-dir={profile}", "about:blank"]
    with (profile.parent / f"{profile.name}.log").open("wb+") as log:
        process = subprocess.Popen(command, pass_fds=(their_read, their_write), stdout=log, stderr=log, start_new_session=True)
        for end in (their_read, their_write):
            os.close(end)
        try:
            yield _started(process, write, read, log)
        finally:
            _end(process)
            os.close(write)
            os.close(read)


def _started(process: subprocess.Popen, write: int, read: int, log: Any) -> Browser:
    try:
        return Browser(process, write, read)
    except (AssertionError, BrokenPipeError):
        if process.poll() in (None, 0):
            raise
        log.seek(0)
        pytest.skip(f"the browser does not start here: {log.read()[-300:].decode(errors='replace')}")


def _end(process: subprocess.Popen) -> None:
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
