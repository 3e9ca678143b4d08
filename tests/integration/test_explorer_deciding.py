"""What is wrong is put right in the explorer: seen before, said why, and taken back."""

import re

import pytest
from playwright.sync_api import expect

from tests.support.explorer import (
    PHONE,
    ask,
    check_accessibility,
    exploring,
    identities,
    needs_browser,
    node,
    record,
    selection,
)
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.slow, needs_browser]


@pytest.fixture(scope="module")
def running(tmp_path_factory, make_database):
    with exploring(tmp_path_factory.mktemp("deciding"), DB_CONNECTION_STRING=make_database()) as one:
        yield one


@pytest.fixture
def customer(running, request):
    """A customer of two parts, which one pair joins: the middle of `names`."""
    name = request.node.name.partition("[")[0]
    number = sum(ord(character) * 31**at for at, character in enumerate(name)) % 10**9
    one, other = f"one{number}@x.example", f"other{number}@x.example"
    left, right = f"1{number:09}", f"2{number:09}"
    id = record(running, (one, left), (one, right), (other, right), (f"also{number}@x.example", right))
    return Customer(id, one, other, left, right)


class Customer:
    """The customer of a test."""

    def __init__(self, id, one, other, left, right):
        self.id, self.one, self.other, self.left, self.right = id, one, other, left, right


def choose(page, *values):
    for value in values:
        node(page, value).click()


def act(page, label):
    """Open the dialog of an action; the dialog, once it tells what would happen."""
    selection(page).get_by_role("button", name=label, exact=True).click()
    dialog = page.get_by_role("dialog")
    expect(dialog.locator(".summary")).not_to_be_empty()
    expect(dialog.locator(".summary")).not_to_contain_text("Finding out")
    return dialog


def confirm(dialog, verb, reason="a typo"):
    dialog.get_by_label("Reason").fill(reason)
    dialog.get_by_role("button", name=verb, exact=True).click()


def notice(page, text):
    return page.locator("#notices").locator(".notice").filter(has_text=text)


def pins(running, customer):
    found = ask(running, "GET", "/pins?limit=1000")["rulings"]
    return [pin for pin in found if {"email": customer.one} in (pin["one"], pin["other"])]


def rulings(running):
    return ask(running, "GET", "/rulings?limit=1000")["rulings"]


def test_a_pair_is_undone_and_the_undoing_is_taken_back(running, visit, customer):
    page = visit(running).open(f"/#/identities/{customer.id}")
    choose(page, customer.one, customer.right)
    dialog = act(page, "Undo this pair…")
    planned = ask(
        running,
        "POST",
        "/undo?dryRun=true",
        {"email": customer.one, "phoneNumber": customer.right, "reason": "x"},
    )
    expect(dialog).to_contain_text("One customer would become two.")
    for identity in planned["identities"]:
        id = identity["primaryContactId"]
        name = f"Customer {id}" if id else "A new customer"
        part = dialog.locator(".part").filter(has=page.get_by_role("heading", name=name, exact=True))
        expect(part).to_contain_text(re.compile(rf"{identity['totalContacts']} contacts?, "))
    before = len(rulings(running))
    dialog.get_by_role("button", name="Undo", exact=True).click()
    expect(dialog).to_contain_text("Say why. The reason is recorded.")
    assert len(rulings(running)) == before
    confirm(dialog, "Undo", "two people")
    done = notice(page, "The pair was undone.")
    expect(done).to_be_visible()
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(page.locator(".graph .edges .edge.undone")).to_have_count(1)
    assert identities(running, email=customer.one) != identities(running, email=customer.other)
    assert rulings(running)[-1]["reason"] == "two people"
    done.get_by_role("button", name="Take back").click()
    expect(notice(page, "Taken back.")).to_be_visible()
    expect(page.locator(".graph .edges .edge.undone")).to_have_count(0)
    assert identities(running, email=customer.one) == identities(running, email=customer.other)
    assert len(rulings(running)) == before


def test_what_was_undone_is_restored(running, visit, customer):
    page = visit(running, reduced_motion="no-preference").open(f"/#/identities/{customer.id}")
    pair = {"email": customer.one, "phoneNumber": customer.right}
    expect(node(page, customer.right)).to_be_visible()
    ask(running, "POST", "/undo", pair | {"reason": "by somebody else"})
    page.reload()
    expect(page.locator(".graph .edges .edge.undone")).to_have_count(1)
    choose(page, customer.one, customer.right)
    expect(selection(page)).to_contain_text("They are not one customer")
    dialog = act(page, "Restore this link…")
    expect(dialog).to_contain_text("Two customers would become one.")
    confirm(dialog, "Restore", "they are one")
    expect(notice(page, "The link was restored.")).to_be_visible()
    expect(page.locator(".graph .edges .edge.undone")).to_have_count(0)
    assert identities(running, email=customer.one) == identities(running, email=customer.other)


