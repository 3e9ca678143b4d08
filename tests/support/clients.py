"""Very many clients at once, that keep what was acknowledged and what was not."""

import asyncio
import json
import random
import threading
from collections import Counter

import networkx

from identity_adapters.postgres import verify
from tests.support.databases import connect
from tests.support.waiting import wait_until

CLIENTS = 300


class Client:
    """One client with a connection of its own, opened anew when it was lost."""

    def __init__(self, port):
        self._port = port
        self._writer = None

    async def post(self, email, phone_number):
        """Status and consolidated contact; status None where there was no answer."""
        body = json.dumps({"email": email, "phoneNumber": phone_number}).encode()
        head = f"POST /identify HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n"
        try:
            if self._writer is None:
                self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
            self._writer.write(head.encode() + body)
            answer = await self._reader.readuntil(b"\r\n\r\n")
            headers = dict(line.split(": ", 1) for line in answer.decode().lower().split("\r\n")[1:-2])
            content = json.loads(await self._reader.readexactly(int(headers["content-length"])))
        except (OSError, asyncio.IncompleteReadError):
            self.close()
            return None, None
        if headers.get("connection") == "close":
            self.close()
        status = int(answer.split(b" ", 2)[1])
        return status, content.get("contact")

    def close(self):
        if self._writer is not None:
            self._writer.close()
            self._writer = None


class Load:
    """Posts details by very many clients at once, in a thread of its own.

    Attributes:
        acknowledged: the details that were answered.
        unacknowledged: those that were refused, or got no answer.
        statuses: how often each status came; None for no answer.
        wrong: answers that do not hold what was sent; the email alone, where pairs may not count.
    """

    def __init__(self, ports, details, clients=CLIENTS, may_be_held=False):
        self.acknowledged, self.unacknowledged = [], []
        self.statuses = Counter()
        self.wrong = []
        self._details = iter(details)
        self._is_stopped = False
        self._ports = ports
        self._clients = clients
        self._may_be_held = may_be_held
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()))
        self._thread.start()

    def count(self):
        return self.statuses.total()

    def is_over(self):
        return not self._thread.is_alive()

    def has_gone_on(self, by=200):
        """Wait until it has come so much further, or is over."""
        until = self.count() + by
        wait_until(lambda: self.is_over() or self.count() >= until)

    def wait(self):
        """Wait until all is posted."""
        self._thread.join()
        assert self.wrong == []
        return self

    def stop(self):
        """Post nothing more, and wait for what is under way."""
        self._is_stopped = True
        return self.wait()

    async def _run(self):
        await asyncio.gather(*(self._client(self._ports[n % len(self._ports)]) for n in range(self._clients)))

    async def _client(self, port):
        client = Client(port)
        while not self._is_stopped and (details := next(self._details, None)) is not None:
            email, phone_number = details
            status, contact = await client.post(email, phone_number)
            self.statuses[status] += 1
            if status == 200:
                self.acknowledged.append((email, phone_number))
                held = {*contact["emails"], *contact["phoneNumbers"]}
                wanted = {email} if self._may_be_held and email else {email, phone_number}
                if not wanted - {None} <= held:
                    self.wrong.append(contact)
            else:
                self.unacknowledged.append((email, phone_number))
                await asyncio.sleep(0.01)  # as a client would that is told to come again
        client.close()


def adversarial(number, seed=0):
    """Details that are as likely as can be to meet each other: bursts, chains, rings, merges of merges."""
    draw = random.Random(seed)
    made = []
    group = 0
    while len(made) < number:
        group += 1
        emails = [f"{seed}.{group}.{n}@example.org" for n in range(20)]
        phones = [f"{group:07d}{n:02d}{seed:03d}" for n in range(20)]
        kind = group % 6
        if kind == 0:  # a new customer, thirty times at once
            some = [(emails[0], phones[0])] * 30
        elif kind == 1:  # a chain: {A, B}, {B, C}, …
            some = [(emails[n // 2], phones[(n + 1) // 2]) for n in range(30)]
            draw.shuffle(some)
        elif kind == 2:  # a ring that closes
            some = [(emails[n // 2], phones[(n + 1) // 2 % 10]) for n in range(20)]
            draw.shuffle(some)
        elif kind == 3:  # strangers, then merges of merging identities
            some = list(zip(emails[:16], phones[:16], strict=True))
            joins = [(emails[n], phones[n ^ step]) for step in (1, 2, 4, 8) for n in range(16)]
            draw.shuffle(joins)
            some += joins[:24]
        elif kind == 4:  # one email with very many phone numbers, and some alone
            some = [(emails[0], f"{group:07d}9{n:03d}{seed:03d}") for n in range(40)]
            some += [(emails[0], None), (None, some[7][1])]
        else:  # two halves that are joined while they grow
            some = [(emails[n % 2], phones[n % 19]) for n in range(24)] + [
                (emails[0], None),
                (None, phones[1]),
            ]
            draw.shuffle(some)
        made += some
    return made[:number]


def components(details):
    """The partition of emails and phone numbers, as networkx computes it."""
    graph = networkx.Graph()
    for email, phone_number in details:
        nodes = [node for node in (email, phone_number) if node is not None]
        graph.add_nodes_from(nodes)
        graph.add_edges_from([nodes] if len(nodes) == 2 else [])
    return {frozenset(component) for component in networkx.connected_components(graph)}


def partition(url):
    """The partition of emails and phone numbers on record, and the number of primaries."""
    identities = {}
    with connect(url) as connection:
        rows = connection.execute(
            "SELECT coalesce(linked_id, id), email, phone_number FROM contacts WHERE deleted_at IS NULL"
        ).fetchall()
    for root, *values in rows:
        identities.setdefault(root, set()).update(value for value in values if value is not None)
    return set(map(frozenset, identities.values())), len(identities)


def check(url, details):
    """All invariants hold, and the partition is that of the details."""
    assert verify(url) == []
    found, primaries = partition(url)
    assert found == components(details)
    assert primaries == len(found)
    with connect(url) as connection:
        stored = connection.execute(
            "SELECT email, phone_number FROM contacts"
            " UNION ALL SELECT email, phone_number FROM contact_evidence"
        ).fetchall()
    pairs = Counter(pair for pair in stored if None not in pair)
    assert set(pairs) == {pair for pair in details if None not in pair}
    assert set(pairs.values()) <= {1}


def identities(url):
    """The identity of each value, as the set of its values."""
    return {value: part for part in partition(url)[0] for value in part}


def check_recorded(url, load):
    """Every pair that was acknowledged is on record once, whether it counts or not."""
    with connect(url) as connection:
        stored = connection.execute(
            "SELECT email, phone_number FROM contacts WHERE deleted_at IS NULL"
            " UNION ALL SELECT email, phone_number FROM contact_evidence"
        ).fetchall()
    assert len(set(stored)) == len(stored)
    assert {pair for pair in load.acknowledged if None not in pair} <= set(stored)


def check_acknowledged(url, load):
    """Every pair that was acknowledged is on record, and every value is in a contact."""
    check_recorded(url, load)
    known = identities(url)
    assert all(value in known for pair in load.acknowledged for value in pair if value is not None)
