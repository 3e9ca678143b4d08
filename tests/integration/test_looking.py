"""Looking before acting, and seeing why: on PostgreSQL, over HTTP, and by the command line."""

import asyncio
import csv
import http.client
import json
import re
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from itertools import islice
from pathlib import Path

import networkx
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from identity_adapters.postgres import migrate
from identity_adapters.postgres.cursor import Cursor
from identity_adapters.times import parse_time
from identity_core import (
    ContactDetails,
    Identifier,
    IdentifierKind,
    IdentifyContacts,
    InvalidCursor,
    QueryIdentities,
)
from tests.support.clients import Load, adversarial, components, partition
from tests.support.databases import connect, new_database, plain, repository_on
from tests.support.processes import COMMAND, environment, run, service
from tests.support.waiting import PATIENCE, wait_until

KEYS = [("a@x", "1"), ("b@x", "2"), ("b@x", "1"), ("c@x", "9"), ("a@x", "3")]


@pytest.fixture
def known(url):
    async def body():
        async with repository_on(url) as repository:
            for key in KEYS:
                await IdentifyContacts(repository)(ContactDetails(*key))

    asyncio.run(body())


@pytest.fixture
def command(tmp_path, url, known):
    def run_it(*arguments, expect=0):
        done = run(*map(str, arguments), cwd=tmp_path, DB_CONNECTION_STRING=plain(url))
        assert done.returncode == expect, done.stderr
        assert "Traceback" not in done.stderr
        return done.stdout

    return run_it


