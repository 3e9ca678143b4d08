"""Arguments and options that name values."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from identity_adapters.api import MakeDetails
    from identity_core import Identifier


def parse_identifier(name: str, text: str, make_details: "MakeDetails") -> "Identifier | int":
    """Parse an argument: an email, a phone number, or a contact by its id."""
    from identity_core import InvalidDetails

    is_email = "@" in text
    prefix, _, number = text.partition(":")
    expected = "must be an email, a phone number or contact:ID"
    if prefix == "contact" and not is_email:
        if not number.isdecimal() or int(number) >= 2**63:
            raise InvalidDetails(name, f"{expected}, where ID is the number of a contact")
        return int(number)
    try:
        [identifier] = (make_details(text, None) if is_email else make_details(None, text)).identifiers
    except InvalidDetails as error:
        if error.field == "details":  # it is blank
            raise InvalidDetails(name, expected) from None
        kind = "an email" if is_email else "a phone number"
        raise InvalidDetails(name, f"{expected}; as {kind} it {error.reason}") from None
    return identifier


def parse_target(
    contact_id: int | None, email: str | None, phone_number: str | None, make_details: "MakeDetails"
) -> "Identifier | int":
    """Parse whom the options name.

    Raises:
        InvalidDetails: the value is invalid.
    """
    from identity_core import InvalidDetails

    if contact_id is not None:
        return contact_id
    try:
        [identifier] = make_details(email, phone_number).identifiers
    except InvalidDetails as error:
        option = "--email" if phone_number is None else "--phone-number"
        reason = "must not be blank" if error.field == "details" else error.reason
        raise InvalidDetails(option, reason) from None
    return identifier
