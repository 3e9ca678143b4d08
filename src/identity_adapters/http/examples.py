"""The example in the OpenAPI document: two contacts of one customer, and their history."""

from typing import Any

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
PREVIEWED = {"outcome": "linked", "contact": CONTACT, "absorbedPrimaryContactIds": [], "movedContacts": 0}

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
}

_EVENT: dict[str, Any] = {
    "id": 2,
    "happenedAt": "2026-04-20T12:00:00Z",
    "kind": "linked",
    "primaryContactId": 1,
    "contactId": 2,
    "evidenceId": None,
    "absorbedPrimaryContactIds": [],
}
HISTORY = {
    "events": [_EVENT | {"details": {"email": _OTHER_EMAIL, "phoneNumber": _PHONE_NUMBER}}],
    "next": None,
}
CHANGES = {"events": [_EVENT], "next": "760:760:__0"}
