"""Customers are found, seen and explained in the explorer."""

import json
import re
from urllib.parse import quote
from xml.etree import ElementTree

import pytest
from playwright.sync_api import expect

from tests.support.explorer import (
    PHONE,
    ask,
    check_accessibility,
    drawn,
    exploring,
    identities,
    needs_browser,
    node,
    put_rules,
    record,
    selection,
)

pytestmark = [pytest.mark.slow, needs_browser]

COUNTING = ("contact", "evidence", "inherited", "pin")
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def running(tmp_path_factory, make_database):
    folder = tmp_path_factory.mktemp("looking")
    with exploring(folder, DB_CONNECTION_STRING=make_database()) as one:
        put_rules(one, emailsPerPhoneNumber=4)
        yield one


@pytest.fixture(scope="module")
def customer(running):
    """The id of a customer with links that do not count, a weakest value and a history."""
    record(
        running,
        ("ann@x.example", "5550101"),
        ("ann.work@x.example", "5550101"),
        ("ann.work@x.example", "5550102"),
        ("bob@x.example", "5550102"),
        ("bob@x.example", "5550103"),
        ("typo@x.example", "5550102"),
        ("fourth@x.example", "5550102"),
        ("late@x.example", "5550102"),  # the limit holds it
        ("apart@x.example", "5550199"),
        ("ann.home@x.example", "5550100"),
    )
    running.identify("ann.home@x.example", "5550101")  # merges the two
    undone = {"email": "typo@x.example", "phoneNumber": "5550102", "reason": "a typo"}
    ask(running, "POST", "/undo", undone)
    pin = {"one": {"email": "ann@x.example"}, "other": {"email": "apart@x.example"}}
    ask(running, "POST", "/pins", pin | {"verdict": "different", "reason": "sisters"})
    [id] = identities(running, email="ann@x.example")
    return id


COVERED = """() => {
  const boxes = [...document.querySelectorAll(".graph .node .box")].map((box) => box.getBoundingClientRect());
  const middle = (box) => [box.x + box.width / 2, box.y + box.height / 2];
  const found = [];
  for (const line of document.querySelectorAll(".graph .edges .edge .line")) {
    const matrix = line.getScreenCTM();
    const read = (name) => line[name].baseVal.value;
    const at = (end) => new DOMPoint(read(`x${end}`), read(`y${end}`)).matrixTransform(matrix);
    const [from, to] = [at(1), at(2)];
    for (const box of boxes) {
      const [x, y] = middle(box);
      if ([from, to].some((end) => Math.hypot(end.x - x, end.y - y) < 2)) continue;
      for (let part = 0; part <= 1; part += 0.005) {
        const [alongX, alongY] = [from.x + part * (to.x - from.x), from.y + part * (to.y - from.y)];
        if (Math.abs(alongX - x) < box.width / 2 && Math.abs(alongY - y) < box.height / 2) {
          found.push([x, y]);
          break;
        }
      }
    }
  }
  boxes.forEach((one, at) => boxes.slice(at + 1).forEach((other) => {
    const isBeside = one.right <= other.left || other.right <= one.left;
    const isApart = isBeside || one.bottom <= other.top || other.bottom <= one.top;
    if (!isApart) found.push(middle(one));
  }));
  return found;
}"""
"""The places of boxes of the graph that cover a line between others, or another box."""


def graph_of(running, id, as_of=None):
    return ask(running, "GET", f"/identities/{id}/graph" + (f"?asOf={quote(as_of)}" if as_of else ""))


def texts(values):
    return [value.get("email") or value["phoneNumber"] for value in values]


def find(page, text):
    page.get_by_label("Email, phone number or contact id").fill(text)
    page.get_by_role("button", name="Find", exact=True).click()


def test_numbers_merges_and_what_waits_are_seen_at_a_glance(running, visit, customer):
    statistics = ask(running, "GET", "/statistics")
    page = visit(running).open()
    numbers = page.get_by_role("region", name="Numbers at a glance")
    for name, member in (("Contacts", "contacts"), ("Customers", "identities"), ("Pins", "pins")):
        row = numbers.locator("div", has=page.get_by_text(name, exact=True)).last
        expect(row).to_have_text(f"{name}{statistics[member]:,}")
    merges = ask(running, "GET", "/merges?limit=8")["merges"]
    assert merges
    shown = page.get_by_role("region", name="Recent merges").get_by_role("listitem")
    expect(shown).to_have_count(len(merges))
    for row, merge in zip(shown.all(), merges, strict=True):
        expect(row).to_contain_text(f"Customer {merge['primaryContactId']}")
        for absorbed in merge["absorbedPrimaryContactIds"]:
            expect(row).to_contain_text(str(absorbed))
    waiting = page.get_by_role("region", name="Waiting for review")
    expect(waiting.get_by_role("listitem")).to_have_count(1)
    expect(waiting).to_contain_text("late@x.example")
    shown.first.get_by_role("link").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(f"Customer {merges[0]['primaryContactId']}")


