"""Rulings over HTTP, on contacts in memory."""

import asyncio

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from identity_adapters.api.rulings import find_ends, parse_reason, to_ruling_answer
from identity_adapters.keys import Scope, generate_key
from identity_adapters.memory import InMemoryContactRepository
from identity_core import (
    ContactDetails,
    Identifier,
    IdentifierKind,
    IdentifyContacts,
    InvalidDetails,
    Note,
    NotRecorded,
    QueryIdentities,
    RuleOnIdentities,
    Verdict,
)
from tests.unit.adapters.http.serving import serving

A, B, C = ({"email": f"{name}@x"} for name in "abc")
ENDS = {"one": A, "other": B}


@pytest.fixture
def joined(service):
    """Three emails in a chain over two phone numbers; the second phone number came by evidence."""
    for details in [("a@x", "1"), ("b@x", "1"), ("b@x", "2"), ("c@x", "3"), ("c@x", "2")]:
        service.identify(*details)
    return service


def test_an_undo_does_what_its_dry_run_says(joined):
    pair = {"email": "b@x", "phoneNumber": "1"}
    foretold = joined.rule("/undo?dryRun=true", pair)
    assert foretold["applied"] is False
    assert joined.ask("GET", "/rulings") == {"rulings": [], "next": None}
    done = joined.rule("/undo", pair | {"plan": foretold["plan"]})
    assert done == foretold | {"applied": True, "rulingIds": done["rulingIds"]}
    assert foretold["rulingIds"] == [0]
    assert [page["primaryContactId"] for page in done["identities"]] == done["primariesAfter"] == [1, 2]
    assert (done["primariesBefore"], done["movedContacts"]) == ([1], 3)
    assert len(done["movedContactIds"]) == 3
    assert done["undone"][0]["id"] == 2
    assert done["chain"] == []
    for page in done["identities"]:
        assert joined.ask("GET", f"/identities/{page['primaryContactId']}") == page
    assert joined.kinds == ["undo"]


def test_what_would_be_new_has_the_id_0_and_a_time_of_now(service):
    service.identify("a@x", "1")
    pages = service.rule("/undo?dryRun=true", {"contactId": 1})["identities"]
    assert [page["primaryContactId"] for page in pages] == [1, 0]
    pages = service.rule("/pins?dryRun=true", {"one": A, "other": B, "verdict": "same"})["identities"]
    assert [contact["id"] for contact in pages[0]["contacts"]] == [1, 0]
    assert pages[0]["contacts"][1]["createdAt"] < "2999"


def test_a_pair_can_be_named_by_what_it_caused(joined):
    merge = next(event for event in joined.ask("GET", "/changes")["events"] if event["kind"] == "merged")
    for subject in (
        {"email": "C@x ", "phoneNumber": 2},
        {"evidenceId": merge["evidenceId"]},
        {"contactId": merge["evidenceId"]},
        {"eventId": merge["id"]},
    ):
        undone = joined.rule("/undo", subject)
        assert (undone["primariesAfter"], undone["movedContacts"]) == ([1, 4], 1)
        restored = joined.rule("/restore", subject)
        assert restored["withdrawnRulingIds"] == undone["rulingIds"]
        assert restored["primariesAfter"] == [1]
    undone = joined.rule("/undo", {"eventId": merge["id"]})
    joined.rule("/restore", {"rulingId": undone["rulingIds"][0]})
    assert joined.kinds == ["undo", "restore"] * 5


def test_an_undo_that_changes_nothing_is_no_ruling(joined):
    pair = {"email": "b@x", "phoneNumber": "1"}
    joined.rule("/undo", pair)
    again = joined.rule("/undo", pair)
    assert (again["applied"], again["rulingIds"], again["movedContacts"]) == (True, [], 0)
    assert joined.kinds == ["undo"]


def test_what_still_joins_the_two_is_told(joined):
    joined.identify("a@x", "2")
    undone = joined.rule("/undo", {"email": "b@x", "phoneNumber": "1"})
    assert undone["primariesAfter"] == [1]
    assert [link["one"] for link in undone["chain"]] == [{"email": "b@x"}, {"phoneNumber": "2"}, A]


