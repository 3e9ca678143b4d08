"""Orders as a shop has them, posted by many clients at once to several processes."""

import csv
import http.client
import json
import random
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import networkx
import pytest

from identity_adapters.embedded import embedded_database
from identity_adapters.postgres import verify
from tests.support.databases import connect
from tests.support.processes import service
from tests.support.waiting import PATIENCE

pytestmark = pytest.mark.slow

CLIENTS = 32

# Each counts the rows that are not as they have to be.
INVARIANTS = {
    "a live contact is primary or points at one": """
        SELECT count(*) FROM contacts c LEFT JOIN contacts p ON p.id = c.linked_id
        WHERE c.deleted_at IS NULL AND NOT CASE c.link_precedence
            WHEN 'primary' THEN c.linked_id IS NULL
            WHEN 'secondary' THEN p.link_precedence = 'primary' AND p.deleted_at IS NULL ELSE false END""",
    "a primary is the oldest of its identity": """
        SELECT count(*) FROM contacts c JOIN contacts p ON p.id = c.linked_id
        WHERE (c.created_at, c.id) < (p.created_at, p.id)""",
    "an email is in one identity": """
        SELECT count(*) FROM (SELECT email FROM contacts WHERE email IS NOT NULL
            GROUP BY email HAVING count(DISTINCT coalesce(linked_id, id)) > 1) x""",
    "a phone number is in one identity": """
        SELECT count(*) FROM (SELECT phone_number FROM contacts WHERE phone_number IS NOT NULL
            GROUP BY phone_number HAVING count(DISTINCT coalesce(linked_id, id)) > 1) x""",
    "no two contacts hold the same": """
        SELECT count(*) FROM (SELECT 1 FROM contacts GROUP BY email, phone_number HAVING count(*) > 1) x""",
    "no pair is on record twice": """
        SELECT count(*) FROM contacts JOIN contact_evidence USING (email, phone_number)""",
    "each change of an identity is an event": """
        SELECT abs((SELECT count(*) FROM contacts) + (SELECT count(*) FROM contact_evidence)
            - (SELECT count(*) FROM contact_events
               WHERE contact_id IS NOT NULL OR evidence_id IS NOT NULL))""",
}


def real_orders(path):
    with path.open(newline="") as file:
        return [(row["email"] or None, row["phoneNumber"] or None) for row in csv.DictReader(file)]


def made_orders(number, seed=42):
    """Orders of the same shape: few customers order much, and some values are shared by mistake."""
    draw = random.Random(seed)
    orders = []
    for _ in range(number):
        customer = int(draw.paretovariate(0.6)) % (number // 8)
        email = f"{customer}.{int(draw.expovariate(1))}@example.org"
        phone_number = str(10**9 + customer * 10 + int(draw.expovariate(0.8)) % 10)
        if draw.random() < 0.01:
            phone_number = str(10**9 + draw.randrange(number))
        kept = draw.random()
        orders.append((email if kept > 0.05 else None, phone_number if kept < 0.95 else None))
    return orders


def components(orders):
    """The identities, as another library computes them."""
    graph = networkx.Graph()
    for email, phone_number in orders:
        nodes = [
            value for value in (email and f"email {email}", phone_number and f"phone {phone_number}") if value
        ]
        graph.add_nodes_from(nodes)
        graph.add_edges_from([nodes] if len(nodes) == 2 else [])
    return {frozenset(component) for component in networkx.connected_components(graph)}


def post(connection, email, phone_number, may_be_held=False):
    """Post an order; the consolidated contact."""
    body = json.dumps({"email": email, "phoneNumber": phone_number})
    connection.request("POST", "/identify", body, {"Content-Type": "application/json"})
    answer = connection.getresponse()
    content = json.loads(answer.read())
    assert answer.status == 200, content
    contact = content["contact"]
    assert email is None or email in contact["emails"]
    is_held = may_be_held and answer.headers["Identity-Outcome"] == "held"
    assert phone_number is None or is_held or phone_number in contact["phoneNumbers"]
    return contact


def post_all(port, orders, may_be_held=False):
    """Post each order, by many clients at once, in about their order; the answers."""

    def client(number):
        with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)) as connection:
            return [post(connection, *order, may_be_held) for order in orders[number::CLIENTS]]

    with ThreadPoolExecutor(CLIENTS) as pool:
        return [contact for answers in pool.map(client, range(CLIENTS)) for contact in answers]


