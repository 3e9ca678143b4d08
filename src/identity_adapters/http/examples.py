"""The example in the OpenAPI document: two contacts of one customer, their history, and rulings on them."""

from typing import Any

from identity_adapters.api.erasures import LEFT_TO_DO

_EMAIL = "lorraine@hillvalley.edu"
_OTHER_EMAIL = "mcfly@hillvalley.edu"
_PHONE_NUMBER = "123456"

CONTACT: dict[str, Any] = {
    "primaryContactId": 1,
    "emails": [_EMAIL, _OTHER_EMAIL],
    "phoneNumbers": [_PHONE_NUMBER],
    "secondaryContactIds": [2],
}
IDENTIFIED = {"contact": CONTACT}
PREVIEWED: dict[str, Any] = {
    "outcome": "linked",
    "ignored": None,
    "contact": CONTACT,
    "absorbedPrimaryContactIds": [],
    "movedContacts": 0,
}

IDENTITY: dict[str, Any] = {
    "primaryContactId": 1,
    "totalContacts": 2,
    "totalEmails": 2,
    "totalPhoneNumbers": 1,
    "contacts": [
        {
            "id": 1,
            "email": _EMAIL,
            "phoneNumber": _PHONE_NUMBER,
            "linkPrecedence": "primary",
            "createdAt": "2026-04-01T12:00:00Z",
        },
        {
            "id": 2,
            "email": _OTHER_EMAIL,
            "phoneNumber": _PHONE_NUMBER,
            "linkPrecedence": "secondary",
            "createdAt": "2026-04-20T12:00:00Z",
        },
    ],
    "next": None,
}
LOOKED_UP = {"identities": [IDENTITY]}

EXPLAINED: dict[str, Any] = {
    "isConnected": True,
    "chain": [
        {
            "one": {"email": _EMAIL},
            "other": {"phoneNumber": _PHONE_NUMBER},
            "reason": "contact",
            "id": 1,
            "seenAt": "2026-04-01T12:00:00Z",
        },
        {
            "one": {"phoneNumber": _PHONE_NUMBER},
            "other": {"email": _OTHER_EMAIL},
            "reason": "contact",
            "id": 2,
            "seenAt": "2026-04-20T12:00:00Z",
        },
    ],
    "weakestLink": {
        "identifier": {"phoneNumber": _PHONE_NUMBER},
        "pairs": 2,
        "contactsBefore": 1,
        "contactsAfter": 1,
    },
    "pinIds": [],
}

_EVENT: dict[str, Any] = {
    "id": 2,
    "happenedAt": "2026-04-20T12:00:00Z",
    "kind": "linked",
    "primaryContactId": 1,
    "contactId": 2,
    "evidenceId": None,
    "absorbedPrimaryContactIds": [],
    "rulingId": None,
    "originPrimaryContactId": None,
    "movedContactIds": [],
}
HISTORY = {
    "events": [_EVENT | {"details": {"email": _OTHER_EMAIL, "phoneNumber": _PHONE_NUMBER}}],
    "next": None,
}
MERGES: dict[str, Any] = {
    "merges": [
        _EVENT
        | {
            "id": 7,
            "kind": "merged",
            "contactId": 5,
            "absorbedPrimaryContactIds": [4],
            "details": {"email": _EMAIL, "phoneNumber": "717171"},
        }
    ],
    "next": None,
}
STATISTICS: dict[str, Any] = {
    "countedAt": "2026-05-02T12:00:00Z",
    "contacts": 5,
    "identities": 2,
    "merges": 1,
    "splits": 0,
    "heldPairs": 0,
    "blockedPairs": 0,
    "undonePairs": 0,
    "waitingPairs": 1,
    "pins": 0,
    "largestIdentity": 4,
    "rulesVersion": 1,
    "isSettled": True,
}
KEY = {"name": "support", "scopes": ["decide", "read"], "isRequired": True}
CHANGES = {"events": [_EVENT], "next": "760:760:__0_7467342187091005472"}
MESSAGE = {
    "type": "identity.changed",
    "timestamp": _EVENT["happenedAt"],
    "data": {"events": [_EVENT], "cursor": CHANGES["next"]},
}