@pytest.mark.parametrize(
    "text", ["bob@x.example", "Bob@X.example ", "5550103", "555-0103", "#{secondary}", "#{primary}"]
)
def test_a_customer_is_found_by_whatever_is_known_of_them(running, visit, customer, text):
    secondary = ask(running, "GET", f"/identities/{customer}")["contacts"][-1]["id"]
    assert secondary != customer
    page = visit(running).open()
    expect(page.get_by_label("Email, phone number or contact id")).to_be_focused()
    find(page, text.format(primary=customer, secondary=secondary))
    expect(page.get_by_role("heading", level=1)).to_have_text(f"Customer {customer}")
    expect(node(page, "bob@x.example")).to_be_visible()
    assert re.fullmatch(rf"{running.address}/#/identities/({customer}|{secondary})", page.url)
    assert not re.search(r"bob|555", page.title())
    page.go_back()
    expect(page.get_by_label("Email, phone number or contact id")).to_have_value("")


def test_an_id_alone_is_found_too(running, visit, customer):
    page = visit(running).open()
    page.get_by_label("What it is").select_option("Contact id")
    find(page, "somebody")
    expect(page.get_by_text("A contact id is a whole number")).to_be_visible()
    find(page, str(customer))
    expect(page.get_by_role("heading", level=1)).to_have_text(f"Customer {customer}")


def test_what_is_not_known_or_no_value_is_told(running, visit):
    page = visit(running, refusals=[400, 404]).open()
    find(page, "nobody@x.example")
    expect(page.get_by_role("search")).to_contain_text("Nobody is known by nobody@x.example")
    find(page, "no@body@x.example")
    expect(page.get_by_role("search")).to_contain_text("must have exactly one @")
    find(page, "987654321")
    page.get_by_role("button", name="Open contact 987654321 instead").click()
    expect(page.get_by_role("main")).to_contain_text("There is no customer of contact 987654321")


def test_the_graph_shows_what_counts_and_what_does_not(running, visit, customer):
    answer = graph_of(running, customer)
    page = visit(running).open(f"/#/identities/{customer}")
    expect(node(page, "ann@x.example")).to_be_visible()
    assert sorted(drawn(page)) == sorted(texts(answer["values"]))
    reasons = {(link["reason"], link.get("heldBy")) for link in answer["links"]}
    assert {("undone", None), ("held", "emailsPerPhoneNumber"), ("contact", None)} <= reasons
    assert any(pin["verdict"] == "different" for pin in answer["pins"])

    def dashes(standing):
        lines = page.locator(f".graph .edges .edge.{standing} .line")
        return {line.evaluate("line => getComputedStyle(line).strokeDasharray") for line in lines.all()}

    for standing in ("undone", "held", "different"):
        assert dashes(standing), standing
        assert "none" not in dashes(standing)
    assert dashes("counts") == {"none"}
    edges = {frozenset((link["one"], link["other"])) for link in [*answer["links"], *answer["pins"]]}
    expect(page.locator(".graph .edges .edge")).to_have_count(len(edges))
    [weakest] = texts([answer["values"][answer["weakest"]["value"]]])
    expect(page.get_by_role("button", name=re.compile("weakest value"))).to_have_accessible_name(
        re.compile(re.escape(weakest))
    )
    for one in page.locator(".graph .node .label").all():
        assert one.evaluate("text => text.getComputedTextLength()") > 10
    assert page.evaluate(COVERED) == []
    outside = {text for text, value in zip(texts(answer["values"]), answer["values"], strict=True)
               if not value.get("isMember", True)}  # fmt: skip
    assert outside == {"typo@x.example", "late@x.example", "apart@x.example"}
    for text in outside:
        expect(node(page, text)).to_have_accessible_name(re.compile("not of this customer"))