def test_two_of_two_customers_are_pinned_together(running, visit, customer):
    """The far end of a link that does not count is of another customer."""
    pair = {"email": customer.one, "phoneNumber": customer.right}
    ask(running, "POST", "/undo", pair | {"reason": "by somebody else"})
    page = visit(running).open(f"/#/identities/{customer.id}")
    choose(page, customer.left, customer.right)
    dialog = act(page, "Pin as the same customer…")
    expect(dialog).to_contain_text("Two customers would become one.")
    confirm(dialog, "Pin", "they said so")
    expect(notice(page, "pinned as the same customer")).to_be_visible()
    expect(page.locator(".graph .edges .edge.pin, .graph .edges .edge.same")).to_have_count(1)
    assert identities(running, email=customer.one) == identities(running, email=customer.other)


def test_what_may_have_been_done_is_told_and_looked_at_again(running, visit, customer):
    page = visit(running).open(f"/#/identities/{customer.id}")
    choose(page, customer.one, customer.right)
    dialog = act(page, "Undo this pair…")
    page.context.set_offline(True)
    confirm(dialog, "Undo", "the request is lost")
    expect(dialog).to_contain_text("it is unknown whether this was done")
    page.context.set_offline(False)
    expect(dialog).to_contain_text("This is what would happen now")
    expect(dialog).to_contain_text("One customer would become two.")

    def lose(route):
        if "dryRun" in route.request.url:
            route.continue_()
        else:
            route.fetch()
            route.abort()

    page.route("**/undo*", lose)
    before = len(rulings(running))
    dialog.get_by_label("Reason").fill("the answer is lost")
    dialog.get_by_role("button", name="Undo", exact=True).click()
    expect(dialog).to_contain_text("it is unknown whether this was done")
    expect(dialog).to_contain_text("this is in force already")
    assert [ruling["reason"] for ruling in rulings(running)[before:]] == ["the answer is lost"]
    dialog.get_by_role("button", name="Close").click()
    expect(page.locator(".graph .edges .edge.undone")).to_have_count(1)


def test_two_are_split_and_the_split_is_taken_back(running, visit, customer):
    page = visit(running).open(f"/#/identities/{customer.id}")
    choose(page, customer.one, customer.other)
    before = len(rulings(running))
    dialog = act(page, "Split them…")
    expect(dialog).to_contain_text("One customer would become two.")
    expect(dialog).to_contain_text("1 link would be undone")
    confirm(dialog, "Split")
    done = notice(page, "The two were split.")
    expect(done).to_be_visible()
    assert identities(running, email=customer.one) != identities(running, email=customer.other)
    assert len(rulings(running)) == before + 2
    done.get_by_role("button", name="Take back").click()
    expect(notice(page, "Taken back.")).to_be_visible()
    assert identities(running, email=customer.one) == identities(running, email=customer.other)
    assert len(rulings(running)) == before


def test_two_are_pinned_apart_and_the_pin_is_removed(running, visit, customer):
    page = visit(running).open(f"/#/identities/{customer.id}")
    choose(page, customer.one, customer.right)
    confirm(act(page, "Undo this pair…"), "Undo")
    expect(page.locator(".graph .edges .edge.undone")).to_have_count(1)
    expect(page.get_by_role("dialog")).to_have_count(0)
    if node(page, customer.right).get_attribute("aria-pressed") != "true":
        choose(page, customer.one, customer.right)
    dialog = act(page, "Pin as different customers…")
    confirm(dialog, "Pin", "mother and son")
    expect(notice(page, "pinned as different customers")).to_be_visible()
    expect(selection(page)).to_contain_text("mother and son")
    [pin] = [
        one
        for one in ask(running, "GET", "/pins?limit=1000")["rulings"]
        if one["one"] == {"email": customer.one}
    ]
    assert pin["verdict"] == "different"
    dialog = act(page, "Remove the pin…")
    dialog.get_by_role("button", name="Remove", exact=True).click()
    expect(notice(page, "The pin was removed.")).to_be_visible()
    assert pins(running, customer) == []


def test_what_contradicts_the_record_is_told_with_what_to_do_instead(running, visit, customer):
    page = visit(running, refusals=[409]).open(f"/#/identities/{customer.id}")
    pins = {"one": {"email": customer.one}, "other": {"email": customer.other}, "reason": "sure"}
    choose(page, customer.one, customer.other)
    expect(selection(page).get_by_role("button", name="Split them…")).to_be_visible()
    ask(running, "POST", "/pins", pins | {"verdict": "same"})
    selection(page).get_by_role("button", name="Split them…").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("button", name="Remove this pin")).to_be_visible()
    expect(dialog).to_contain_text("sure")
    dialog.get_by_role("button", name="Remove this pin").click()
    expect(dialog.get_by_role("heading", name="Remove the pin that joins these two")).to_be_visible()
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(selection(page).get_by_role("button", name="Split them…")).to_be_focused()


