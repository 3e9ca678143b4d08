"""A client that is generated from the service's own OpenAPI document uses every operation of it."""

import importlib
import json
import subprocess
import sys
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from identity_adapters.keys import Scope, generate_key
from tests.support.processes import service

PACKAGE = "generated_identity_client"


@pytest.fixture(scope="module")
def generated(tmp_path_factory, make_database):
    """Operations by their ids, models, and clients: with a key, without, and with too large a header."""
    folder = tmp_path_factory.mktemp("generated")
    secret, key = generate_key("shop", list(Scope))
    settings = {"DB_CONNECTION_STRING": make_database(), "IDENTITY_API_KEYS": key.entry}
    with service(folder, **settings) as running, ExitStack() as stack:
        document = folder / "openapi.json"
        document.write_bytes(running.request("GET", "/openapi.json")[2])
        (folder / "config.json").write_text(json.dumps({"post_hooks": []}))
        generate = [
            "generate", "--path", document, "--output-path", folder / PACKAGE,
            "--meta", "none", "--config", folder / "config.json", "--fail-on-warning",
        ]  # fmt: skip
        subprocess.run([sys.executable, "-m", "openapi_python_client", *map(str, generate)], check=True)
        stack.enter_context(pytest.MonkeyPatch.context()).syspath_prepend(str(folder))
        package = importlib.import_module(PACKAGE)
        operations = {
            operation["operationId"]: importlib.import_module(
                f"{PACKAGE}.api.{operation['tags'][0]}.{operation['operationId']}"
            )
            for path in json.loads(document.read_bytes())["paths"].values()
            for operation in path.values()
        }
        url = f"http://127.0.0.1:{running.port}"
        yield SimpleNamespace(
            operations=operations,
            models=importlib.import_module(f"{PACKAGE}.models"),
            client=stack.enter_context(package.AuthenticatedClient(url, secret)),
            anonymous=stack.enter_context(package.Client(url)),
            talkative=stack.enter_context(package.Client(url, headers={"X-Large": "x" * 20_000})),
        )


def test_every_operation_answers_a_generated_client(generated):
    models = generated.models
    used = set()

    def ask(name, *arguments, **options):
        used.add(name)
        response = generated.operations[name].sync_detailed(*arguments, client=generated.client, **options)
        assert response.status_code == 200, response
        return response.parsed, response.headers

    body = models.ContactDetails
    answer, headers = ask("identify", body=body(email="Doc@x", phone_number="1"))
    assert (answer.contact.emails, answer.contact.phone_numbers) == (["doc@x"], ["1"])
    assert models.Outcome(headers["Identity-Outcome"]) is models.Outcome.CREATED
    contact_id = answer.contact.primary_contact_id

    preview, _ = ask("preview", body=body(email="marty@x", phone_number="1"))
    assert preview.outcome is models.Outcome.LINKED
    assert preview.contact.secondary_contact_ids == [None]
    assert ask("preview", body=body(email="new@x"))[0].contact.primary_contact_id is None
    ask("identify", body=body(email="marty@x", phone_number="1"))

    [identity] = ask("lookup", body=body(phone_number="1"))[0].identities
    assert [contact.link_precedence for contact in identity.contacts] == list(models.LinkPrecedence)
    assert ask("lookup", body=body(email="new@x"))[0].identities == []

    sought = models.IdentifierOrContact
    explained, _ = ask(
        "explain", body=models.ExplainRequest(sought(contact_id=contact_id), sought(email="marty@x"))
    )
    assert [link.reason for link in explained.chain] == [models.LinkReason.CONTACT, models.LinkReason.CONTACT]
    assert explained.weakest_link.identifier.phone_number == "1"
    ends = models.ExplainRequest(sought(email="marty@x"), sought(email="new@x"))
    assert ask("explain", body=ends)[0].weakest_link is None

    page, _ = ask("identity", contact_id, limit=1)
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    page, _ = ask("identity", contact_id, after=page.next_, as_of=tomorrow)
    assert ([contact.email for contact in page.contacts], page.next_) == (["marty@x"], None)

    events = ask("history", contact_id)[0].events
    assert [event.kind for event in events] == [models.EventKind.CREATED, models.EventKind.LINKED]
    assert events[1].details.email == "marty@x"
    changes, _ = ask("changes", limit=1)
    changes, _ = ask("changes", after=changes.next_, wait=10.0)
    assert [event.contact_id for event in changes.events] == [events[1].contact_id]
    assert changes.events[0].evidence_id is None

    assert ask("live")[0].status == "live"
    assert ask("ready")[0].status == ask("health")[0].status == "ready"
    assert "identity_request_duration_seconds" in ask("metrics")[0]
    assert used == generated.operations.keys()


def test_every_operation_tells_a_generated_client_what_is_wrong(generated):
    models = generated.models
    used = set()

    def refused(status, name, *arguments, client=generated.client, **options):
        used.add(name)
        response = generated.operations[name].sync_detailed(*arguments, client=client, **options)
        assert (response.status_code, type(response.parsed)) == (status, models.Problem)
        return [error.field for error in response.parsed.errors or []]

    wrong = models.ContactDetails(email="x", phone_number="abc")
    for name in ("identify", "preview", "lookup"):
        assert refused(400, name, body=wrong) == ["email", "phoneNumber"]
        assert refused(400, name, body=models.ContactDetails()) == ["email", "phoneNumber"]
    ends = models.ExplainRequest(
        models.IdentifierOrContact(email="x"), models.IdentifierOrContact(contact_id=-1)
    )
    assert refused(400, "explain", body=ends) == ["one.email", "other.contactId"]
    assert refused(404, "identity", 10**9) == ["contactId"]
    assert refused(400, "history", -1, limit=0) == ["contactId", "limit"]
    assert refused(400, "changes", after="x") == ["after"]
    for name in ("live", "ready", "health"):
        refused(431, name, client=generated.talkative)
    refused(401, "metrics", client=generated.anonymous)
    assert used == generated.operations.keys()