def test_a_split_comes_back_as_a_whole(joined):
    foretold = joined.rule("/split?dryRun=true", {"one": A, "other": C})
    split = joined.rule("/split", {"one": A, "other": C, "plan": foretold["plan"]})
    assert split == foretold | {"applied": True, "rulingIds": split["rulingIds"]}
    assert [(link["one"], link["other"]) for link in split["undone"]] == [({"phoneNumber": "2"}, C)]
    [pin] = joined.ask("GET", "/pins")["rulings"]
    assert (pin["verdict"], pin["one"], pin["other"], pin["reason"]) == ("different", A, C, "a typo")
    rulings = joined.ask("GET", "/rulings")["rulings"]
    assert {one["id"]: one["splitId"] for one in rulings} == dict.fromkeys(split["rulingIds"], pin["id"]) | {
        pin["id"]: None
    }
    restored = joined.rule("/restore", {"rulingId": pin["id"]})
    assert sorted(restored["withdrawnRulingIds"]) == sorted(split["rulingIds"])
    assert joined.ask("GET", "/rulings")["rulings"] == []
    assert restored["primariesAfter"] == [1]
    assert joined.kinds == ["split", "restore"]


def test_details_that_a_ruling_keeps_apart_are_answered_by_their_email(joined):
    joined.rule("/undo", {"email": "b@x", "phoneNumber": "1"})
    contact, headers = joined.identify("b@x", "1")
    assert (headers["identity-outcome"], headers["identity-ignored"]) == ("held", "phoneNumber")
    assert contact["emails"] == ["b@x", "c@x"]
    assert "1" not in contact["phoneNumbers"]
    assert joined.ask("POST", "/preview", {"email": "b@x", "phoneNumber": "1"})["outcome"] == "held"
    joined.rule("/restore", {"email": "b@x", "phoneNumber": "1"})
    _, headers = joined.identify("b@x", "1")
    assert headers["identity-outcome"] == "known"
    assert "identity-ignored" not in headers


def test_pins_join_and_keep_apart(service):
    service.identify("a@x", "1")
    same = service.rule("/pins", {"one": A, "other": B, "verdict": "same"})
    assert same["primariesAfter"] == [1]
    explained = service.ask("POST", "/explain", ENDS)
    assert [(link["reason"], link["id"]) for link in explained["chain"]] == [("pin", same["rulingIds"][0])]
    different = service.rule("/pins", {"one": {"phoneNumber": "1"}, "other": C, "verdict": "different"})
    contact, headers = service.identify("c@x", "1")
    assert (contact["emails"], headers["identity-outcome"]) == (["c@x"], "held")
    apart = service.ask("POST", "/explain", {"one": A, "other": C})
    assert (apart["isConnected"], apart["pinIds"]) == (False, different["rulingIds"])
    assert [link["reason"] for link in apart["chain"]] == ["contact", "held"]
    path = f"/pins/{different['rulingIds'][0]}"
    foretold = service.ask("DELETE", f"{path}?dryRun=true")
    removed = service.ask("DELETE", f"{path}?plan={foretold['plan']}&reason=one%20customer")
    assert removed == foretold | {"applied": True}
    assert removed["withdrawnRulingIds"] == different["rulingIds"]
    assert service.identify("c@x", "1")[0]["emails"] == ["a@x", "b@x", "c@x"]
    service.ask("DELETE", f"/pins/{same['rulingIds'][0]}")
    assert service.kinds == ["pin", "pin", "unpin", "unpin"]


def test_what_has_nothing_to_do_with_each_other_has_no_chain(service):
    service.identify("a@x")
    service.identify("b@x")
    assert service.ask("POST", "/explain", ENDS) == {
        "isConnected": False, "chain": [], "weakestLink": None, "pinIds": []
    }  # fmt: skip


def test_a_plan_of_another_record_is_stale(joined):
    pair = {"email": "b@x", "phoneNumber": "1"}
    plan = joined.rule("/undo?dryRun=true", pair)["plan"]
    joined.identify("d@x", "1")
    requests = [
        ("/undo", pair),
        ("/split", {"one": A, "other": C}),
        ("/pins", {"one": A, "other": {"email": "z@x"}, "verdict": "same"}),
    ]
    for path, body in requests:
        problem = joined.rule(path, body | {"plan": plan}, expect=409)
        assert (problem["type"], problem["title"], problem["status"]) == (
            "urn:problem-type:identity:stale-plan", "Stale plan", 409
        )  # fmt: skip
    assert joined.kinds == []
    joined.rule("/undo", pair)
    joined.rule("/restore", pair | {"plan": plan}, expect=409)
    pin = joined.rule("/pins", {"one": A, "other": C, "verdict": "different"})["rulingIds"][0]
    joined.ask("DELETE", f"/pins/{pin}?plan={plan}", expect=409)


