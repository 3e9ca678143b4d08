"""What the explorer shows to whom, what it leaves behind, and what it does while the service is away."""

import pytest
from playwright.sync_api import expect

from identity_adapters.embedded import embedded_database
from identity_adapters.postgres import migrate
from tests.integration.test_embedded import servers
from tests.support.databases import plain
from tests.support.explorer import (
    Windows,
    ask,
    exploring,
    make_key,
    needs_browser,
    node,
    prefixing,
    record,
    selection,
    sign_in,
)
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.slow, needs_browser]

KEYS = {
    "everything": ("identify", "read", "decide", "erase", "admin"),
    "reader": ("read",),
    "decider": ("read", "decide"),
    "eraser": ("read", "erase"),
    "ruler": ("read", "admin"),
    "shop": ("identify",),
}

STORED = """async () => [
  localStorage.length, sessionStorage.length, document.cookie, history.state,
  (await indexedDB.databases()).length, (await caches.keys()).length, window.name,
  (await navigator.serviceWorker?.getRegistrations() ?? []).length,
]"""
"""What a page could keep for later."""


@pytest.fixture(scope="module")
def keys():
    """A secret and its key for each set of scopes."""
    return {name: make_key(name, *scopes) for name, scopes in KEYS.items()}


@pytest.fixture(scope="module")
def running(tmp_path_factory, make_database, keys):
    folder = tmp_path_factory.mktemp("keys")
    with exploring(folder, [key for _, key in keys.values()], DB_CONNECTION_STRING=make_database()) as one:
        yield one


@pytest.fixture(scope="module")
def known(running, keys):
    """The id of a contact."""
    body = {"email": "known@x.example", "phoneNumber": "5550001"}
    return ask(running, "POST", "/identify", body, keys["everything"][0])["contact"]["primaryContactId"]


def test_a_wrong_key_is_told_and_the_right_one_lets_in(running, visit, keys):
    page = visit(running, refusals=[401]).open()
    sign_in(page, "wrong")
    expect(page.get_by_role("alert")).to_have_text("The service does not know this key.")
    sign_in(page, keys["everything"][0])
    expect(page.get_by_role("banner")).to_contain_text("everything")
    expect(page.get_by_label("API key")).to_have_count(0)


def test_the_key_is_gone_when_the_page_is_loaded_again(running, visit, keys, known):
    page = visit(running, refusals=[401]).open(f"/#/identities/{known}")
    sign_in(page, keys["reader"][0])
    expect(page.get_by_role("main")).to_contain_text("known@x.example")
    assert page.evaluate(STORED) == [0, 0, "", None, 0, 0, "", 0]
    assert page.context.cookies() == []
    page.reload()
    expect(page.get_by_label("API key")).to_be_focused()
    expect(page.get_by_label("API key")).to_have_value("")
    expect(page.get_by_role("main")).not_to_contain_text("known@x.example")
    assert page.url == f"{running.address}/#/identities/{known}"


def test_who_signs_out_leaves_nothing_on_the_page(running, visit, keys, known):
    page = visit(running, refusals=[401]).open(f"/#/identities/{known}")
    sign_in(page, keys["reader"][0])
    expect(page.get_by_role("main")).to_contain_text("known@x.example")
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_label("API key")).to_be_focused()
    expect(page.locator("body")).not_to_contain_text("known@x.example")
    expect(page.get_by_role("banner")).not_to_contain_text("reader")
    sign_in(page, keys["decider"][0])
    expect(page.get_by_role("banner")).to_contain_text("decider")


ACTIONS = {"Undo this pair…", "Block this value…", "Erase this person…"}


@pytest.mark.parametrize(
    ("name", "allowed"),
    [
        ("everything", ACTIONS),
        ("reader", set()),
        ("decider", {"Undo this pair…"}),
        ("eraser", {"Erase this person…"}),
        ("ruler", {"Block this value…"}),
    ],
)
def test_a_key_is_shown_only_what_its_scopes_allow(running, visit, keys, known, name, allowed):
    page = visit(running, refusals=[401]).open(f"/#/identities/{known}")
    sign_in(page, keys[name][0])
    node(page, "known@x.example").click()
    offered = set()
    for others in ([], ["5550001"]):  # one value, then the pair
        for other in others:
            node(page, other).click()
            expect(selection(page)).to_contain_text("Why they are one customer")
        expect(selection(page)).to_contain_text("known@x.example")
        offered |= {*selection(page).get_by_role("button").all_text_contents()} & ACTIONS
    assert offered == allowed
    if not allowed:
        expect(selection(page)).to_contain_text("Your key reads alone")
    page.get_by_role("link", name="Review").click()
    expect(page.get_by_text("No pair waits for review.")).to_be_visible()


