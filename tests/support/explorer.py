"""The explorer in a real browser, and what must not happen in it."""

import http.server
import json
import shutil
import threading
from contextlib import contextmanager

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect, sync_playwright

from identity_adapters.keys import generate_key
from tests.support.processes import run, service
from tests.support.waiting import wait_until

NAMES = ("chromium", "chromium-browser", "google-chrome")
PROGRAM = next(filter(None, map(shutil.which, NAMES)), None)
"""The browser of the system; none is downloaded."""

needs_browser = pytest.mark.skipif(PROGRAM is None, reason="Chromium is not installed")

MILLISECONDS = 60_000
"""How long a browser may take for anything on a slow machine. Nothing waits for them to pass."""

expect.set_options(timeout=MILLISECONDS)

PHONE = {"viewport": {"width": 360, "height": 740}, "has_touch": True, "is_mobile": True}

REPORT_VIOLATIONS = """
document.addEventListener("securitypolicyviolation", (event) =>
  reportViolation(`${event.effectiveDirective} ${event.blockedURI} ${event.sourceFile}:${event.lineNumber}`));
"""


@contextmanager
def browsing():
    """A browser."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=PROGRAM, args=["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        )
        try:
            yield browser
        finally:
            browser.close()


class Windows:
    """Windows of one profile of a browser, which report whatever goes wrong in them."""

    def __init__(self, browser, address, **options):
        self.address = address
        self.failures = []
        self.refusals = []
        """The statuses of answers that are errors, in order."""
        self.context = browser.new_context(**{"reduced_motion": "reduce"} | options)
        self.context.set_default_timeout(MILLISECONDS)
        self.context.expose_binding("reportViolation", lambda _, text: self._fail("violation", text))
        self.context.add_init_script(REPORT_VIOLATIONS)
        self.context.on("request", self._see_request)
        self.context.on("response", self._see_answer)
        self.context.on("console", self._see_message)
        self.context.on("weberror", lambda failure: self._fail("error", failure.error))

    def open(self, path="/"):
        """Show the page in a new window."""
        page = self.context.new_page()
        page.goto(self.address + path)
        return page

    def _fail(self, kind, text):
        self.failures.append(f"{kind}: {text}")

    def _see_request(self, request):
        if not request.url.startswith((f"{self.address}/", f"blob:{self.address}/", "data:")):
            self._fail("a request elsewhere", request.url)

    def _see_answer(self, response):
        if response.status >= 400:
            self.refusals.append(response.status)

    def _see_message(self, message):
        # Answers with an error and failed connections are what `refusals` and tests are about.
        if message.type in ("error", "warning") and not message.text.startswith("Failed to load resource"):
            self._fail(f"console {message.type}", message.text)


@contextmanager
def windows(browser, address, refusals=(), **options):
    """Windows in which nothing may go wrong, but that requests are answered with these statuses."""
    opened = Windows(browser, address, **options)
    opened.allowed = {*refusals}
    try:
        yield opened
    finally:
        opened.context.close()
    assert opened.failures == [], opened.failures
    assert opened.allowed.issuperset(opened.refusals), opened.refusals


@contextmanager
def exploring(folder, keys=(), **settings):
    """A service that has the explorer; its address is `address`."""
    if keys:
        settings["IDENTITY_API_KEYS"] = ",".join(key.entry for key in keys)
    with service(folder, **settings) as running:
        running.address = f"http://127.0.0.1:{running.port}"
        running.settings = settings
        yield running


def ask(running, method, path, body=None, key=None, status=200):
    """The decoded answer of the service."""
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    raw = None if body is None else json.dumps(body)
    answered, _, answer = running.request(method, path, raw, headers)
    assert answered == status, answer
    return json.loads(answer)


def record(running, *pairs):
    """Record pairs of an email and a phone number, in order; the id of the primary contact of the last."""
    return [running.identify(*pair)["primaryContactId"] for pair in pairs][-1]


def identities(running, **details):
    """The primary contacts of the identities that match these details."""
    found = ask(running, "POST", "/lookup", {"email": None, "phoneNumber": None} | details)["identities"]
    return [identity["primaryContactId"] for identity in found]


def put_rules(running, blocked=(), **limits):
    """Put rules in force, and wait until all that is recorded is in line with them."""
    ask(running, "PUT", "/rules", {"blocked": dict(blocked), "limits": limits, "reason": "for a test"})
    wait_until(lambda: ask(running, "GET", "/rules")["isSettled"])


def import_rows(running, folder, rows):
    """Record very many pairs of an email, a phone number and a time."""
    path = folder / "rows.csv"
    path.write_text("email,phoneNumber,createdAt\n" + "".join(",".join(row) + "\n" for row in rows))
    done = run("import", str(path), cwd=folder, **running.settings)
    assert done.returncode == 0, done.stderr


@contextmanager
def prefixing(running, prefix):
    """A proxy that serves a service under a prefix of the path, and nothing else; it has an `address`."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def _forward(self):
            if not self.path.startswith(f"{prefix}/"):
                self.send_error(404)
                return
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            path = self.path.removeprefix(prefix)
            status, headers, answer = running.request(self.command, path, body, dict(self.headers))
            self.send_response_only(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(answer)

        do_GET = do_HEAD = do_POST = do_DELETE = _forward  # noqa: N815 -- the server looks for these names

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.address = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


def make_key(name, *scopes):
    """A secret, and the key that a service knows it by."""
    return generate_key(name, [*scopes])


def sign_in(page, secret):
    page.get_by_label("API key").fill(secret)
    page.get_by_role("main").get_by_role("button", name="Sign in").click()


def check_accessibility(page):
    """Check that nothing is seriously inaccessible, and nothing wider than the window."""
    found = Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]
    serious = [
        (one["id"], [node["html"] for node in one["nodes"]], one["nodes"][0]["failureSummary"])
        for one in found
        if one["impact"] in ("serious", "critical")
    ]
    assert serious == [], serious
    width, room = page.evaluate(
        "[document.documentElement.scrollWidth, document.documentElement.clientWidth]"
    )
    assert width <= room, f"{width} pixels do not fit into {room}"


def node(page, text):
    """What shows a value in the evidence graph."""
    return page.locator(".graph .node").filter(has=page.locator("title").get_by_text(text, exact=True))


def drawn(page):
    """The values that the evidence graph shows."""
    return page.locator(".graph .node:not(.bundle) title").all_text_contents()


def selection(page):
    """What is shown beside the graph of what is selected, and what can be done about it."""
    return page.get_by_role("region", name="Selection")
