"""What a page that is open in a real browser can do to the service: nothing, unless it may ask."""

import http.server
import json
import shutil
import subprocess
import threading
from contextlib import contextmanager

import pytest

from identity_adapters.keys import Scope, generate_key
from tests.support.processes import service

pytestmark = pytest.mark.skipif(shutil.which("chromium") is None, reason="Chromium is not installed")

OPTIONS = (
    "--headless --no-sandbox --disable-gpu --no-first-run --disable-background-networking"
    " --disable-component-update --disable-sync --disable-quic --virtual-time-budget=20000"
)

PAGE = """
<!doctype html><title>A page</title><pre id="seen">nothing yet</pre><script>
const service = "SERVICE", headers = HEADERS, seen = {};
const json = {"Content-Type": "application/json", ...headers};
const attempts = {
  post: () => fetch(service + "/identify", {method: "POST", body: BODY, headers: json}),
  simplePost: () => fetch(service + "/identify", {method: "POST", body: new Blob([BODY])}),
  blindPost: () => fetch(service + "/identify", {method: "POST", mode: "no-cors", body: new Blob([BODY])}),
  read: () => fetch(service + "/identities/1", {headers}),
  simpleRead: () => fetch(service + "/identities/1"),
  head: () => fetch(service + "/identities/1", {method: "HEAD", headers}),
};
const BODY = '{"email": "written-by-a-page@x.example"}';
(async () => {
  for (const [name, attempt] of Object.entries(attempts)) {
    try {
      const answer = await attempt();
      seen[name] = [answer.type, answer.status, answer.headers.get("Identity-Outcome"), await answer.text()];
    } catch (error) {
      seen[name] = "failed";
    }
  }
  document.getElementById("seen").textContent = JSON.stringify(seen);
})();
</script>
"""


class Site:
    """Serves a page that asks the service for all that it can."""

    def __init__(self):
        self.page = b""
        site = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(200)
                self.send_header("Content-Type", "text/html; charset=utf-8")
                self.send_header("Content-Length", str(len(site.page)))
                self.end_headers()
                self.wfile.write(site.page)

            def log_message(self, *_):
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.origin = f"http://localhost:{self._server.server_port}"

    def close(self):
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def site():
    one = Site()
    yield one
    one.close()


@pytest.fixture
def browse(tmp_path):
    """What a page holds, after its scripts have run."""

    def look(url, *options):
        command = ["chromium", *OPTIONS.split(), f"--user-data-dir={tmp_path / 'browser'}", *options]
        done = subprocess.run(
            [*command, "--dump-dom", url], capture_output=True, text=True, timeout=120, check=True
        )
        return done.stdout

    return look


def tried(browse, site, address, headers=None, *options):
    """What a page of a site saw when it asked the service by an address."""
    page = PAGE.replace("SERVICE", address).replace("HEADERS", json.dumps(headers or {}))
    site.page = page.encode()
    shown = browse(site.origin, *options).partition('<pre id="seen">')[2].partition("</pre>")[0]
    return json.loads(shown.replace("&quot;", '"').replace("&amp;", "&"))


@contextmanager
def serving(folder, **settings):
    with service(folder, IDENTITY_DATA_DIR=folder / "data", **settings) as running:
        yield running, f"http://localhost:{running.port}"


def is_known(running, email, headers=None):
    body = json.dumps({"email": email})
    status, _, answer = running.request("POST", "/lookup", body, headers or {})
    assert status == 200
    return json.loads(answer)["identities"] != []


def test_a_page_of_another_origin_can_neither_write_nor_read(tmp_path, browse, site):
    with serving(tmp_path) as (running, address):
        running.identify("customer@x.example")
        seen = tried(browse, site, address)
        assert seen == dict.fromkeys(seen, "failed") | {"blindPost": ["opaque", 0, None, ""]}
        assert not is_known(running, "written-by-a-page@x.example")


def test_nor_can_it_with_a_key_nor_without(tmp_path, browse, site):
    secret, key = generate_key("page", [Scope.IDENTIFY, Scope.READ])
    authorized = {"Authorization": f"Bearer {secret}"}
    with serving(tmp_path, IDENTITY_API_KEYS=key.entry) as (running, address):
        body = json.dumps({"email": "customer@x.example"})
        assert running.request("POST", "/identify", body, authorized)[0] == 200
        for headers in ({}, authorized):
            seen = tried(browse, site, address, headers)
            assert seen == dict.fromkeys(seen, "failed") | {"blindPost": ["opaque", 0, None, ""]}
        assert not is_known(running, "written-by-a-page@x.example", authorized)


def test_a_page_whose_name_is_made_to_lead_to_the_service_sees_nothing(tmp_path, browse):
    with serving(tmp_path) as (running, _):
        running.identify("customer@x.example")
        resolving = "--host-resolver-rules=MAP evil.example 127.0.0.1"
        shown = browse(f"http://evil.example:{running.port}/identities/1", resolving)
        assert "customer@x.example" not in shown
        assert '"status":421' in shown


def test_a_page_of_an_allowed_origin_can_do_what_its_key_allows(tmp_path, browse, site):
    secret, key = generate_key("page", [Scope.IDENTIFY, Scope.READ])
    authorized = {"Authorization": f"Bearer {secret}", "X-Request-ID": "of-the-page"}
    settings = {
        "IDENTITY_API_KEYS": key.entry,
        "IDENTITY_ALLOWED_ORIGINS": f"https://other.example, {site.origin}",
    }
    with serving(tmp_path, **settings) as (running, address):
        seen = tried(browse, site, address, authorized)
        assert seen["post"][:3] == ["cors", 200, "created"]
        assert seen["read"][:2] == seen["head"][:2] == ["cors", 200]
        assert "written-by-a-page@x.example" in seen["read"][3]
        assert seen["simplePost"][:2] == seen["simpleRead"][:2] == ["cors", 401]
        status, _, _ = running.request(
            "POST", "/identify", "{}", authorized | {"Origin": "https://third.example"}
        )
        assert status == 403


@pytest.mark.parametrize(("path", "shows"), [("/docs", "operations-tag"), ("/redoc", "menu-content")])
def test_the_pages_work_with_what_they_are_allowed(tmp_path_factory, browse, path, shows, pages):
    shown = browse(f"{pages}{path}")
    assert shows in shown
    assert "/identify" in shown


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("pages")) as (_, address):
        yield address