_FIRST = IDENTITY | {
    "totalContacts": 1,
    "totalEmails": 1,
    "contacts": IDENTITY["contacts"][:1],
}
_SECOND = {
    "primaryContactId": 2,
    "totalContacts": 1,
    "totalEmails": 1,
    "totalPhoneNumbers": 0,
    "contacts": [IDENTITY["contacts"][1] | {"phoneNumber": None, "linkPrecedence": "primary"}],
    "next": None,
}
_LINK: dict[str, Any] = EXPLAINED["chain"][1]
_UNDONE_LINK = _LINK | {"reason": "undone"}
_PIN: dict[str, Any] = {
    "id": 3,
    "verdict": "different",
    "one": {"email": _EMAIL},
    "other": {"email": _OTHER_EMAIL},
    "decidedAt": "2026-05-02T12:00:00Z",
    "decidedBy": "support",
    "reason": "mother and son",
    "splitId": None,
}

GRAPH: dict[str, Any] = {
    "primaryContactId": 1,
    "asOf": None,
    "totalContacts": 2,
    "values": [
        {"email": _EMAIL},
        {"phoneNumber": _PHONE_NUMBER},
        {"email": _OTHER_EMAIL},
        {"email": "george@hillvalley.edu", "isMember": False},
    ],
    "links": [
        {"one": 0, "other": 1, "reason": "contact", "id": 1, "seenAt": "2026-04-01T12:00:00Z"},
        {"one": 2, "other": 1, "reason": "contact", "id": 2, "seenAt": "2026-04-20T12:00:00Z"},
        {
            "one": 3,
            "other": 1,
            "reason": "held",
            "id": 5,
            "seenAt": "2026-05-02T12:00:00Z",
            "heldBy": "emailsPerPhoneNumber",
        },
    ],
    "pins": [
        {
            "id": 6,
            "verdict": "different",
            "one": 0,
            "other": 3,
            "decidedAt": "2026-05-03T12:00:00Z",
            "decidedBy": "support",
            "reason": "husband and wife",
        }
    ],
    "weakest": {"value": 1, "leavingContacts": 1},
}

EXPLAINED_APART = {
    "isConnected": False,
    "chain": [EXPLAINED["chain"][0], _UNDONE_LINK | {"id": 4}],
    "weakestLink": None,
    "pinIds": [3],
}

UNDONE: dict[str, Any] = {
    "applied": True,
    "plan": "0f3c8a5d2b7e4196c8d0a1b2",
    "rulingIds": [3],
    "withdrawnRulingIds": [],
    "identities": [_FIRST, _SECOND],
    "primariesBefore": [1],
    "primariesAfter": [1, 2],
    "movedContacts": 1,
    "movedContactIds": [2],
    "undone": [_LINK],
    "chain": [],
}
SPLIT = UNDONE | {"rulingIds": [4, 3]}
RESTORED = UNDONE | {
    "rulingIds": [],
    "withdrawnRulingIds": [3],
    "identities": [IDENTITY],
    "primariesBefore": [1, 2],
    "primariesAfter": [1],
    "undone": [],
}
PINNED = UNDONE | {
    "primariesBefore": [1, 2],
    "movedContacts": 0,
    "movedContactIds": [],
    "undone": [],
}
UNPINNED = PINNED | {"rulingIds": [], "withdrawnRulingIds": [3]}
PINS = {"rulings": [_PIN], "next": None}
RULINGS = {
    "rulings": [
        _PIN,
        _PIN | {"id": 4, "verdict": "undone", "one": _LINK["other"], "other": _LINK["one"], "splitId": 3},
    ],
    "next": None,
}

