"""Chromium without a screen, driven by its DevTools protocol.

It is spoken over a pipe (--remote-debugging-pipe: the browser reads descriptor
3 and writes 4, JSON texts that end with a NUL), so no library is needed.
"""

import base64
import itertools
import json
import os
import shutil
import signal
import tempfile
import threading
import time

import pytest

from waiting import until

NAMES = ("chromium", "chromium-browser", "google-chrome")
OPTIONS = [
    "--headless=new", "--no-sandbox", "--remote-debugging-pipe",
    "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
    "--disable-background-networking", "--disable-component-update",
    "--disable-extensions", "--disable-sync", "--no-default-browser-check",
    "--hide-scrollbars", "--force-color-profile=srgb",
]


class Failed(Exception):
    """The browser refused a command, or a script threw."""


class Browser:
    def __init__(self):
        program = next(filter(None, map(shutil.which, NAMES)), None)
        if program is None:
            pytest.fail("no Chromium: tests/tools/deps page installs it",
                        pytrace=False)
        self.home = tempfile.mkdtemp(prefix="walstream-page-")
        theirs_in, self._to = os.pipe()
        self._from, theirs_out = os.pipe()
        log = os.path.join(self.home, "log")
        self.pid = os.posix_spawn(
            program,
            [program, *OPTIONS, f"--user-data-dir={self.home}/profile",
             "about:blank"],
            {**os.environ, "HOME": self.home}, setsid=True,
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
                (os.POSIX_SPAWN_OPEN, 1, log,
                 os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600),
                (os.POSIX_SPAWN_DUP2, 1, 2),
                # By way of numbers that neither pipe has.
                (os.POSIX_SPAWN_DUP2, theirs_in, 1003),
                (os.POSIX_SPAWN_DUP2, theirs_out, 1004),
                (os.POSIX_SPAWN_DUP2, 1003, 3),
                (os.POSIX_SPAWN_DUP2, 1004, 4),
                (os.POSIX_SPAWN_CLOSE, 1003),
                (os.POSIX_SPAWN_CLOSE, 1004)])
        os.close(theirs_in)
        os.close(theirs_out)
        self._numbers = itertools.count(1)
        self._answers = {}
        self._pages = {}
        self._lock = threading.Lock()
        self._over = False
        threading.Thread(target=self._read, daemon=True).start()
        self.version = self.call("Browser.getVersion")["product"]

    def _read(self):
        rest = b""
        while True:
            try:
                data = os.read(self._from, 1 << 20)
            except OSError:
                data = b""
            if not data:
                self._over = True
                return
            *whole, rest = (rest + data).split(b"\0")
            for text in whole:
                message = json.loads(text)
                if "id" in message:
                    self._answers[message["id"]] = message
                elif message.get("sessionId") in self._pages:
                    self._pages[message["sessionId"]].event(
                        message["method"], message["params"])

    def call(self, method, session=None, timeout=120, **params):
        """One command; returns its result."""
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": params}
        if session:
            message["sessionId"] = session
        data = json.dumps(message).encode() + b"\0"
        with self._lock:
            while data:
                data = data[os.write(self._to, data):]
        until(lambda: number in self._answers or self._over, timeout,
              lambda: f"Chromium's answer to {method}")
        if number not in self._answers:
            raise Failed(f"Chromium ended; {self.home}/log")
        answer = self._answers.pop(number)
        if "error" in answer:
            raise Failed(f"{method}: {answer['error']['message']}")
        return answer["result"]

    def page(self, **view):
        page = Page(self, **view)
        self._pages[page.session] = page
        page.enable()
        return page

    def forget(self, page):
        self._pages.pop(page.session, None)

    def close(self):
        try:
            self.call("Browser.close", timeout=10)
        except (Failed, AssertionError, OSError):
            pass
        deadline = time.monotonic() + 10
        while os.waitpid(self.pid, os.WNOHANG) == (0, 0):
            if time.monotonic() > deadline:
                os.killpg(self.pid, signal.SIGKILL)
                os.waitpid(self.pid, 0)
                break
            time.sleep(0.05)
        os.close(self._to)
        shutil.rmtree(self.home, ignore_errors=True)


class Page:
    """A tab. requests: the URLs asked for, of which the
    policy blocked so many; said: what the console shows;
    thrown: exceptions; expected: words of what may be there to be seen."""

    def __init__(self, browser, width=1280, height=900, dark=False,
                 phone=False):
        self._browser = browser
        self.target = browser.call("Target.createTarget", url="about:blank")[
            "targetId"]
        self.session = browser.call(
            "Target.attachToTarget", targetId=self.target, flatten=True)[
                "sessionId"]
        self.view = (width, height, dark, phone)
        self.requests = []
        self.blocked = 0
        self.said = []
        self.thrown = []
        self.expected = []

    def call(self, method, **params):
        return self._browser.call(method, self.session, **params)

    def enable(self):
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(domain + ".enable")
        self.look(*self.view)

    def look(self, width, height, dark=False, phone=False):
        """The size of the window, and its colours."""
        self.view = (width, height, dark, phone)
        self.call("Emulation.setDeviceMetricsOverride", width=width,
                  height=height, deviceScaleFactor=2 if phone else 1,
                  mobile=phone)
        self.call("Emulation.setEmulatedMedia", features=[
            {"name": "prefers-color-scheme",
             "value": "dark" if dark else "light"}])

    def event(self, method, params):
        if method == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"])
        elif method == "Network.loadingFailed":
            self.blocked += params.get("blockedReason") == "csp"
        elif method == "Runtime.consoleAPICalled":
            self.said.append(" ".join(
                str(a.get("value", a.get("description")))
                for a in params["args"]))
        elif method == "Log.entryAdded":
            entry = params["entry"]
            self.said.append(f"{entry['text']} {entry.get('url', '')}")
        elif method == "Runtime.exceptionThrown":
            self.thrown.append(str(params["exceptionDetails"]))

    def open(self, url):
        self.call("Page.navigate", url=url)
        until(self._loaded, 20, f"{url} to be there")
        return self

    def _loaded(self):
        try:
            return self.js("document.readyState === 'complete' &&"
                           " location.href !== 'about:blank'")
        except Failed:  # between one document and the next
            return False

    def js(self, script):
        """The value of an expression; promises are waited for."""
        answer = self.call("Runtime.evaluate", expression=script,
                           returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            raise Failed(str(answer["exceptionDetails"]))
        return answer["result"].get("value")

    def text(self, selector):
        return self.js(f"document.querySelector({json.dumps(selector)})"
                       ".innerText")

    def texts(self, selector):
        return self.js(f"[...document.querySelectorAll({json.dumps(selector)}"
                       ")].map(e => e.innerText)")

    def wait(self, script, timeout=20, what=None):
        """Until the expression is true; returns its value."""
        return until(lambda: self.js(script), timeout,
                     lambda: f"{what or script}; the page says:\n"
                     + self.js("document.body.innerText")[:3000])

    def shot(self, path):
        """The page as a picture; of a very long one the beginning."""
        width, height, *_ = self.view
        full = self.js("document.documentElement.scrollHeight")
        data = self.call(
            "Page.captureScreenshot", captureBeyondViewport=True,
            clip={"x": 0, "y": 0, "width": width, "scale": 1,
                  "height": min(max(full, height), 2600)})["data"]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(base64.b64decode(data))

    def close(self):
        self._browser.forget(self)
        self._browser.call("Target.closeTarget", targetId=self.target)


