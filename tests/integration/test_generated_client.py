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
from tests.support.waiting import wait_until

PACKAGE = "generated_identity_client"


@pytest.fixture(scope="module")
def generated(tmp_path_factory, make_database):
    """Operations by their ids, models, and clients: with a key, without, and with too large a header."""
    folder = tmp_path_factory.mktemp("generated")
    secret, key = generate_key("shop", list(Scope))
    settings = {
        "DB_CONNECTION_STRING": make_database(),
        "IDENTITY_API_KEYS": key.entry,
        "IDENTITY_WEBHOOK_KEY": "x" * 32,
    }
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

    def ask(name, *arguments, expect=200, **options):
        used.add(name)
        response = generated.operations[name].sync_detailed(*arguments, client=generated.client, **options)
        assert response.status_code == expect, response
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

    graph, _ = ask("graph", contact_id)
    assert [link.reason for link in graph.links] == [models.LinkReason.CONTACT] * 2
    assert [value.email or value.phone_number for value in graph.values] == ["doc@x", "1", "marty@x"]
    assert graph.weakest.value == 1
    assert ask("graph", contact_id, as_of=tomorrow)[0].total_contacts == 2

    accessed, _ = ask("access", body=models.AccessRequest(email="marty@x"))
    assert [value.value.email for value in accessed.values[:2]] == ["doc@x", "marty@x"]
    assert [pair.standing for pair in accessed.pairs] == [models.Standing.COUNTS] * 2
    assert accessed.decisions == accessed.rules == []

    events = ask("history", contact_id)[0].events
    assert [event.kind for event in events] == [models.EventKind.CREATED, models.EventKind.LINKED]
    assert events[1].details.email == "marty@x"
    changes, _ = ask("changes", limit=1)
    changes, _ = ask("changes", after=changes.next_, wait=10.0)
    assert [event.contact_id for event in changes.events] == [events[1].contact_id]
    assert changes.events[0].evidence_id is None

    pair = {"email": "marty@x", "phone_number": "1", "reason": "a typo"}
    foretold, _ = ask("undo", body=models.UndoRequest(**pair), dry_run=True)
    assert (foretold.applied, foretold.ruling_ids) == (False, [0])
    undone, _ = ask("undo", body=models.UndoRequest(**pair, plan=foretold.plan))
    assert (undone.applied, undone.moved_contacts, undone.chain) == (True, 1, [])
    assert [page.primary_contact_id for page in undone.identities] == undone.primaries_after
    assert undone.undone[0].reason is models.LinkReason.CONTACT
    _, headers = ask("identify", body=body(email="marty@x", phone_number="1"))
    assert models.Outcome(headers["Identity-Outcome"]) is models.Outcome.HELD
    assert headers["Identity-Ignored"] == "phoneNumber"
    [ruling] = ask("rulings", limit=10)[0].rulings
    assert (ruling.verdict, ruling.decided_by) == (models.Verdict.UNDONE, "shop")
    restored, _ = ask("restore", body=models.RestoreRequest(ruling_id=ruling.id, reason="no typo"))
    assert restored.withdrawn_ruling_ids == [ruling.id]

    ends = {"one": sought(email="doc@x"), "other": sought(email="marty@x"), "reason": "two customers"}
    assert ask("split", body=models.SplitRequest(**ends))[0].applied
    explained, _ = ask("explain", body=models.ExplainRequest(ends["one"], ends["other"]))
    assert [link.reason for link in explained.chain].count(models.LinkReason.UNDONE) == 1
    [pin] = ask("pins")[0].rulings
    assert explained.pin_ids == [pin.id]
    ask("restore", body=models.RestoreRequest(ruling_id=pin.id, reason="one customer"))
    ends["other"] = sought(email="stranger@x")
    pinned, _ = ask("pin", body=models.PinRequest(**ends, verdict=models.PinRequestVerdict.SAME))
    assert pinned.primaries_after == [contact_id]
    unpinned, _ = ask("unpin", pinned.ruling_ids[0], reason="a mistake", plan=ask("unpin",
        pinned.ruling_ids[0], dry_run=True)[0].plan)  # fmt: skip
    assert len(unpinned.primaries_after) == 2
    assert {event.kind for event in ask("changes")[0].events} >= {
        models.EventKind.UNDONE, models.EventKind.SPLIT, models.EventKind.PINNED
    }  # fmt: skip

    blocked = models.BlockedValues(emails=["*@till"], one_digit=True)
    limits = models.RuleLimits(emails_per_phone_number=1)
    [suggestion] = ask("suggest_rules", limit=1)[0].suggestions
    assert (suggestion.value.phone_number, suggestion.partners) == ("1", 2)
    foretold, _ = ask("preview_rules", body=models.RulesPreviewRequest(blocked, limits))
    assert (foretold.split, foretold.identities_after - foretold.identities_before) == (1, 1)
    assert foretold.most_affected[0].reasons[0].value.phone_number == "1"
    assert [foretold.sizes[0].max_contacts, foretold.sizes[-1].max_contacts] == [1, None]
    rules, _ = ask("apply", body=models.RulesRequest(blocked, limits, "a till", plan=foretold.plan))
    assert (rules.blocked.emails, rules.limits.emails_per_phone_number) == (["*@till"], 1)
    assert (rules.limits.values_per_identity, rules.applied_by) == (None, "shop")
    read, _ = ask("rules")
    ask("apply", body=models.RulesRequest(read.blocked, read.limits, "again", version=read.version))
    for email in ("accepted@x", "rejected@x", "first@x"):
        ask("identify", body=body(email=email))
    ask("identify", body=body(email="first@x", phone_number="880"))
    for email, ruling in {"accepted@x": "accept", "rejected@x": "reject"}.items():
        _, headers = ask("identify", body=body(email=email, phone_number="880"))
        assert models.Outcome(headers["Identity-Outcome"]) is models.Outcome.HELD
        [held] = ask("held")[0].held
        assert (held.held_by, held.chain) == (models.HeldBy.EMAILSPERPHONENUMBER, [])
        assert held.identity_of_email.total_contacts == 1
        assert ask(ruling, held.id, body=models.HeldPairRequest(reason="asked"))[0].applied
    assert ask("held", after=held.id, limit=1)[0].held == []
    _, headers = ask("identify", body=body(email="a@till", phone_number="890"))
    assert headers["Identity-Ignored"] == "email"
    ask("apply", body=models.RulesRequest(models.BlockedValues(), models.RuleLimits(), "off"))

    wait_until(lambda: ask("rules")[0].is_settled)
    for key in [("jennifer@x", "3"), ("suzy@x", "4"), ("suzy@x", "3")]:
        ask("identify", body=body(*key))
    merges, _ = ask("merges", limit=1)
    assert (merges.merges[0].kind, merges.merges[0].details.email) == (models.EventKind.MERGED, "suzy@x")
    assert all(
        merge.id < merges.merges[0].id for merge in ask("merges", before=merges.merges[0].id)[0].merges
    )
    counted, _ = ask("statistics")
    assert (counted.rules_version, counted.waiting_pairs, counted.is_settled) == (3, 0, True)
    assert counted.contacts > counted.identities > 1 <= counted.merges
    foretold, _ = ask("erase", body=models.EraseRequest(email="doc@x"), dry_run=True)
    assert (foretold.receipt, foretold.preview.contacts[0].email) == (None, "doc@x")
    erased, _ = ask("erase", body=models.EraseRequest(email="doc@x", plan=foretold.preview.plan))
    assert (erased.preview, erased.receipt.erased_by) == (None, "shop")
    assert erased.receipt.contact_ids == sorted(one.id for one in foretold.preview.contacts)

    request = models.WebhookRequest("https://127.0.0.1/", [models.EventKind.MERGED], from_="beginning")
    added, _ = ask("add_webhook", body=request, expect=201)
    assert added.secret.startswith("whsec_")
    webhook = added.webhook
    assert (webhook.kinds, webhook.state) == ([models.EventKind.MERGED], models.WebhookState.ACTIVE)
    assert ask("webhooks", limit=1)[0].webhooks[0].id == ask("webhook", webhook.id)[0].id == webhook.id
    assert ask("pause_webhook", webhook.id)[0].paused_because is models.PauseReason.ASKED
    assert ask("resume_webhook", webhook.id)[0].paused_because is None
    assert ask("replay_webhook", webhook.id, body=models.ReplayRequest("end"))[0].pending_events == 0
    assert ask("rotate_webhook", webhook.id, keep_hours=1)[0].webhook.previous_secret_until is not None
    assert ask("test_webhook", webhook.id)[0].failure == "address not allowed"
    assert ask("remove_webhook", webhook.id, expect=204)[0] is None

    assert ask("live")[0].status == "live"
    assert ask("ready")[0].status == ask("health")[0].status == "ready"
    assert "identity_request_duration_seconds" in ask("metrics")[0]
    key, _ = ask("key")
    assert (key.name, key.scopes, key.is_required) == ("shop", sorted(models.Scope), True)
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
    assert refused(400, "suggest_rules", limit=0) == ["limit"]
    for name in ("identify", "preview", "lookup"):
        assert refused(400, name, body=wrong) == ["email", "phoneNumber"]
        assert refused(400, name, body=models.ContactDetails()) == ["email", "phoneNumber"]
    ends = models.ExplainRequest(
        models.IdentifierOrContact(email="x"), models.IdentifierOrContact(contact_id=-1)
    )
    assert refused(400, "explain", body=ends) == ["one.email", "other.contactId"]
    assert refused(404, "access", body=models.AccessRequest(contact_id=10**9)) == ["contactId"]
    assert refused(404, "erase", body=models.EraseRequest(contact_id=10**9)) == ["contactId"]
    assert refused(404, "identity", 10**9) == ["contactId"]
    assert refused(400, "history", -1, limit=0) == ["contactId", "limit"]
    assert refused(404, "graph", 10**9) == ["contactId"]
    assert refused(400, "changes", after="x") == ["after"]
    assert refused(400, "merges", before=-1, limit=0) == ["before", "limit"]
    for name in ("statistics", "key"):
        refused(401, name, client=generated.anonymous)
    request = models.UndoRequest(email="x", phone_number="abc", reason="\n")
    assert refused(400, "undo", body=request) == ["email", "phoneNumber", "reason"]
    assert refused(404, "undo", body=models.UndoRequest(contact_id=10**9, reason="x")) == ["contactId"]
    assert refused(404, "restore", body=models.RestoreRequest(ruling_id=10**9, reason="x")) == ["rulingId"]
    one, other = models.IdentifierOrContact(email="x"), models.IdentifierOrContact(contact_id=-1)
    request = models.SplitRequest(one, other, reason="x")
    assert refused(400, "split", body=request) == ["one.email", "other.contactId"]
    request = models.PinRequest(one, other, models.PinRequestVerdict.DIFFERENT, reason=" ")
    assert refused(400, "pin", body=request) == ["one.email", "other.contactId", "reason"]
    assert refused(404, "unpin", 10**9) == ["id"]
    for name in ("pins", "rulings", "held"):
        assert refused(400, name, limit=0) == ["limit"]
    request = models.RulesRequest(models.BlockedValues(emails=["x"]), models.RuleLimits(), reason=" ")
    assert refused(400, "apply", body=request) == ["blocked.emails[0]", "reason"]
    request = models.RulesPreviewRequest(request.blocked, request.limits)
    assert refused(400, "preview_rules", body=request) == ["blocked.emails[0]"]
    for name in ("accept", "reject"):
        assert refused(404, name, 10**9, body=models.HeldPairRequest(reason="x")) == ["id"]
    assert refused(400, "add_webhook", body=models.WebhookRequest("http://x/", from_="x")) == ["url"]
    assert refused(400, "webhooks", limit=0) == ["limit"]
    assert refused(404, "replay_webhook", 10**9, body=models.ReplayRequest("end")) == ["id"]
    for name in ("webhook", "pause_webhook", "resume_webhook", "rotate_webhook", "test_webhook",
        "remove_webhook"):  # fmt: skip
        assert refused(404, name, 10**9) == ["id"]
    refused(401, "rules", client=generated.anonymous)
    for name in ("live", "ready", "health"):
        refused(431, name, client=generated.talkative)
    refused(401, "metrics", client=generated.anonymous)
    assert used == generated.operations.keys()


def test_a_refused_ruling_tells_a_generated_client_why(generated):
    models = generated.models

    def ask(name, body):
        response = generated.operations[name].sync_detailed(client=generated.client, body=body)
        return response.status_code, response.parsed

    ask("identify", models.ContactDetails(email="refused@x", phone_number="77"))
    ends = {
        "one": models.IdentifierOrContact(email="refused@x"),
        "other": models.IdentifierOrContact(phone_number="77"),
        "reason": "two customers",
    }
    different = models.PinRequestVerdict.DIFFERENT
    status, conflict = ask("pin", models.PinRequest(**ends, verdict=different))
    assert (status, type(conflict)) == (409, models.Conflict)
    assert conflict.type_ is models.ConflictType.URNPROBLEM_TYPEIDENTITYCONTRADICTION
    assert [link.reason for link in conflict.chain] == [models.LinkReason.CONTACT]
    assert conflict.undo == conflict.chain
    status, conflict = ask("split", models.SplitRequest(**ends, plan="of another time"))
    assert (status, type(conflict)) == (409, models.Conflict)
    assert conflict.type_ is models.ConflictType.URNPROBLEM_TYPEIDENTITYSTALE_PLAN