def test_a_key_that_cannot_read_sees_nothing_and_asks_for_nothing(running, visit, keys, known):
    opened = visit(running, refusals=[401])
    page = opened.open(f"/#/identities/{known}")
    asked = []
    page.on("request", lambda request: asked.append(request.url.removeprefix(running.address)))
    sign_in(page, keys["shop"][0])
    expect(page.get_by_role("banner")).to_contain_text("shop")
    expect(page.get_by_role("main")).to_contain_text("does not allow to read")
    expect(page.get_by_role("link", name="Review")).to_have_count(0)
    assert [path for path in asked if not path.startswith("/explorer/")] == ["/key"]


def test_a_key_that_may_read_once_a_second_sees_everything_after_a_while(tmp_path, make_database, visit):
    secret, key = make_key("slow", "identify", "read")
    settings = {"DB_CONNECTION_STRING": make_database(), "IDENTITY_RATE_LIMIT": 1}
    with exploring(tmp_path, [key], **settings) as running:
        body = {"email": "slow@x.example", "phoneNumber": "5550009"}
        id = ask(running, "POST", "/identify", body, secret)["contact"]["primaryContactId"]
        opened = visit(running, refusals=[401, 429])
        page = opened.open(f"/#/identities/{id}")
        sign_in(page, secret)
        for region in ("Contacts", "History"):
            expect(page.get_by_role("region", name=region, exact=True)).to_contain_text("slow@x.example")
        assert 429 in opened.refusals
        expect(page.get_by_role("alert")).to_have_count(0)


def test_it_works_behind_a_proxy_that_adds_to_the_path(tmp_path, make_database, visit):
    with (
        exploring(tmp_path, DB_CONNECTION_STRING=make_database()) as one,
        prefixing(one, "/identity") as proxy,
    ):
        id = record(one, ("prefixed@x.example", "1"))
        page = visit(proxy).open(f"/identity/#/identities/{id}")
        expect(page.get_by_role("main")).to_contain_text("prefixed@x.example")
        expect(page.get_by_role("link", name="API")).to_be_visible()


def test_the_interactive_documentation_is_linked_only_where_it_is_served(tmp_path, make_database, visit):
    with exploring(tmp_path, DB_CONNECTION_STRING=make_database(), IDENTITY_PAGES="no") as one:
        opened = visit(one, refusals=[404])
        with opened.context.expect_event("response", lambda answer: answer.url.endswith("/docs")):
            page = opened.open()
        expect(page.get_by_role("link", name="Review")).to_be_visible()
        expect(page.get_by_role("link", name="API")).to_have_count(0)


def test_a_database_that_goes_away_is_waited_for(tmp_path, visit):
    data = tmp_path / "data"
    with embedded_database(data) as url:
        migrate(url)
        settings = {"DB_CONNECTION_STRING": plain(url), "IDENTITY_ANSWER_TIMEOUT": 3}
        with exploring(tmp_path, **settings) as one:
            ids = [record(one, (f"{name}@x.example", name)) for name in ("1", "2")]
            page = visit(one, refusals=[503]).open(f"/#/identities/{ids[0]}")
            expect(page.get_by_role("main")).to_contain_text("1@x.example")
            [postmaster] = servers(data)
            stopped = [postmaster, *postmaster.children(recursive=True)]
            for process in stopped:
                process.suspend()
            try:
                page.evaluate(f"location.hash = '#/identities/{ids[1]}'")
                expect(page.get_by_role("alert")).to_contain_text("Trying again")
            finally:
                for process in stopped:
                    process.resume()
            expect(page.get_by_role("main")).to_contain_text("2@x.example")
            expect(page.get_by_role("alert")).to_have_count(0)


@pytest.mark.parametrize(
    ("script", "noticed"),
    [
        (
            "document.body.innerHTML = '<img src=x onerror=\"window.ran = true\">'",
            "require-trusted-types-for",
        ),
        (
            "const s = document.createElement('script'); s.text = 'window.ran = 1'; document.body.append(s)",
            "require-trusted-types-for",
        ),
        (
            "document.body.setAttribute('onclick', 'window.ran = true'); document.body.click()",
            "require-trusted-types-for",
        ),
        ("document.body.setAttribute('style', 'color: red')", "style-src-attr"),
        ("fetch('http://127.0.0.2:1/').catch(() => null)", "connect-src"),
        ("new Image().src = 'http://127.0.0.2:1/'", "img-src"),
        ("setTimeout(() => { throw new Error('unexpected') })", "unexpected"),
        ("console.error('unexpected')", "unexpected"),
    ],
)
def test_what_got_through_would_be_stopped_and_noticed(running, browser, script, noticed):
    """Whatever else fails, the policy holds; and no other test could miss it."""
    opened = Windows(browser, running.address)
    try:
        page = opened.open()
        page.get_by_label("API key").wait_for()
        page.evaluate(f"() => {{ try {{ {script} }} catch {{}} }}")
        wait_until(lambda: page.evaluate("true") and any(noticed in failure for failure in opened.failures))
        assert page.evaluate("window.ran") is None
    finally:
        opened.context.close()