def test_a_contradiction_shows_what_contradicts(joined):
    def refuse(path, body):
        problem = joined.rule(path, body, expect=409)
        assert problem["type"] == "urn:problem-type:identity:contradiction"
        assert (problem["title"], problem["status"]) == ("Contradiction", 409)
        assert "@" not in problem["detail"]
        return problem

    refused = refuse("/pins", {"one": A, "other": C, "verdict": "different"})
    assert [link["one"] for link in refused["chain"]] == [A, {"phoneNumber": "1"}, B, {"phoneNumber": "2"}]
    assert [(link["one"], link["other"]) for link in refused["undo"]] == [({"phoneNumber": "2"}, C)]
    pin = joined.rule("/split", {"one": A, "other": C})["rulingIds"]
    pins = [one["id"] for one in joined.ask("GET", "/pins")["rulings"]]
    assert len(pins) == 1
    refused = refuse("/pins", {"one": A, "other": C, "verdict": "same"})
    assert refused["rulingId"] == pins[0]
    refused = refuse("/pins", {"one": A, "other": {"phoneNumber": "3"}, "verdict": "same"})
    assert (refused["rulingId"], len(refused["chain"])) == (pins[0], 1)
    assert refuse("/split", {"one": A, "other": C})["chain"] == []
    refused = refuse("/restore", {"email": "c@x", "phoneNumber": "2"})
    assert refused["rulingId"] == pins[0]
    assert pins[0] in pin
    same = joined.rule("/pins", {"one": A, "other": {"phoneNumber": "1"}, "verdict": "same"})["rulingIds"][0]
    assert refuse("/undo", {"email": "a@x", "phoneNumber": "1"})["rulingId"] == same


SUBJECTS = [
    ({}, ["body"]),
    ({"email": "a@x"}, ["phoneNumber"]),
    ({"phoneNumber": "1"}, ["email"]),
    ({"email": " ", "phoneNumber": "1"}, ["email"]),
    ({"email": " ", "phoneNumber": " "}, ["email", "phoneNumber"]),
    ({"email": "x", "phoneNumber": "abc"}, ["email", "phoneNumber"]),
    ({"email": "a@x", "phoneNumber": "1", "contactId": 1}, ["body"]),
    ({"contactId": 1, "eventId": 1}, ["body"]),
    ({"contactId": "1"}, ["contactId"]),
    ({"contactId": True}, ["contactId"]),
    ({"evidenceId": -1}, ["evidenceId"]),
    ({"eventId": 2**63}, ["eventId"]),
    ({"contactID": 1}, ["body"]),
    ({"contactId": 1, "dryRun": True}, ["dryRun"]),
    ({"contactId": 1, "plan": 5}, ["plan"]),
    ({"contactId": "1", "plan": 5, "reason": ""}, ["contactId", "reason", "plan"]),
]
REASONS = [None, "", " \t", "a" * 501, "a\nb", "a\x00", "a\x7fb", "a\x85b", 5, True, ["x"], {"a": "b"}]


@pytest.mark.parametrize("path", ["/undo", "/restore"])
@pytest.mark.parametrize(("body", "fields"), SUBJECTS)
def test_a_wrong_subject_is_named(joined, path, body, fields):
    assert joined.errors("POST", path, {"reason": "x"} | body) == fields


@pytest.mark.parametrize("path", ["/split", "/pins"])
@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({}, ["one", "other"]),
        ({"one": A}, ["other"]),
        ({"one": A, "other": {"email": "x"}}, ["other.email"]),
        ({"one": A, "other": {}}, ["other"]),
        ({"one": {"contactId": "1"}, "other": A | {"contactId": 1}}, ["one.contactId", "other"]),
        ({"one": A, "other": {"email": " A@X "}}, ["other"]),
        ({"one": {"contactId": 1}, "other": {"contactId": 1}}, ["other"]),
        (ENDS | {"verdicts": "same"}, ["body"]),
    ],
)
def test_wrong_ends_are_named(joined, path, body, fields):
    verdict = {"verdict": "same"} if path == "/pins" else {}
    assert joined.errors("POST", path, {"reason": "x"} | verdict | body) == fields


@pytest.mark.parametrize("verdict", [None, "", "Same", "undone", "inherited", 5, ["same"], {}])
def test_a_verdict_is_same_or_different(joined, verdict):
    assert joined.errors("POST", "/pins", ENDS | {"reason": "x", "verdict": verdict}) == ["verdict"]


