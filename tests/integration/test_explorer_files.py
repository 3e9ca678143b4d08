"""The page of the explorer and its files, as they are sent."""

import re
from pathlib import Path

import pytest

from identity_adapters.http import static
from tests.support.processes import service

FOLDER = Path(static.__file__).parent / "explorer"
SERVED = {
    path.relative_to(FOLDER).as_posix(): path
    for path in FOLDER.rglob("*")
    if path.suffix in (".js", ".css", ".svg")
}
"""What the explorer consists of besides its page, by its path under ``/explorer``."""

LIMIT = 300_000
"""Bytes of all of it, before compression."""

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; "
    "trusted-types 'none'"
)


@pytest.fixture(scope="module")
def running(tmp_path_factory, make_database):
    with service(tmp_path_factory.mktemp("explorer"), DB_CONNECTION_STRING=make_database()) as one:
        yield one


def test_the_page_is_at_the_root_and_may_use_nothing_but_its_own_files(running):
    status, headers, body = running.request("GET", "/")
    assert (status, headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert headers["content-security-policy"] == POLICY
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "no-cache"
    assert "set-cookie" not in headers
    assert body == (FOLDER / "index.html").read_bytes()


@pytest.mark.parametrize("name", sorted(SERVED))
def test_each_of_its_files_is_sent_as_it_is(running, name):
    status, headers, body = running.request("GET", f"/explorer/{name}")
    types = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
    assert (status, headers["content-type"].partition(";")[0]) == (200, types[SERVED[name].suffix])
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "no-cache"
    assert body == SERVED[name].read_bytes()


def test_all_that_a_file_names_is_one_of_them(running):
    """Relative addresses, so that it also works behind a proxy that adds a prefix to the path."""
    page = (FOLDER / "index.html").read_text()
    named = {Path(name) for name in re.findall(r'(?:src|href)="([^"#]+)"', page)}
    assert {path.parts[0] for path in named} == {"explorer"}
    reached = {path.relative_to("explorer").as_posix() for path in named}
    waiting = [name for name in reached if name.endswith(".js") and not name.startswith("vendor/")]
    while waiting:
        name = waiting.pop()
        for found in re.findall(r"""\b(?:from|import)\s*\(?\s*["']([^"']+)["']""", SERVED[name].read_text()):
            assert found.startswith(("./", "../")), f"{name} imports {found}"
            path = (SERVED[name].parent / found).resolve().relative_to(FOLDER.resolve()).as_posix()
            if path not in reached:
                reached.add(path)
                waiting.append(path)
    assert reached == SERVED.keys()


def test_a_browser_is_sent_again_only_what_has_changed(running):
    for path in ("/", "/explorer/app.js"):
        _, headers, body = running.request("GET", path)
        tag = headers["etag"]
        for sent in (tag, f"W/{tag}", f'"another", {tag}'):
            status, headers, empty = running.request("GET", path, headers={"If-None-Match": sent})
            assert (status, empty, headers["etag"]) == (304, b"", tag)
        assert running.request("GET", path, headers={"If-None-Match": '"another"'})[::2] == (200, body)
        assert running.request("HEAD", path, headers={"If-None-Match": tag})[0] == 304


@pytest.mark.parametrize(
    "path",
    [
        "/explorer",
        "/explorer/",
        "/explorer/index.html",  # it has no policy there
        "/explorer/nothing.js",
        "/explorer/vendor",
        "/explorer/vendor/README.md",
        "/explorer/vendor/d3.LICENSE",
        "/explorer/../app.py",
        "/explorer/%2e%2e/app.py",
        "/explorer/..%2fapp.py",
        "/explorer/vendor/../../app.py",
        "/explorer/vendor/../../assets/swagger-ui.css",
        f"/explorer/{FOLDER / 'app.js'}",
        "/explorer/%2Fetc%2Fpasswd",
        "/explorer/app.js%00",
        "/explorer/APP.JS",
    ],
)
def test_nothing_else_is_sent(running, path):
    assert running.request("GET", path)[0] == 404


def test_nothing_can_be_sent_to_it(running):
    for path in ("/", "/explorer/app.js"):
        for method in ("POST", "PUT", "DELETE"):
            assert running.request(method, path, "x")[0] == 405


def test_it_is_small():
    sizes = [path.stat().st_size for path in [FOLDER / "index.html", *SERVED.values()]]
    assert sum(sizes) < LIMIT


def test_it_is_not_part_of_the_described_interface(running):
    _, _, document = running.request("GET", "/openapi.json")
    assert b"/explorer" not in document


@pytest.mark.parametrize(("pages", "start"), [("yes", (302, "/docs")), ("no", (404, None))])
def test_a_setting_turns_it_off(tmp_path, make_database, pages, start):
    settings = {"IDENTITY_EXPLORER": "no", "IDENTITY_PAGES": pages, "DB_CONNECTION_STRING": make_database()}
    with service(tmp_path, **settings) as other:
        status, headers, _ = other.request("GET", "/")
        assert (status, headers["location"]) == start
        assert other.request("HEAD", "/")[0] == start[0]
        for path in ("/explorer/app.js", "/explorer/explorer.css", "/explorer/vendor/d3-zoom.min.js"):
            assert other.request("GET", path)[0] == 404
        assert other.request("GET", "/docs")[0] == (200 if pages == "yes" else 404)
