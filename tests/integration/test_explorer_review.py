"""Held pairs are reviewed in the explorer, by keyboard alone."""

import pytest
from playwright.sync_api import expect

from tests.support.explorer import (
    PHONE,
    ask,
    check_accessibility,
    exploring,
    identities,
    needs_browser,
    put_rules,
    record,
)

pytestmark = [pytest.mark.slow, needs_browser]


@pytest.fixture
def running(tmp_path, make_database):
    """A service whose limits hold two pairs: of the third email with 555001, and of the third with 555002."""
    with exploring(tmp_path, DB_CONNECTION_STRING=make_database()) as one:
        put_rules(one, emailsPerPhoneNumber=2)
        for phone_number in ("555001", "555002"):
            record(
                one, *((f"{name}{phone_number}@x.example", phone_number) for name in ("one", "two", "new"))
            )
        yield one


def held(running):
    return [pair["email"] for pair in ask(running, "GET", "/held")["held"]]


def review(page):
    """What shows the pair that is reviewed."""
    return page.get_by_role("article", name="Held pair")


def test_a_held_pair_is_accepted_by_keyboard_and_taken_back(running, visit):
    page = visit(running).open("/#/held")
    expect(review(page)).to_contain_text("new555001@x.example")
    expect(review(page)).to_contain_text("two555001@x.example")
    expect(review(page)).to_contain_text("more emails than the limit allows")
    expect(page.get_by_role("main")).to_contain_text("Pair 1 of 2")
    assert identities(running, email="new555001@x.example") != identities(running, phoneNumber="555001")
    page.keyboard.press("a")
    expect(page.get_by_label("Reason")).to_be_focused()
    expect(page.get_by_text("Two customers would become one.")).to_be_visible()
    page.keyboard.press("Enter")
    expect(page.get_by_text("Say why. The reason is recorded.")).to_be_visible()
    page.keyboard.type("same household")
    page.keyboard.press("Enter")
    notice = page.get_by_role("status").filter(has_text="The held pair was accepted.")
    expect(notice).to_be_visible()
    expect(review(page)).to_contain_text("new555002@x.example")
    assert identities(running, email="new555001@x.example") == identities(running, phoneNumber="555001")
    assert held(running) == ["new555002@x.example"]
    [pin] = ask(running, "GET", "/pins")["rulings"]
    assert (pin["verdict"], pin["reason"]) == ("same", "same household")
    notice.get_by_role("button", name="Take back").click()
    expect(page.get_by_text("Taken back.")).to_be_visible()
    expect(page.get_by_role("main")).to_contain_text("Pair 1 of 2")
    assert held(running) == ["new555001@x.example", "new555002@x.example"]
    assert ask(running, "GET", "/pins")["rulings"] == []


def test_held_pairs_are_rejected_by_keyboard_one_after_the_other(running, visit):
    page = visit(running).open("/#/held")
    expect(review(page)).to_contain_text("new555001@x.example")
    page.keyboard.press("j")
    expect(page.get_by_role("main")).to_contain_text("Pair 2 of 2")
    expect(review(page)).to_contain_text("new555002@x.example")
    page.keyboard.press("k")
    expect(review(page)).to_contain_text("new555001@x.example")
    page.keyboard.press("r")
    expect(page.get_by_label("Reason")).to_be_focused()
    page.keyboard.type("a till")
    page.keyboard.press("Escape")
    expect(page.get_by_label("Reason")).to_have_count(0)
    assert len(held(running)) == 2
    page.keyboard.press("r")
    page.keyboard.type("a till")
    expect(page.get_by_role("button", name="Reject", exact=True)).to_be_enabled()
    page.keyboard.press("Enter")
    expect(page.get_by_text("The held pair was rejected.")).to_be_visible()
    expect(review(page)).to_contain_text("new555002@x.example")
    assert held(running) == ["new555002@x.example"]
    assert [ruling["verdict"] for ruling in ask(running, "GET", "/rulings")["rulings"]] == ["undone"]
    page.keyboard.press("r")
    expect(page.get_by_label("Reason")).to_have_value("a till")
    expect(page.get_by_role("button", name="Reject", exact=True)).to_be_enabled()
    page.keyboard.press("Enter")
    expect(page.get_by_text("No pair waits for review.")).to_be_visible()
    assert held(running) == []


def test_what_somebody_else_decided_meanwhile_is_told(running, visit):
    opened = visit(running, refusals=[409, 404])
    one, other = opened.open("/#/held"), opened.open("/#/held")
    for page in (one, other):
        expect(review(page)).to_contain_text("new555001@x.example")
    other.keyboard.press("a")
    other.keyboard.type("late")
    expect(other.get_by_role("button", name="Accept", exact=True)).to_be_enabled()
    one.keyboard.press("r")
    one.keyboard.type("first")
    expect(one.get_by_role("button", name="Reject", exact=True)).to_be_enabled()
    one.keyboard.press("Enter")
    expect(one.get_by_text("The held pair was rejected.")).to_be_visible()
    other.keyboard.press("Enter")
    expect(other.get_by_role("alert")).to_contain_text("somebody decided about it")
    assert [ruling["verdict"] for ruling in ask(running, "GET", "/rulings")["rulings"]] == ["undone"]
    other.keyboard.press("Escape")
    other.reload()
    expect(review(other)).to_contain_text("new555002@x.example")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", ["desk", "phone"])
def test_the_review_is_accessible(running, visit, scheme, size):
    page = visit(running, color_scheme=scheme, **(PHONE if size == "phone" else {})).open("/#/held")
    expect(review(page)).to_contain_text("new555001@x.example")
    check_accessibility(page)
    page.get_by_role("button", name="Accept…").click()
    expect(page.get_by_text("Two customers would become one.")).to_be_visible()
    check_accessibility(page)
    page.get_by_role("button", name="Cancel").click()
    page.get_by_role("button", name="Keys").click()
    expect(page.get_by_text("Confirm, once a reason is given")).to_be_visible()
    check_accessibility(page)