@pytest.mark.parametrize("reason", REASONS)
def test_every_ruling_has_a_reason(joined, reason):
    subjects = {"/undo": {"contactId": 1}, "/restore": {"contactId": 1}, "/split": ENDS}
    for path, body in (subjects | {"/pins": ENDS | {"verdict": "same"}}).items():
        assert joined.errors("POST", path, body | {"reason": reason}) == ["reason"]
    assert joined.errors("DELETE", "/pins/1?reason=1%0A1", None) == ["reason"]
    assert joined.kinds == []


@given(st.text(st.characters(exclude_categories=["Cc", "Cs"]), max_size=500))
def test_a_reason_is_recorded_without_the_space_around_it(text):
    assume(text.strip())
    assert parse_reason(f"\n{text}\t") == text.strip()


@pytest.mark.parametrize("query", ["dryRun=yes", "dryRun=", "dryrun=true", "dryRun=true&x=1"])
def test_a_parameter_that_may_be_misspelled_is_rejected(joined, query):
    for path, body in {
        "/undo": {"contactId": 1},
        "/split": ENDS,
        "/pins": ENDS | {"verdict": "same"},
    }.items():
        [field] = joined.errors("POST", f"{path}?{query}", body | {"reason": "x"})
        assert field in ("dryRun", "query")
    assert joined.errors("DELETE", f"/pins/1?{query}", None)[0] in ("dryRun", "query")
    assert joined.kinds == []


@pytest.mark.parametrize(
    ("path", "body", "fields"),
    [
        ("/undo", {"email": "a@x", "phoneNumber": "2"}, ["email", "phoneNumber"]),
        ("/undo", {"email": "z@x", "phoneNumber": "1"}, ["email", "phoneNumber"]),
        ("/undo", {"contactId": 99}, ["contactId"]),
        ("/undo", {"evidenceId": 99}, ["evidenceId"]),
        ("/undo", {"eventId": 99}, ["eventId"]),
        ("/restore", {"email": "a@x", "phoneNumber": "1"}, ["email", "phoneNumber"]),
        ("/restore", {"contactId": 1}, ["contactId"]),
        ("/restore", {"rulingId": 99}, ["rulingId"]),
        ("/split", {"one": A, "other": {"contactId": 99}}, ["other.contactId"]),
        ("/pins", {"one": {"contactId": 99}, "other": A, "verdict": "same"}, ["one.contactId"]),
    ],
)
def test_what_is_not_recorded_is_not_found(joined, path, body, fields):
    for query in ("", "?dryRun=true"):
        assert joined.errors("POST", path + query, {"reason": "x"} | body, expect=404) == fields


def test_a_ruling_that_is_no_pin_is_not_removed_as_one(joined):
    ruling = joined.rule("/undo", {"contactId": 1})["rulingIds"][0]
    for id in (ruling, 99):
        assert joined.errors("DELETE", f"/pins/{id}", None, expect=404) == ["id"]
    assert joined.errors("DELETE", "/pins/x", None) == ["id"]
    same = joined.rule("/pins", {"one": A, "other": {"email": "z@x"}, "verdict": "same"})["rulingIds"][0]
    assert joined.errors("POST", "/restore", {"rulingId": same, "reason": "x"}, expect=404) == ["rulingId"]


def test_rulings_and_pins_come_in_pages(service):
    ids = {"undone": [], "different": []}
    for number in range(5):
        service.identify(f"{number}@x", str(number))
        undone = service.rule("/undo", {"email": f"{number}@x", "phoneNumber": str(number)})
        ids["undone"] += undone["rulingIds"]
        pin = {"one": {"email": f"{number}@x"}, "other": {"email": "z@x"}, "verdict": "different"}
        ids["different"] += service.rule("/pins", pin)["rulingIds"]
    for path, verdicts in {"/rulings": ["undone", "different"], "/pins": ["different"]}.items():
        found, after = [], 0
        while after is not None:
            page = service.ask("GET", f"{path}?limit=2&after={after}")
            assert len(page["rulings"]) <= 2
            found += page["rulings"]
            after = page["next"]
        assert [one["id"] for one in found] == sorted(id for verdict in verdicts for id in ids[verdict])
        assert {one["verdict"] for one in found} == set(verdicts)
    assert service.errors("GET", "/pins?limit=0&after=x", None) == ["after", "limit"]


