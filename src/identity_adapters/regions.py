"""Phone numbers in international form (E.164), with a default region."""

from collections.abc import Callable
from typing import Any

import phonenumbers
from attrs import evolve

from identity_core import ContactDetails
from identity_core.model.identifiers import MAX_PHONE_NUMBER_LENGTH


def normalize_phone_numbers(region: str) -> Callable[[Any, Any], ContactDetails]:
    """Make a function that makes details with phone numbers in international form.

    A number without a country code belongs to the region. A number that cannot be parsed keeps its digits.

    >>> normalize_phone_numbers("US")(None, "(650) 253-0000").phone_number
    '+16502530000'
    >>> normalize_phone_numbers("US")(None, "+44 20 7031 3000").phone_number
    '+442070313000'
    >>> normalize_phone_numbers("US")(None, "1").phone_number
    '1'
    """

    def make_details(email: Any, phone_number: Any) -> ContactDetails:
        details = ContactDetails(email, phone_number)
        if details.phone_number is None:
            return details
        return evolve(details, phone_number=_to_international(details.phone_number, region))

    return make_details


def _to_international(phone_number: str, region: str) -> str:
    try:
        parsed = phonenumbers.parse(phone_number, region)
    except phonenumbers.NumberParseException:
        return phone_number
    number = phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)
    return number if len(number) <= MAX_PHONE_NUMBER_LENGTH else phone_number