def answered(contacts):
    """The identities that answers tell of."""
    return {
        frozenset([f"email {e}" for e in c["emails"]] + [f"phone {p}" for p in c["phoneNumbers"]])
        for c in contacts
    }


def check(tmp_path, orders):
    data = tmp_path / "data"
    distinct = sorted(set(orders), key=str)
    with service(tmp_path, "--workers", "2", IDENTITY_DATA_DIR=data) as running:
        post_all(running.port, orders)
        contacts = post_all(running.port, distinct)
        assert answered(contacts) == components(orders)
        for contact in contacts:
            for listed in contact.values():
                assert isinstance(listed, int) or len(listed) == len(set(listed))
        with embedded_database(data) as url, connect(url) as connection:
            wrong = {name: connection.execute(query).fetchone()[0] for name, query in INVARIANTS.items()}
            assert wrong == dict.fromkeys(INVARIANTS, 0)
            pairs = {order for order in orders if None not in order}
            stored = connection.execute(
                "SELECT email, phone_number FROM contacts"
                " WHERE email IS NOT NULL AND phone_number IS NOT NULL"
                " UNION ALL SELECT email, phone_number FROM contact_evidence"
            ).fetchall()
            assert sorted(stored) == sorted(pairs)
            primaries = connection.execute("SELECT id FROM contacts WHERE linked_id IS NULL").fetchall()
            assert {id for (id,) in primaries} == {contact["primaryContactId"] for contact in contacts}


def rule(running, operation, **body):
    """Rule over HTTP; the answer."""
    made = json.dumps({"reason": "a test", **body})
    status, _, answer = running.request("POST", operation, made, {"Content-Type": "application/json"})
    assert status == 200, answer
    return json.loads(answer)


def without(orders, undone):
    """The orders, each value of an undone pair alone."""
    pairs = {
        (
            link["one"].get("email") or link["other"].get("email"),
            link["one"].get("phoneNumber") or link["other"].get("phoneNumber"),
        )
        for link in undone
    }
    for order in orders:
        yield from [(order[0], None), (None, order[1])] if order in pairs else [order]


def check_split(tmp_path, orders):
    """The largest identity is split, stays split when all orders come again, and comes back whole."""
    with service(tmp_path, "--workers", "2", IDENTITY_DATA_DIR=tmp_path / "data") as running:
        contacts = post_all(running.port, orders)
        largest = max(contacts, key=lambda contact: len(contact["secondaryContactIds"]))
        ends = {"one": {"email": largest["emails"][0]}, "other": {"email": largest["emails"][-1]}}
        foretold = rule(running, "/split?dryRun=true", **ends)
        split = rule(running, "/split", plan=foretold["plan"], **ends)
        assert split["undone"] == foretold["undone"] != []
        expected = components(without(orders, split["undone"]))
        distinct = sorted(set(orders), key=str)
        for _ in range(2):
            alone = [(None, number) for _, number in distinct if number is not None]
            answers = post_all(running.port, [*distinct, *alone], may_be_held=True)
            assert answered(answers) == expected
        rule(running, "/restore", rulingId=min(split["rulingIds"]))
        assert answered(post_all(running.port, distinct)) == components(orders)
        with embedded_database(tmp_path / "data") as url:
            assert verify(url) == []


def test_the_largest_identity_of_real_orders_is_split_and_comes_back(tmp_path, orders):
    check_split(tmp_path, real_orders(orders))


def test_that_of_made_orders_too(tmp_path, size):
    check_split(tmp_path, made_orders(size(2_000, 20_000)))


def test_real_orders_make_the_identities_that_another_library_computes(tmp_path, orders):
    check(tmp_path, real_orders(orders))


@pytest.mark.parametrize("seed", [1, 2])
def test_orders_of_that_shape_do_too(tmp_path, size, seed):
    check(tmp_path, made_orders(size(2_000, 20_000), seed))