def test_a_key_needs_the_scope_and_its_name_is_recorded():
    made = {scope: generate_key(f"the {scope} key", [scope]) for scope in Scope}
    bearer = {scope: {"Authorization": f"Bearer {secret}"} for scope, (secret, _) in made.items()}
    body = {"one": A, "other": B, "verdict": "same"}
    with serving([key for _, key in made.values()]) as service:
        for scope in Scope:
            service.rule("/pins", body, expect=200 if scope is Scope.DECIDE else 403, **bearer[scope])
        service.rule("/pins", body, expect=401)
        [pin] = service.ask("GET", "/pins", **bearer[Scope.READ])["rulings"]
    assert (pin["decidedBy"], pin["reason"]) == ("the decide key", "a typo")


def test_without_keys_nobody_is_named(service):
    service.rule("/pins", {"one": A, "other": B, "verdict": "same"})
    [pin] = service.ask("GET", "/pins")["rulings"]
    assert pin["decidedBy"] is None


def test_events_tell_a_follower_who_only_knows_ids(joined):
    joined.rule("/undo", {"email": "b@x", "phoneNumber": "1"})
    split = joined.ask("GET", "/changes")["events"][-1]
    assert (split["kind"], split["primaryContactId"], split["originPrimaryContactId"]) == ("split", 2, 1)
    assert len(split["movedContactIds"]) == 3
    [ruling] = joined.ask("GET", "/rulings")["rulings"]
    assert split["rulingId"] == ruling["id"]
    events = joined.ask("GET", "/identities/1/history")["events"]
    assert [event["kind"] for event in events][-2:] == ["undone", "split"]
    assert events[-2]["details"] == {"email": "b@x", "phoneNumber": "1"}


def of(email=None, phone_number=None):
    [identifier] = ContactDetails(email, phone_number).identifiers
    return identifier


def test_contacts_stand_for_values_that_tell_them_apart():
    async def body():
        repository = InMemoryContactRepository()
        identify, queries = IdentifyContacts(repository), QueryIdentities(repository)
        for details in [("a@x", "1"), ("a@x", "2"), ("b@x", "2"), (None, "3")]:
            await identify(ContactDetails(*details))
        assert await find_ends(queries, 1, 2) == (of(None, "1"), of(None, "2"))
        assert await find_ends(queries, 1, 3) == (of("a@x"), of("b@x"))
        assert await find_ends(queries, 2, of("a@x")) == (of(None, "2"), of("a@x"))
        assert await find_ends(queries, 4, 1) == (of(None, "3"), of("a@x"))
        with pytest.raises(InvalidDetails):
            await find_ends(queries, 1, 1)
        with pytest.raises(NotRecorded):
            await find_ends(queries, 1, 9)

    asyncio.run(body())


@settings(max_examples=20)
@given(st.integers(1, 1_500))
def test_an_answer_has_a_bounded_size_however_large_the_identity(contacts):
    async def body():
        repository = InMemoryContactRepository()
        details = [ContactDetails("large@x", str(number)) for number in range(contacts)]
        await IdentifyContacts(repository).many(
            [*details, ContactDetails("large@x"), ContactDetails("old@x")]
        )
        rule = RuleOnIdentities(repository, repository)
        ends = (Identifier(IdentifierKind.EMAIL, name) for name in ("old@x", "large@x"))
        return await rule.pin(*ends, Verdict.SAME, Note(None, "x"))

    answer = to_ruling_answer(asyncio.run(body()), is_applied=True)
    assert len(answer.moved_contact_ids) == min(answer.moved_contacts, 1_000)
    assert all(len(page.contacts) <= 100 for page in answer.identities)
    assert sum(page.total_contacts for page in answer.identities) == contacts + 1


def test_what_pins_alone_join_is_not_split(service):
    service.rule("/pins", {"one": A, "other": B, "verdict": "same"})
    refused = service.rule("/split", ENDS, expect=409)
    assert [link["reason"] for link in refused["chain"]] == ["pin"]
    assert refused["undo"] == []


def test_a_split_comes_back_even_if_its_ends_have_left_what_it_undid(service):
    service.identify("b@x", "2")
    same = service.rule("/pins", {"one": A, "other": B, "verdict": "same"})["rulingIds"][0]
    service.rule("/split", {"one": A, "other": {"phoneNumber": "2"}})
    service.ask("DELETE", f"/pins/{same}")
    [pin] = service.ask("GET", "/pins")["rulings"]
    restored = service.rule("/restore", {"rulingId": pin["id"]})
    assert len(restored["withdrawnRulingIds"]) == 2
    assert service.identify("b@x", "2")[0]["phoneNumbers"] == ["2"]