def test_a_value_is_blocked_and_the_block_is_taken_back(running, visit, customer):
    page = visit(running).open(f"/#/identities/{customer.id}")
    choose(page, customer.right)
    dialog = act(page, "Block this value…")
    expect(dialog).to_contain_text("would come apart")
    confirm(dialog, "Block", "a till")
    done = notice(page, "The value is blocked.")
    expect(done).to_be_visible()
    assert customer.right in ask(running, "GET", "/rules")["blocked"]["phoneNumbers"]
    expect(selection(page).get_by_role("button", name="Unblock this value…")).to_be_visible()
    wait_until(lambda: ask(running, "GET", "/rules")["isSettled"])
    assert identities(running, email=customer.one) != identities(running, email=customer.other)
    done.get_by_role("button", name="Take back").click()
    expect(notice(page, "Taken back.")).to_be_visible()
    assert customer.right not in ask(running, "GET", "/rules")["blocked"]["phoneNumbers"]
    wait_until(lambda: ask(running, "GET", "/rules")["isSettled"])
    assert identities(running, email=customer.one) == identities(running, email=customer.other)


def test_a_person_is_erased_only_when_it_is_typed(running, visit, customer):
    page = visit(running, refusals=[404, 410]).open(f"/#/identities/{customer.id}")
    dialog = act(page, "Erase this person…")
    expect(dialog).to_contain_text("4 contacts")
    expect(dialog).to_contain_text("cannot be taken back")
    for value in (customer.one, customer.other, customer.left, customer.right):
        expect(dialog).to_contain_text(value)
    erase = dialog.get_by_role("button", name="Erase", exact=True)
    typed = dialog.get_by_label(re.compile("to confirm"))
    for wrong in ("", "yes", f"{customer.id}1"):
        typed.fill(wrong)
        erase.click()
        expect(dialog).to_contain_text(f"Type {customer.id}.")
    assert identities(running, email=customer.one) == [customer.id]
    typed.fill(str(customer.id))
    erase.click()
    receipt = page.get_by_role("dialog", name="This person was erased")
    expect(receipt).to_contain_text("4 contacts")
    assert identities(running, email=customer.one) == []
    receipt.get_by_role("button", name="Done").click()
    expect(page.get_by_role("heading", name="Find a customer")).to_be_visible()
    expect(page.locator("body")).not_to_contain_text(customer.one)
    page.goto(f"{running.address}/#/identities/{customer.id}")
    expect(page.get_by_role("main")).to_contain_text(f"Contact {customer.id} was erased.")


def test_of_two_windows_on_one_customer_the_second_is_told_and_goes_on(running, visit, customer):
    opened = visit(running, refusals=[409])
    one, other = (opened.open(f"/#/identities/{customer.id}") for _ in range(2))
    choose(one, customer.one, customer.right)
    choose(other, customer.other, customer.right)
    first, second = act(one, "Undo this pair…"), act(other, "Undo this pair…")
    confirm(first, "Undo", "first")
    expect(notice(one, "The pair was undone.")).to_be_visible()
    confirm(second, "Undo", "second")
    expect(second.get_by_role("alert")).to_contain_text("Somebody changed this customer meanwhile")
    assert opened.refusals == [409]
    assert [ruling["reason"] for ruling in rulings(running)][-1] == "first"
    expect(second.get_by_label("Reason")).to_have_value("second")
    expect(second.locator(".summary")).not_to_contain_text("Finding out")
    second.get_by_role("button", name="Undo", exact=True).click()
    expect(notice(other, "The pair was undone.")).to_be_visible()
    assert [ruling["reason"] for ruling in rulings(running)][-1] == "second"
    assert identities(running, email=customer.one) != identities(running, phoneNumber=customer.right)
    assert identities(running, email=customer.other) != identities(running, phoneNumber=customer.right)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", ["desk", "phone"])
def test_what_decides_is_accessible(running, visit, customer, scheme, size):
    page = visit(running, color_scheme=scheme, **(PHONE if size == "phone" else {})).open(
        f"/#/identities/{customer.id}"
    )
    choose(page, customer.one, customer.other)
    expect(selection(page)).to_contain_text("Why they are one customer")
    check_accessibility(page)
    for label in ("Split them…", "Pin as the same customer…", "Erase this person…"):
        dialog = act(page, label)
        check_accessibility(page)
        assert dialog.evaluate("dialog => dialog.contains(document.activeElement)")
        page.keyboard.press("Escape")
        expect(dialog).to_have_count(0)
        expect(selection(page).get_by_role("button", name=label)).to_be_focused()
    choose(page, customer.one)
    dialog = act(page, "Block this value…")
    check_accessibility(page)
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