RULES_REQUEST: dict[str, Any] = {
    "blocked": {
        "emails": ["test@hillvalley.edu", "*@example.org"],
        "phoneNumbers": ["+15550100"],
        "oneDigit": True,
        "presets": ["reserved-domains"],
    },
    "limits": {"emailsPerPhoneNumber": 5, "valuesPerIdentity": 50},
    "retroactive": False,
    "reason": "the shop's own phone number joined strangers",
    "version": 2,
    "plan": "0f3c8a5d2b7e4196c8d0a1b2",
}
RULES_PREVIEW_REQUEST = {name: RULES_REQUEST[name] for name in ("blocked", "limits", "retroactive")}
RULES_PREVIEW = {
    "plan": RULES_REQUEST["plan"],
    "identitiesBefore": 1,
    "identitiesAfter": 2,
    "split": 1,
    "merged": 0,
    "blocked": 2,
    "unblocked": 0,
    "held": 0,
    "released": 0,
    "sizes": [
        {"minContacts": 1, "maxContacts": 1, "before": 0, "after": 2},
        {"minContacts": 2, "maxContacts": 2, "before": 1, "after": 0},
        {"minContacts": 3, "maxContacts": 5, "before": 0, "after": 0},
        {"minContacts": 6, "maxContacts": 10, "before": 0, "after": 0},
        {"minContacts": 11, "maxContacts": 100, "before": 0, "after": 0},
        {"minContacts": 101, "maxContacts": None, "before": 0, "after": 0},
    ],
    "mostAffected": [
        {
            "primaryContactId": 1,
            "totalContacts": 2,
            "parts": 2,
            "contactsOfParts": [1, 1],
            "joined": 0,
            "joinedPrimaryContactIds": [],
            "reasons": [{"value": {"phoneNumber": "+15550100"}, "pairs": 2}],
        }
    ],
}
SUGGESTIONS = {
    "suggestions": [
        {
            "value": {"phoneNumber": "+15550100"},
            "partners": 204,
            "merges": 17,
            "primaryContactId": 7,
            "totalContacts": 221,
            "parts": 204,
            "leavingContacts": 218,
        }
    ]
}
RULES = {
    "blocked": RULES_REQUEST["blocked"] | {"emails": ["*@example.org", "test@hillvalley.edu"]},
    "limits": {
        "phoneNumbersPerEmail": None,
        "emailsPerPhoneNumber": 5,
        "valuesPerIdentity": 50,
        "valuesOnSmallerSide": None,
    },
    "version": 3,
    "appliedAt": "2026-05-02T12:00:00Z",
    "appliedBy": "support",
    "reason": RULES_REQUEST["reason"],
    "isSettled": False,
}

HELD = {
    "held": [
        {
            "id": 4,
            "email": _OTHER_EMAIL,
            "phoneNumber": _PHONE_NUMBER,
            "seenAt": "2026-04-20T12:00:00Z",
            "heldBy": "emailsPerPhoneNumber",
            "identityOfEmail": {"primaryContactId": 2, "totalContacts": 1},
            "identityOfPhoneNumber": {"primaryContactId": 1, "totalContacts": 1},
            "chain": [],
        }
    ],
    "next": None,
}
ACCEPTED = RESTORED | {"rulingIds": [5], "withdrawnRulingIds": [], "movedContacts": 1, "movedContactIds": [2]}
REJECTED = UNDONE | {
    "rulingIds": [5],
    "primariesBefore": [1, 2],
    "movedContacts": 0,
    "movedContactIds": [],
    "undone": [_LINK | {"reason": "held", "id": 4}],
}

CONTRADICTION = {
    "type": "urn:problem-type:identity:contradiction",
    "title": "Contradiction",
    "status": 409,
    "detail": "the two are joined: split them",
    "chain": EXPLAINED["chain"],
    "undo": [_LINK],
    "rulingId": None,
}
STALE_PLAN = {
    "type": "urn:problem-type:identity:stale-plan",
    "title": "Stale plan",
    "status": 409,
    "detail": "the record changed since the plan was made; nothing was changed",
    "chain": [],
    "undo": [],
    "rulingId": None,
}

_PERSON = [{"email": _EMAIL}, {"email": _OTHER_EMAIL}, {"phoneNumber": _PHONE_NUMBER}]
WOULD_ERASE: dict[str, Any] = {
    "preview": {
        "plan": "5d41402abc4b2a76b9719d91",
        "values": _PERSON,
        "contacts": [
            {
                "id": contact["id"],
                "email": contact["email"],
                "phoneNumber": contact["phoneNumber"],
                "createdAt": contact["createdAt"],
                "deletedAt": None,
            }
            for contact in IDENTITY["contacts"]
        ],
        "pairs": [],
        "rulings": [],
        "blocked": [],
        "weakValues": [
            {
                "value": {"phoneNumber": _PHONE_NUMBER},
                "contacts": 1,
                "one": {"email": _EMAIL},
                "other": {"email": _OTHER_EMAIL},
            }
        ],
    },
    "receipt": None,
}
ERASED: dict[str, Any] = {
    "preview": None,
    "receipt": {
        "id": 6,
        "erasedAt": "2026-05-03T12:00:00Z",
        "erasedBy": "support",
        "contactIds": [1, 2],
        "evidenceIds": [],
        "rulingIds": [],
        "blocks": [],
        "suppressedUntil": None,
        "leftToDo": [*LEFT_TO_DO],
    },
}
STILL_REFERENCED = STALE_PLAN | {
    "type": "urn:problem-type:identity:still-referenced",
    "title": "Still referenced",
    "detail": "another table of the database refers to contacts of this person; nothing was erased",
}

