"""Takes the screenshots of the explorer: `python -m docs.screenshots ORDERS.csv`, in the root.

The orders are imported into a temporary database as if they were of three shops, one shop after the other.
So a few of them merge customers. Limits hold some.
"""

import csv
import random
import sys
import tempfile
from operator import itemgetter
from pathlib import Path

from playwright.sync_api import expect
from tests.support.explorer import ask, browsing, exploring, node, put_rules, selection, windows
from tests.support.processes import run

IMAGES = Path(__file__).parent / "images"
LIMITS = {"emailsPerPhoneNumber": 2, "phoneNumbersPerEmail": 3}
SHOPS = 3
SEED = 233
DESK = {"viewport": {"width": 1280, "height": 800}}
PHONE = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True}


def main(orders):
    """Take all of them."""
    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with exploring(folder, IDENTITY_DATA_DIR=folder / "data") as running, browsing() as browser:
            put_rules(running, **LIMITS)
            import_of_shops(running, folder, orders)
            id = find_largest(running)
            for name, scheme, size in [
                ("", "light", DESK),
                ("-dark", "dark", DESK),
                ("-phone", "light", PHONE),
            ]:
                options = {"color_scheme": scheme, "locale": "en-GB", "timezone_id": "UTC"} | size
                with windows(browser, running.address, **options) as opened:
                    take(opened, running, id, name)


def import_of_shops(running, folder, orders):
    """Import a file of orders as if they were of several shops, one shop after the other."""
    with Path(orders).open(newline="", encoding="utf-8") as file:
        head, *rows = csv.reader(file)
    rows.sort(key=itemgetter(2))
    random.Random(SEED).shuffle(rows)
    path = folder / "orders.csv"
    for shop in range(SHOPS):
        with path.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([head, *rows[shop::SHOPS]])
        done = run("import", str(path), cwd=folder, **running.settings)
        if done.returncode != 0:
            raise SystemExit(done.stderr)


def graph_of(running, id):
    """The evidence graph of a contact."""
    return ask(running, "GET", f"/identities/{id}/graph")


def find_largest(running):
    """The customer with the most values of those who have a held pair."""
    held = ask(running, "GET", "/held?limit=100")["held"]
    ids = {
        pair[side]["primaryContactId"]
        for pair in held
        for side in ("identityOfEmail", "identityOfPhoneNumber")
    }
    return max(sorted(ids), key=lambda one: len(graph_of(running, one)["values"]))


def find_ends(running, id):
    """Two emails of a customer with the longest chain between them."""
    emails = [
        value["email"]
        for value in graph_of(running, id)["values"]
        if "email" in value and value.get("isMember", True)
    ]

    def measure(ends):
        one, other = ends
        body = {"one": {"email": one}, "other": {"email": other}}
        return len(ask(running, "POST", "/explain", body)["chain"])

    return max(((one, other) for one in emails for other in emails if one < other), key=measure)


def take(opened, running, id, suffix):
    """Take those of one size and colour scheme."""

    def save(page, name):
        page.mouse.move(0, 0)
        page.evaluate("document.activeElement.blur()")
        page.screenshot(path=IMAGES / f"{name}{suffix}.png", animations="disabled")

    page = opened.open()
    expect(page.get_by_role("region", name="Recent merges").get_by_role("listitem").first).to_be_visible()
    expect(page.locator("[aria-busy=true]")).to_have_count(0)
    if not suffix:
        save(page, "explorer-home")
    page.goto(f"{opened.address}/#/identities/{id}")
    one, other = find_ends(running, id)
    expect(page.get_by_role("region", name="History").get_by_role("listitem").first).to_be_visible()
    node(page, one).click()
    save(page, "explorer-identity")
    if suffix:
        return
    node(page, other).click()
    expect(selection(page)).to_contain_text("Why they are one customer")
    save(page, "explorer-explain")
    selection(page).get_by_role("button", name="Split them…").click()
    expect(page.get_by_role("dialog")).to_contain_text("would become two")
    page.screenshot(path=IMAGES / "explorer-split.png", animations="disabled")
    page.keyboard.press("Escape")
    page.goto(f"{opened.address}/#/held")
    expect(page.get_by_role("article", name="Held pair").locator(".part").first).to_be_visible()
    save(page, "explorer-review")


if __name__ == "__main__":
    main(*sys.argv[1:])