def test_contacts_history_and_links_are_listed_as_they_are_recorded(running, visit, customer):
    page = visit(running).open(f"/#/identities/{customer}")
    contacts = ask(running, "GET", f"/identities/{customer}")["contacts"]
    rows = page.get_by_role("region", name="Table of contacts").locator("tbody tr")
    expect(rows).to_have_count(len(contacts))
    for row, contact in zip(rows.all(), contacts, strict=True):
        expect(row.get_by_role("rowheader")).to_contain_text(str(contact["id"]))
        assert row.get_by_role("cell").all_text_contents()[:2] == [contact["email"], contact["phoneNumber"]]
    events = ask(running, "GET", f"/identities/{customer}/history")["events"]
    expect(page.get_by_role("region", name="History").locator("li")).to_have_count(len(events))
    links = graph_of(running, customer)["links"]
    page.get_by_text(f"List of links ({len(links)})").click()
    listed = page.get_by_role("region", name="Links").locator("tbody tr")
    expect(listed).to_have_count(len(links))
    listed.filter(has_text="late@x.example").get_by_role("button", name=re.compile("Select link")).click()
    expect(selection(page)).to_contain_text("held, does not count")
    expect(selection(page)).to_contain_text("emails per phone number")


def test_two_values_are_explained_by_the_chain_that_joins_them(running, visit, customer):
    page = visit(running).open(f"/#/identities/{customer}")
    node(page, "ann@x.example").click()
    node(page, "5550103").click()
    ends = {"one": {"email": "ann@x.example"}, "other": {"phoneNumber": "5550103"}}
    answer = ask(running, "POST", "/explain", ends)
    expect(selection(page)).to_contain_text("Why they are one customer")
    steps = selection(page).locator("ol.chain li")
    expect(steps).to_have_count(len(answer["chain"]))
    for step, link in zip(steps.all(), answer["chain"], strict=True):
        for text in texts([link["one"], link["other"]]):
            expect(step).to_contain_text(text)
        expect(step).to_contain_text(f"{link['reason']} {link['id']}")
    expect(selection(page)).to_contain_text(texts([answer["weakestLink"]["identifier"]])[0])
    chained = {text for link in answer["chain"] for text in texts([link["one"], link["other"]])}
    expect(page.locator(".graph .node.chain")).to_have_count(len(chained))
    expect(page.locator(".graph .edges .edge.chain")).to_have_count(len(answer["chain"]))


def test_two_that_are_kept_apart_are_told_why(running, visit, customer):
    page = visit(running).open(f"/#/identities/{customer}")
    node(page, "ann@x.example").click()
    node(page, "apart@x.example").click()
    expect(selection(page)).to_contain_text("They are not one customer")
    expect(selection(page)).to_contain_text("sisters")
    node(page, "apart@x.example").click()
    node(page, "typo@x.example").click()
    expect(selection(page)).to_contain_text("They share a history, but not all of it counts")
    expect(selection(page)).to_contain_text("undone")


def test_the_graph_is_used_by_keyboard(running, visit, customer):
    page = visit(running).open(f"/#/identities/{customer}")
    node(page, "ann@x.example").focus()
    page.keyboard.press("Enter")
    expect(node(page, "ann@x.example")).to_have_attribute("aria-pressed", "true")
    for key in ("ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown"):
        page.keyboard.press(key)
        if page.evaluate("document.activeElement.getAttribute('aria-pressed')") == "false":
            break
    else:
        raise AssertionError("no arrow leads to another value")
    page.keyboard.press("Enter")
    expect(selection(page)).to_contain_text("one customer")
    expect(page.locator(".graph .node[aria-pressed=true]")).to_have_count(2)
    assert page.locator(".graph .node[tabindex='0']").count() == 1


