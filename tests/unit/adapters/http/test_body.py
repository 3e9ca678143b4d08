"""What a client is told of fields that cannot be used."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from identity_adapters.http.body import parse_details
from identity_adapters.http.errors import InvalidFields
from identity_adapters.http.parameters import collect
from identity_adapters.http.problem import FieldError
from identity_adapters.regions import normalize_phone_numbers
from identity_core import ContactDetails

values = st.sampled_from([None, "", " ", "a@x", "x", "1", "0650 1", "abc", "\0", 5, -5, 1.5, True, "9" * 300])


def errors_of(*details):
    try:
        parse_details(*details)
    except InvalidFields as error:
        return [(one.field, one.reason) for one in error.errors]
    return []


@given(values, values, st.sampled_from([ContactDetails, normalize_phone_numbers("US")]))
def test_the_errors_of_two_fields_are_those_of_each(email, phone_number, make_details):
    alone = errors_of(email, "1", make_details) + errors_of("a@x", phone_number, make_details)
    both = errors_of(email, phone_number, make_details)
    if alone:
        assert both == alone
    elif both:
        assert {field for field, _ in both} == {"email", "phoneNumber"}
        assert not (str(email or "") + str(phone_number or "")).strip()
    else:
        assert make_details(email, phone_number) == parse_details(email, phone_number, make_details)


def test_all_errors_are_collected_or_all_values():
    def fail(field):
        raise InvalidFields(FieldError(field, "is wrong"))

    assert collect(lambda: 1, lambda: 2) == (1, 2)
    with pytest.raises(InvalidFields, match=r"^a and b: is wrong$"):
        collect(lambda: fail("a"), lambda: 2, lambda: fail("b"))