ACCESSED = {
    "generatedAt": "2026-05-03T12:00:00Z",
    "values": [
        {
            "value": {"email": _EMAIL},
            "firstSeen": "2026-04-01T12:00:00Z",
            "lastSeenMonth": "2026-04",
            "isBlocked": False,
        },
        {
            "value": {"phoneNumber": _PHONE_NUMBER},
            "firstSeen": "2026-04-01T12:00:00Z",
            "lastSeenMonth": None,
            "isBlocked": False,
        },
    ],
    "contacts": [
        {
            "id": 1,
            "email": _EMAIL,
            "phoneNumber": _PHONE_NUMBER,
            "ofOtherPerson": [],
            "linkedId": None,
            "createdAt": "2026-04-01T12:00:00Z",
            "deletedAt": None,
        }
    ],
    "pairs": [
        {
            "email": _EMAIL,
            "phoneNumber": _PHONE_NUMBER,
            "firstSeen": "2026-04-01T12:00:00Z",
            "standing": "counts",
            "heldBy": None,
        },
        {
            "email": None,
            "phoneNumber": _PHONE_NUMBER,
            "firstSeen": "2026-04-20T12:00:00Z",
            "standing": "undone",
            "heldBy": None,
        },
    ],
    "decisions": [
        {
            "id": 3,
            "verdict": "different",
            "one": {"email": _EMAIL},
            "other": None,
            "reason": "mother and son",
            "decidedAt": "2026-05-02T12:00:00Z",
            "decidedBy": "support",
            "splitId": None,
            "withdrawal": None,
        }
    ],
    "rules": [],
    "history": [_EVENT | {"id": 1, "happenedAt": "2026-04-01T12:00:00Z", "kind": "created", "contactId": 1}],
}

WEBHOOK: dict[str, Any] = {
    "id": 1,
    "url": "https://warehouse.example/identity",
    "kinds": ["created", "linked", "merged"],
    "description": "the data warehouse",
    "allowsHttp": False,
    "allowedNetworks": [],
    "createdAt": "2026-05-04T12:00:00Z",
    "state": "active",
    "pausedAt": None,
    "pausedBecause": None,
    "cursor": CHANGES["next"],
    "pendingEvents": 0,
    "pendingIsMore": False,
    "caughtUpAt": "2026-05-05T12:00:00Z",
    "lagSeconds": 0,
    "deliveredAt": "2026-05-05T11:58:00Z",
    "deliveredEvents": 3,
    "deliveredRequests": 2,
    "failedRequests": 1,
    "failures": 0,
    "failingSince": None,
    "lastFailure": "status 503",
    "nextAttemptInSeconds": None,
    "isDelivering": True,
    "previousSecretUntil": None,
    "keyIsKnown": True,
}
WEBHOOKS = {"webhooks": [WEBHOOK], "next": None}
PAUSED_WEBHOOK = WEBHOOK | {
    "state": "paused",
    "pausedAt": "2026-05-05T12:30:00Z",
    "pausedBecause": "asked",
    "isDelivering": False,
}
_SECRET = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="  # noqa: S105 -- of nothing
ADDED_WEBHOOK = {
    "webhook": WEBHOOK
    | {
        "cursor": None,
        "pendingEvents": 3,
        "caughtUpAt": "2026-05-04T12:00:00Z",
        "deliveredAt": None,
        "deliveredEvents": 0,
        "deliveredRequests": 0,
        "failedRequests": 0,
        "lastFailure": None,
        "isDelivering": False,
    },
    "secret": _SECRET,
}
ROTATED_WEBHOOK = {
    "webhook": WEBHOOK | {"previousSecretUntil": "2026-05-06T12:00:00Z", "isDelivering": False},
    "secret": _SECRET,
}
TESTED_WEBHOOK = {"isAccepted": True, "status": 204, "failure": None, "seconds": 0.042}