def test_the_identity_is_seen_as_it_was_at_any_time_and_how_it_grew(running, visit, customer):
    events = ask(running, "GET", f"/identities/{customer}/history")["events"]
    times = sorted({event["happenedAt"] for event in events})
    page = visit(running, reduced_motion="no-preference").open(f"/#/identities/{customer}")
    expect(node(page, "bob@x.example")).to_be_visible()
    slider = page.get_by_role("slider", name="As of")
    expect(slider).to_have_attribute("max", str(len(times)))
    expect(slider).to_have_value(str(len(times)))
    for position in (0, 2):
        slider.fill(str(position))
        then = graph_of(running, customer, times[position])
        expect(page.locator(".graph .node")).to_have_count(len(then["values"]))
        assert sorted(drawn(page)) == sorted(texts(then["values"]))
        rows = page.get_by_role("region", name="Table of contacts").locator("tbody tr")
        expect(rows).to_have_count(
            ask(running, "GET", f"/identities/{customer}?asOf={quote(times[position])}")["totalContacts"]
        )
    expect(page.get_by_text("Nothing can be changed here")).to_be_visible()
    expect(page.get_by_role("button", name="Erase this person…")).to_have_count(0)
    now = graph_of(running, customer)
    page.get_by_role("button", name="Now", exact=True).click()
    expect(page.locator(".graph .node")).to_have_count(len(now["values"]))
    expect(page.get_by_text("Nothing can be changed here")).to_have_count(0)
    expect(page.get_by_role("button", name="Erase this person…")).to_be_visible()
    page.get_by_role("button", name="Play").click()
    expect(page.locator(".graph .node")).to_have_count(2)
    expect(page.get_by_role("button", name="Pause")).to_be_visible()
    expect(page.get_by_role("button", name="Play")).to_be_visible()
    expect(slider).to_have_value(str(len(times)))
    expect(page.locator(".graph .node")).to_have_count(len(now["values"]))


def test_the_graph_is_copied_and_downloaded_as_the_service_tells_it(running, visit, customer, tmp_path):
    answer = graph_of(running, customer)
    opened = visit(running, permissions=["clipboard-read", "clipboard-write"], accept_downloads=True)
    page = opened.open(f"/#/identities/{customer}")
    expect(node(page, "bob@x.example")).to_be_visible()

    def downloaded(name):
        with page.expect_download() as download:
            page.get_by_role("button", name=name).click()
        path = tmp_path / download.value.suggested_filename
        download.value.save_as(path)
        return path

    path = downloaded("Download JSON")
    assert path.name == f"identity-{customer}.json"
    assert json.loads(path.read_text()) == answer
    path = downloaded("Download SVG")
    assert path.name == f"identity-{customer}.svg"
    picture = ElementTree.parse(path)
    assert {one.tag.removeprefix(SVG) for one in picture.iter()} <= {
        "svg",
        "g",
        "rect",
        "line",
        "path",
        "text",
    }
    written = {"".join(text.itertext()) for text in picture.iter(f"{SVG}text")}
    assert {text for text in texts(answer["values"]) if len(text) < 16} <= written
    assert len([*picture.iter(f"{SVG}line")]) == len(
        {frozenset((link["one"], link["other"])) for link in [*answer["links"], *answer["pins"]]}
    )
    page.get_by_role("button", name="Copy as Mermaid").click()
    expect(page.get_by_text("The graph is copied as Mermaid.")).to_be_visible()
    mermaid = page.evaluate("navigator.clipboard.readText()")
    assert mermaid.startswith("graph LR\n")
    values = re.findall(r'^  n(\d+)\["(.*)"\]$', mermaid, re.MULTILINE)
    decoded = [re.sub(r"#(\d+);", lambda code: chr(int(code[1])), text) for _, text in values]
    assert decoded == texts(answer["values"])
    links = re.findall(r"^  n(\d+) (?:--|-\.) (\w+) (\d+) (---|\.-) n(\d+)$", mermaid, re.MULTILINE)
    assert {(int(one), reason, int(id), dash, int(other)) for one, reason, id, dash, other in links} == {
        (
            link["one"],
            link["reason"],
            link["id"],
            "---" if link["reason"] in COUNTING else ".-",
            link["other"],
        )
        for link in answer["links"]
    } | {(pin["one"], "different", pin["id"], ".-", pin["other"]) for pin in answer["pins"]}


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", ["desk", "phone"])
def test_what_is_seen_is_accessible(running, visit, customer, scheme, size):
    page = visit(running, color_scheme=scheme, **(PHONE if size == "phone" else {})).open()
    expect(page.get_by_text("Waiting for review")).to_be_visible()
    expect(page.locator("[aria-busy=true]")).to_have_count(0)
    check_accessibility(page)
    find(page, "ann@x.example")
    expect(node(page, "ann@x.example")).to_have_attribute("aria-pressed", "true")
    expect(page.get_by_role("region", name="History").get_by_role("listitem").first).to_be_visible()
    check_accessibility(page)
    page.get_by_text("List of links").click()
    page.get_by_role("button", name=re.compile("Select link")).first.click()
    check_accessibility(page)
