"""The values that HTTP and the command line share: parsing and answers."""

from collections.abc import Callable
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, TypeAlias

import msgspec
from msgspec import Meta

from identity_core import ContactDetails, Identifier, IdentifierKind

MAX_ID = 2**63 - 1

Time = Annotated[datetime, Meta(tz=True)]

MakeDetails: TypeAlias = Callable[[Any, Any], ContactDetails]
"""Makes details of an unvalidated email and phone number; raises `InvalidDetails`."""


class DetailsMember(StrEnum):
    """A member of details."""

    EMAIL = "email"
    PHONE_NUMBER = "phoneNumber"

    @classmethod
    def of(cls, kind: IdentifierKind) -> "DetailsMember":
        return cls[kind.name]


class IdentifierValue(msgspec.Struct, omit_defaults=True, rename="camel"):
    """An email or a phone number."""

    email: str | None = None
    phone_number: str | None = None

    @classmethod
    def of(cls, identifier: Identifier) -> "IdentifierValue":
        if identifier.kind is IdentifierKind.EMAIL:
            return cls(email=identifier.value)
        return cls(phone_number=identifier.value)
