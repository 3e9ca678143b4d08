"""The explorer shows whatever strangers typed, and however much of it."""

import re

import pytest
from playwright.sync_api import expect

from tests.support.explorer import (
    PHONE,
    ask,
    check_accessibility,
    drawn,
    exploring,
    import_rows,
    needs_browser,
    node,
    record,
    selection,
)

pytestmark = [pytest.mark.slow, needs_browser]

HOSTILE = [
    "<img src=x onerror=window.ran=1>@x.example",
    '"><svg/onload=window.ran=1>@x.example',
    "</title></script><script>window.ran=1</script>@x.example",
    "javascript:window.ran=1//@x.example",
    "&lt;b&gt;&amp;&#0;@x.example",
    "${window.ran=1}{{window.ran=1}}@x.example",
    "__proto__@x.example",
    "משתמש@דוגמה.example",
    "a" * 180 + "@x.example",
    "'; DROP TABLE contacts; --@x.example",
]
"""Emails that would do harm as markup, as script, as a key or in a line of text."""

ADDRESS = re.compile(
    r"/(explorer/[\w./-]+|#/identities/\d+|[a-z]+(/\d+)?(/[a-z]+)?(\?(limit|after|dryRun)=(\d+|true))?)?"
)
"""An address that has nothing but ids."""

HUBS = 2
CONTACTS = 10_000


@pytest.fixture(scope="module")
def running(tmp_path_factory, make_database):
    with exploring(tmp_path_factory.mktemp("values"), DB_CONNECTION_STRING=make_database()) as one:
        yield one


@pytest.fixture(scope="module")
def hostile(running):
    """The id of a customer who has all of these, as emails."""
    return record(running, *((email, "5550001") for email in HOSTILE))


def test_whatever_is_typed_is_shown_as_text(running, visit, hostile):
    page = visit(running).open(f"/#/identities/{hostile}")
    expect(page.locator(".graph .node")).to_have_count(len(HOSTILE) + 1)
    stored = ask(running, "GET", f"/identities/{hostile}")["contacts"]
    emails = {contact["email"] for contact in stored}
    assert len(emails) == len(HOSTILE)
    assert {*drawn(page)} == emails | {"5550001"}
    cells = page.get_by_role("region", name="Table of contacts").locator("tbody tr td:nth-child(2)")
    assert {*cells.all_text_contents()} == emails
    isolated = {*page.get_by_role("region", name="Table of contacts").locator("bdi").all_text_contents()}
    assert emails <= isolated
    for email in sorted(emails):
        node(page, email).click()
        expect(selection(page)).to_contain_text(email)
    assert page.evaluate("window.ran") is None
    assert page.locator("main img, main script, main b, main svg svg").count() == 0


@pytest.mark.parametrize("email", HOSTILE)
def test_whatever_is_typed_is_found_decided_about_and_never_in_an_address(running, visit, hostile, email):
    opened = visit(running)
    page = opened.open()
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.get_by_label("Email, phone number or contact id").fill(email)
    page.get_by_role("button", name="Find", exact=True).click()
    expect(page.locator(".graph .node[aria-pressed=true]")).to_have_count(1)
    node(page, "5550001").click()
    selection(page).get_by_role("button", name="Undo this pair…").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("One customer would become two.")
    reason = f"<b>{email[:100]}</b>\u202e reversed"
    dialog.get_by_label("Reason").fill(reason)
    dialog.get_by_role("button", name="Undo", exact=True).click()
    done = page.locator(".notice").filter(has_text="The pair was undone.")
    done.get_by_role("button", name="Take back").click()
    expect(page.locator(".notice").filter(has_text="Taken back.")).to_be_visible()
    assert page.evaluate("window.ran") is None
    for url in [*asked, page.url]:
        assert re.fullmatch(ADDRESS, url.removeprefix(running.address)), url
    assert re.fullmatch(r"[\w ·]+", page.title())
    assert email not in running.output()


def test_a_value_of_any_length_fits_on_a_phone(running, visit, hostile):
    page = visit(running, **PHONE).open(f"/#/identities/{hostile}")
    expect(page.locator(".graph .node")).to_have_count(len(HOSTILE) + 1)
    expect(page.get_by_role("region", name="Table of contacts")).to_be_visible()
    check_accessibility(page)


@pytest.fixture(scope="module")
def large(running, tmp_path_factory):
    """The id of a customer of two phone numbers, each with thousands of emails."""
    rows = [
        (f"n{number}@hub.example", f"600000000{number % HUBS}", f"2020-01-{1 + number // 500:02}T00:00:00Z")
        for number in range(CONTACTS)
    ]
    rows.append(("n0@hub.example", "6000000001", "2021-01-01T00:00:00Z"))  # joins the two
    import_rows(running, tmp_path_factory.mktemp("large"), rows)
    return record(running, ("n0@hub.example", "6000000000"))


def test_a_very_large_customer_opens_around_its_hubs_and_step_by_step(running, visit, large):
    page = visit(running).open(f"/#/identities/{large}")
    expect(page.get_by_role("heading", level=1)).to_have_text(f"Customer {large}")
    expect(page.get_by_text("10,000 contacts")).to_be_visible()
    expect(page.get_by_text(re.compile(r"^\d+ of 10,002 values are shown"))).to_be_visible()
    first = page.locator(".graph .node").count()
    assert first < 500
    for hub in ("6000000000", "6000000001", "n0@hub.example"):
        expect(node(page, hub)).to_be_visible()
    bundle = page.locator(".graph .node.bundle").first
    bundle.click()
    expect(page.locator(".graph .node").nth(first + 5)).to_be_attached()
    second = page.locator(".graph .node").count()
    assert first < second < first + 500
    assert "n9321@hub.example" not in drawn(page)
    page.get_by_label("Find a value in this customer").fill("n9321@")
    page.get_by_role("button", name="n9321@hub.example").click()
    expect(node(page, "n9321@hub.example")).to_have_attribute("aria-pressed", "true")
    node(page, "6000000001").click()
    expect(selection(page)).to_contain_text("Why they are one customer")
    selection(page).get_by_role("button", name="Undo this pair…").click()
    expect(page.get_by_role("dialog")).to_contain_text("One customer would become two.")
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Fold up").click()
    expect(page.locator(".graph .node").nth(first + 10)).not_to_be_attached()
    rows = page.get_by_role("region", name="Table of contacts").locator("tbody tr")
    before = rows.count()
    page.get_by_role("button", name="More contacts").click()
    expect(rows.nth(before)).to_be_attached()
    assert page.evaluate("document.querySelectorAll('*').length") < 10_000


def test_a_very_large_customer_is_as_accessible(running, visit, large):
    page = visit(running, **PHONE).open(f"/#/identities/{large}")
    expect(page.get_by_text(re.compile(r"^\d+ of 10,002 values are shown"))).to_be_visible()
    check_accessibility(page)
