"""The application over contacts in memory."""

import asyncio
import json
from contextlib import contextmanager

from litestar.testing import TestClient

from identity_adapters.http import create_app
from identity_adapters.memory import InMemoryContactRepository
from identity_adapters.statistics import Statistics
from identity_adapters.webhooks.client import Answer
from identity_adapters.webhooks.manage import ManageWebhooks
from identity_core import (
    AccessIdentities,
    ChangeRules,
    EraseIdentities,
    IdentifyContacts,
    QueryIdentities,
    RuleOnIdentities,
    SuggestRules,
)
from tests.support.webhooks import InMemoryWebhooks


class Service:
    """The application, and what it told of."""

    def __init__(self, repository):
        self.repository = repository
        self.client = None
        self.kinds = []
        """The kinds of the rulings that changed something."""
        self.blocked = []
        """The kinds of the blocked values to identify by."""
        self.counts = (5, 2, 1, 0, 0, 0, 0, 0, 1, True, {"emails_per_phone_number": 1}, [4, 1])
        """What a census finds."""
        self.changes = 0
        """How often rules were put in force."""
        self.webhooks = InMemoryWebhooks()
        self.sent = []
        """What endpoints got: their targets, headers and bodies."""
        self.answer = Answer(204)
        """What endpoints answer, or how they fail."""

    async def send(self, *message):
        self.sent.append(message)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    async def take_census(self):
        return self.counts

    def count_change(self):
        self.changes += 1

    def settle(self):
        asyncio.run(ChangeRules(self.repository, self.repository).settle())

    def ask(self, method, path, body=None, expect=200, **headers):
        content = None if body is None else json.dumps(body)
        answer = self.client.request(method, path, content=content, headers=headers)
        assert answer.status_code == expect, answer.text
        return answer.json()

    def identify(self, email=None, phone_number=None):
        body = json.dumps({"email": email, "phoneNumber": phone_number})
        answer = self.client.post("/identify", content=body)
        return answer.json()["contact"], answer.headers

    def rule(self, path, body, **options):
        return self.ask("POST", path, {"reason": "a typo"} | body, **options)

    def put(self, expect=200, **body):
        """Put rules in force."""
        return self.ask("PUT", "/rules", {"blocked": {}, "limits": {}, "reason": "a till"} | body, expect)

    def errors(self, method, path, body, expect=400):
        problem = self.ask(method, path, body, expect)
        assert problem["status"] == expect
        return [error["field"] for error in problem["errors"]]


@contextmanager
def serving(keys=()):
    repository = InMemoryContactRepository()
    identify = IdentifyContacts(repository)
    service = Service(repository)

    async def identify_one(details):
        [identified] = await identify.with_outcomes([details])
        return identified

    app = create_app(
        identify=lambda: identify_one,
        queries=lambda: QueryIdentities(repository),
        rulings=lambda: RuleOnIdentities(repository, repository),
        rules=lambda: ChangeRules(repository, repository),
        suggestions=lambda: SuggestRules(repository),
        access=lambda: AccessIdentities(repository, repository),
        erase=lambda: EraseIdentities(repository, repository, repository),
        feed=lambda: repository,
        webhooks=lambda: ManageWebhooks(service.webhooks, repository, b"k" * 32, service.send),
        check=lambda: None,
        statistics=Statistics(lambda: service.take_census()),
        render_metrics=lambda: None,
        is_shutting_down=lambda: False,
        on_ruling=service.kinds.append,
        on_rules=service.count_change,
        on_blocked=service.blocked.append,
        keys=keys,
        has_pages=False,
    )
    with TestClient(app) as service.client:
        yield service