def on_a_terminal(folder, arguments, **settings):
    """What a command writes where somebody looks at it."""
    code = "import pty, sys; sys.exit(pty.spawn(sys.argv[1:]) >> 8)"
    done = subprocess.run(
        [sys.executable, "-c", code, *COMMAND, *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        env=environment(**settings),
        stdin=subprocess.DEVNULL,
        check=False,
    )
    return done.stdout.replace("\r\n", "\n")


def test_the_command_looks_up(command, tmp_path, url):
    [identity] = json.loads(command("lookup", "--email", "B@x", "--phone-number", "1"))["identities"]
    assert [contact["id"] for contact in identity["contacts"]] == [1, 2, 5]
    assert json.loads(command("lookup", "--contact", "2"))["identities"] == [identity]
    assert json.loads(command("lookup", "--email", "d@x", expect=1)) == {"identities": []}
    command("lookup", "--email", "no email", expect=1)
    command("lookup", expect=1)
    shown = on_a_terminal(
        tmp_path, ["lookup", "--contact", "2"], DB_CONNECTION_STRING=plain(url)
    ).splitlines()
    assert shown[0].split() == ["primary", "contact", "email", "phone", "number", "created", "at"]
    assert [line.split()[:5] for line in shown[1:3]] == [
        ["1", "1", "a@x", "1", "primary"],
        ["1", "2", "b@x", "2", "secondary"],
    ]


def test_the_command_explains(command, tmp_path, url):
    answer = json.loads(command("explain", "a@x", "2"))
    assert [step["reason"] for step in answer["chain"]] == ["contact", "evidence", "contact"]
    assert json.loads(command("explain", "contact:1", "contact:2"))["isConnected"] is True
    assert command("explain", "--dot", "a@x", "2") == (
        'graph {\n  n0 [label="a@x"];\n  n1 [label="1"];\n  n2 [label="b@x"];\n  n3 [label="2"];\n'
        '  n0 -- n1 [label="contact 1"];\n  n1 -- n2 [label="evidence 3"];\n'
        '  n2 -- n3 [label="contact 2"];\n}\n'
    )
    assert command("explain", "--mermaid", "a@x", "b@x") == (
        'graph LR\n  n0["a@x"] -- contact 1 --- n1["1"]\n  n1["1"] -- evidence 3 --- n2["b@x"]\n'
    )
    assert json.loads(command("explain", "a@x", "c@x", expect=1))["isConnected"] is False
    command("explain", "a@x", "contact:x", expect=1)
    shown = on_a_terminal(tmp_path, ["explain", "a@x", "b@x"], DB_CONNECTION_STRING=plain(url))
    assert "Without 1 they would be two customers, with 2 and 1 contacts." in shown


def test_the_command_tells_history(command, tmp_path, url):
    told = json.loads(command("history", 2))["events"]
    assert [(event["kind"], event["absorbedPrimaryContactIds"]) for event in told] == [
        ("created", []),
        ("created", []),
        ("merged", [2]),
        ("linked", []),
    ]
    assert told[2]["details"] == {"email": "b@x", "phoneNumber": "1"}
    assert "99 never existed" in run("history", "99", cwd=tmp_path, DB_CONNECTION_STRING=plain(url)).stderr
    command("history", 2, "--as-of", "2001-01-01", expect=1)
    then = command("history", 2, "--as-of", "2999-01-01T00:00:00")
    assert json.loads(then)["totalContacts"] == 3
    shown = on_a_terminal(tmp_path, ["history", "2"], DB_CONNECTION_STRING=plain(url)).splitlines()
    assert shown[0].split() == [
        "time", "event", "primary", "email", "phone", "number", "absorbed", "moved", "ruling"
    ]  # fmt: skip
    assert shown[3].split()[2:] == ["merged", "1", "b@x", "1", "2"]


def test_history_and_what_was_over_http(tmp_path, url, known):
    with service(tmp_path, DB_CONNECTION_STRING=plain(url)) as running:

        def get(path, expect=200):
            status, _, answer = running.request("GET", path)
            assert status == expect, answer
            return json.loads(answer)

        everything = get("/identities/2/history")
        assert everything["next"] is None
        paged, path = [], "/identities/2/history?limit=3"
        while path:
            page = get(path)
            paged += page["events"]
            path = page["next"] and f"/identities/2/history?limit=3&after={page['next']}"
        assert paged == everything["events"]
        before_the_merge = everything["events"][1]["happenedAt"]
        then = get(f"/identities/2?asOf={before_the_merge}")
        assert [contact["id"] for contact in then["contacts"]] == [2]
        assert get("/identities/2?asOf=2001-01-01T00:00:00Z", 404)["detail"] == (
            "contactId: no contact had this id at that time"
        )
        assert get("/identities/99/history", 404)["detail"] == "contactId: no contact ever had this id"
        get("/identities/2?asOf=then", 400)

        told, place = [], ""
        for _ in range(4):
            changes = get(f"/changes?limit=2{place}")
            told += changes["events"]
            place = f"&after={changes['next']}"
        assert [event["kind"] for event in told] == ["created", "created", "merged", "created", "linked"]
        running.identify("new@x")
        assert [event["kind"] for event in get(f"/changes?limit=2{place}")["events"]] == ["created"]
        for wrong in ("x", "1:2:_", "9:1:_9:1:_0", "1:2:__99999999999999999999"):
            assert get(f"/changes?after={wrong}", 400)["errors"][0]["field"] == "after"


READER = """
import json, sys, urllib.request
place = open("place").read() if len(sys.argv) > 2 else None
while True:
    url = f"http://127.0.0.1:{sys.argv[1]}/changes?limit=50" + (f"&after={place}" if place else "")
    changes = json.load(urllib.request.urlopen(url))
    place = changes["next"]
    # What was told and the place after it are kept together, as a reader that may be killed has to.
    print(json.dumps(changes), flush=True)
"""


@pytest.mark.slow
def test_a_reader_that_is_killed_is_told_of_every_event_once_and_can_replay_them(tmp_path, url, sql, size):
    details = adversarial(size(8_000, 100_000), seed=11)
    told, place = [], None
    with service(tmp_path, "--workers", "8", DB_CONNECTION_STRING=plain(url)) as running:
        load = Load([running.port], details, clients=64)
        for number in range(4):
            out = tmp_path / f"told.{number}"
            if place:
                (tmp_path / "place").write_text(place)
            arguments = [sys.executable, "-c", READER, str(running.port), *(["again"] if place else [])]
            with out.open("wb") as file:
                reader = subprocess.Popen(arguments, cwd=tmp_path, env=environment(), stdout=file)
            wait_until(lambda out=out: out.read_text().count("\n") > 20)
            if number == 3:
                load.wait()
                last = sql("SELECT max(id) FROM contact_events")[0][0]
                wait_until(lambda out=out, last=last: f'"id": {last},' in out.read_text().rpartition("\n")[0])
            reader.send_signal(signal.SIGKILL)
            reader.wait()
            for line in out.read_text().splitlines(keepends=True):
                if line.endswith("\n"):
                    changes = json.loads(line)
                    told += changes["events"]
                    place = changes["next"]
    ids = [event["id"] for event in told]
    assert len(ids) == len(set(ids))
    assert set(ids) == {id for (id,) in sql("SELECT id FROM contact_events")}

    above = {}

    def root(id):
        while above[id] != id:
            id = above[id]
        return id

    for event in told:  # each builds upon what was told before
        primary = event["primaryContactId"]
        if event["kind"] == "created":
            above[event["contactId"]] = event["contactId"]
        elif event["contactId"] is not None and event["contactId"] not in above:
            above[event["contactId"]] = primary
        for absorbed in event["absorbedPrimaryContactIds"]:
            above[root(absorbed)] = root(primary)
        assert root(primary) == root(above[primary])
    replayed = {}
    for id in above:
        replayed.setdefault(root(id), set()).add(id)
    present = {}
    for id, primary in sql("SELECT id, coalesce(linked_id, id) FROM contacts"):
        present.setdefault(primary, set()).add(id)
    assert sorted(map(sorted, replayed.values())) == sorted(map(sorted, present.values()))
    assert partition(url)[0] == components(details)


NUMBERS = st.integers(0, 12) | st.sampled_from([2**32, 2**32 + 1, 2**63 - 1, 2**63, 2**64 - 1, 2**64])
SNAPSHOTS = st.builds(
    lambda xmin, xmax, running: f"{xmin}:{xmax}:{','.join(map(str, running))}",
    NUMBERS,
    NUMBERS,
    st.lists(NUMBERS, max_size=3) | st.lists(NUMBERS, max_size=3, unique=True).map(sorted),
)
SERVERS = st.just("") | st.integers(-(2**63), 2**63 - 1).map("_{}".format)
CURSORS = (
    st.builds("{}_{}_{}{}".format, SNAPSHOTS | st.just(""), SNAPSHOTS | st.just(""), NUMBERS, SERVERS)
    | st.from_regex(re.compile(r"([\d:,]*_){2}\d+(_-?\d+)?"), fullmatch=True)
    | st.text("0123456789:,_٣²+- ")
)


@pytest.fixture(scope="module")
def connection(server):
    with connect(server) as connection:
        yield connection


@settings(deadline=None, max_examples=300)
@given(cursor=CURSORS)
@example("1:2:1,_1:2:_0")
@example("1:2:,1__0")
@example("1:3:2,2__0")
@example("1:3:2,1__0")
@example("1:3:3__0")
@example("2:1:__0")
@example("٣:٣:__0")
@example(f"1:{2**64}:__0")
@example(f"{2**32}:{2**32}:__0")
@example(f"1:2:__{2**63}")
def test_a_cursor_that_is_accepted_is_one_for_postgresql(connection, cursor):
    try:
        place = Cursor.parse(cursor)
    except InvalidCursor:
        return
    values = (place.since, place.until, place.event_id)
    connection.execute("SELECT %s::pg_snapshot, %s::pg_snapshot, %s::bigint", values)
    assert Cursor.parse(str(place)) == place


@settings(deadline=None, max_examples=300)
@given(xmin=NUMBERS.filter(bool), more=st.integers(0, 12), running=st.sets(st.integers(0, 11)))
def test_a_snapshot_that_postgresql_writes_is_accepted(connection, xmin, more, running):
    written = f"{xmin}:{xmin + more}:{','.join(str(xmin + n) for n in sorted(running) if n < more)}"
    [is_snapshot] = connection.execute("SELECT pg_input_is_valid(%s, 'pg_snapshot')", (written,)).fetchone()
    # PostgreSQL does not look at whether a number has more than 64 bits.
    if is_snapshot and xmin + more < 2**64:
        assert Cursor.parse(f"{written}__0") == Cursor(written)


@pytest.fixture(scope="module")
def feed(server):
    """The URL of a migrated database, and four connections to it."""
    url = new_database(server)
    migrate(url)
    with ExitStack() as stack:
        yield url, [stack.enter_context(connect(url)) for _ in range(4)]


EVENT = """
BEGIN;
INSERT INTO contact_events (happened_at, kind, primary_id, absorbed_ids) VALUES (now(), 'created', 1, '{}')
"""


@settings(deadline=None, max_examples=20)
@given(steps=st.lists(st.tuples(st.integers(0, 3), st.integers(1, 3)), max_size=12))
def test_a_cursor_that_was_given_is_accepted_whatever_transactions_are_open(feed, steps):
    url, connections = feed

    async def body():
        async with repository_on(url) as repository:
            cursor = None
            for number, limit in steps:
                is_open = connections[number].info.transaction_status
                connections[number].execute("COMMIT" if is_open else EVENT)
                _, cursor = await repository.changes(cursor, limit)
                assert str(Cursor.parse(cursor)) == cursor

    asyncio.run(body())


@settings(deadline=None, max_examples=20)
@given(steps=st.lists(st.tuples(st.integers(0, 3), st.integers(1, 3)), max_size=12))
def test_an_end_stays_where_it_is_whatever_transactions_are_open(feed, steps):
    url, connections = feed

    async def body():
        async with repository_on(url) as repository:
            starts = [await repository.seek(None)]
            answers = []
            for number, limit in steps:
                is_open = connections[number].info.transaction_status
                connections[number].execute("COMMIT" if is_open else EVENT)
                for start in starts:
                    bounded = await repository.bound(start)
                    answers.append((bounded, limit, await repository.changes(bounded, limit)))
                starts = [starts[0], answers[-1][-1][1]]
            for connection in connections:
                connection.execute("COMMIT" if connection.info.transaction_status else "SELECT")
            for bounded, limit, answer in answers:
                assert await repository.bound(bounded) == bounded
                assert await repository.changes(bounded, limit) == answer

    asyncio.run(body())


def test_a_time_is_found_before_what_had_not_ended_then(feed):
    url, [slow, quick, *_] = feed

    async def body():
        async with repository_on(url) as repository:
            slow.execute(EVENT)
            [(at,)] = slow.execute("SELECT now()").fetchall()
            quick.execute(f"{EVENT}; COMMIT")
            cursor = await repository.seek(at)
            slow.execute("COMMIT")
            [found], cursor = await repository.changes(cursor)
            [later], _ = await repository.changes(cursor)
            assert later.id < found.id

    asyncio.run(body())


REFUSED = ["9:1:_9:1:_0", "1:2:3__0", "987654321:987654320:__0", "1:2:__99999999999999999999", "٣:٣:__0"]


def test_a_cursor_that_was_never_given_does_not_reach_the_log_of_the_server(url):
    log = Path(url.query["host"]) / "postgres.log"
    before = log.read_text()

    async def body():
        async with repository_on(url) as repository:
            for cursor in REFUSED:
                with pytest.raises(InvalidCursor):
                    await repository.changes(cursor)

    asyncio.run(body())
    assert "pg_snapshot" not in log.read_text().removeprefix(before)


def test_who_waits_for_an_event_is_told_when_there_is_one(tmp_path, url):
    with service(tmp_path, DB_CONNECTION_STRING=plain(url)) as running, ThreadPoolExecutor() as pool:
        running.identify("a@x", "1")

        def ask(query):
            status, _, answer = running.request("GET", f"/changes?{query}")
            return status, json.loads(answer)

        _, first = ask("wait=60")
        assert [event["id"] for event in first["events"]] == [1]
        status, nothing = ask(f"after={first['next']}&wait=0.01")
        assert (status, nothing["events"]) == (200, [])
        waiting = [pool.submit(ask, f"after={first['next']}&wait=60") for _ in range(5)]
        running.identify("a@x", "2")
        for one in waiting:
            assert [event["contactId"] for event in one.result()[1]["events"]] == [2]
        assert {ask(f"after={first['next']}&wait={seconds}")[0] for seconds in ("61", "-1", "x")} == {400}


def test_who_waits_does_not_keep_the_service_from_stopping(tmp_path, url):
    settings = {"DB_CONNECTION_STRING": plain(url), "IDENTITY_DRAIN": "1"}
    with service(tmp_path, **settings) as running:
        waiting = http.client.HTTPConnection("127.0.0.1", running.port, timeout=PATIENCE)
        with closing(waiting):
            waiting.request("GET", "/changes?wait=60")
            assert running.stop() == 0
            assert waiting.getresponse().status == 200


def test_the_largest_identities_of_real_orders_are_explained(orders, url):
    with orders.open(newline="") as file:
        rows = [tuple(value or None for value in row) for row in islice(csv.reader(file), 1, None)]

    async def body():
        async with repository_on(url) as repository:
            identify = IdentifyContacts(repository)
            in_order = sorted(rows, key=lambda row: parse_time(row[2]))
            for start in range(0, len(in_order), 500):
                await identify.many(
                    [ContactDetails(e, p, parse_time(at)) for e, p, at in in_order[start : start + 500]]
                )
            graph = networkx.Graph()
            for email, phone_number, _ in rows:
                if email and phone_number:
                    graph.add_edge(
                        Identifier(IdentifierKind.EMAIL, email),
                        Identifier(IdentifierKind.PHONE_NUMBER, phone_number),
                    )
            largest = sorted(networkx.connected_components(graph), key=len)[-3:]
            for part in largest:
                ends = networkx.periphery(graph.subgraph(part))[:2]
                found = await QueryIdentities(repository).explain(*ends)
                assert len(found.chain) == networkx.shortest_path_length(graph, *ends)
                [contacts] = await QueryIdentities(repository).look_up(
                    ContactDetails.from_trusted(*by_kind(ends[0]))
                )
                assert {held for contact in contacts for held in contact.identifiers} == part

    asyncio.run(body())


def by_kind(identifier):
    is_email = identifier.kind is IdentifierKind.EMAIL
    return (identifier.value, None) if is_email else (None, identifier.value)


def test_a_link_that_others_wrote_and_no_evidence_backs_is_shown_as_inherited(url, sql, tmp_path):
    sql(
        "INSERT INTO contacts (id, email, phone_number, linked_id, link_precedence, created_at) VALUES"
        " (1, 'a@x', '1', NULL, 'primary', '2020-01-01'), (2, 'b@x', '2', 1, 'secondary', '2020-01-02')"
    )
    ends = {"one": {"email": "a@x"}, "other": {"email": "b@x"}}
    with service(tmp_path, DB_CONNECTION_STRING=plain(url)) as running:
        body = json.dumps(ends)
        _, _, answer = running.request("POST", "/explain", body, {"Content-Type": "application/json"})
    assert [(step["reason"], step["id"]) for step in json.loads(answer)["chain"]] == [("inherited", 2)]
