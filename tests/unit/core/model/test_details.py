from datetime import UTC, datetime, timedelta, timezone
from unicodedata import is_normalized, normalize

import pytest
from hypothesis import given
from hypothesis import strategies as st

from identity_core import ContactDetails, InvalidDetails
from identity_core.model.identifiers import normalise_email, normalise_phone_number


def refused(**details):
    with pytest.raises(InvalidDetails) as caught:
        ContactDetails(**details)
    assert str(caught.value) == f"{caught.value.field} {caught.value.reason}"
    return caught.value.field, caught.value.reason


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("doc@hillvalley.edu", "doc@hillvalley.edu"),
        ("  Doc@HillValley.EDU\t\n", "doc@hillvalley.edu"),
        ("\N{NO-BREAK SPACE}doc@hillvalley.edu\N{IDEOGRAPHIC SPACE}", "doc@hillvalley.edu"),
        ("ÄRGER@MÜLLER.DE", "ärger@müller.de"),
        ("A\N{COMBINING DIAERESIS}rger@mu\N{COMBINING DIAERESIS}ller.de", "ärger@müller.de"),
        ("\N{KELVIN SIGN}@x", "k@x"),
        ("e\N{COMBINING ACUTE ACCENT}" * 126 + "@xy", "é" * 126 + "@xy"),
        ("a b@c", "a b@c"),
        ('"odd, but"@[127.0.0.1]', '"odd, but"@[127.0.0.1]'),
        ("a@" + "b" * 253, "a@" + "b" * 253),
        ("", None),
        (" \t ", None),
        (None, None),
    ],
)
def test_an_email_is_trimmed_lower_cased_and_composed(given, kept):
    assert normalise_email(given) == kept


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ("doc", "must have exactly one @ between two non-empty parts"),
        ("@hillvalley.edu", "must have exactly one @ between two non-empty parts"),
        ("doc@", "must have exactly one @ between two non-empty parts"),
        ("doc@hill@valley", "must have exactly one @ between two non-empty parts"),
        ("@", "must have exactly one @ between two non-empty parts"),
        ("a@" + "b" * 254, "must have at most 255 characters"),
        ("a\x00@b", "must not have control characters or lone surrogates"),
        ("a@b\x1b[31mc", "must not have control characters or lone surrogates"),
        ("a\r\nBcc: x@b", "must not have control characters or lone surrogates"),
        ("a\x85b@c", "must not have control characters or lone surrogates"),
        pytest.param("\ud800@b", "must not have control characters or lone surrogates", id="surrogate"),
        ("a\N{ZERO WIDTH SPACE}@b", "must not have invisible characters"),
        ("a\N{ZERO WIDTH JOINER}@b", "must not have invisible characters"),
        ("a\N{SOFT HYPHEN}@b", "must not have invisible characters"),
        ("\N{RIGHT-TO-LEFT OVERRIDE}a@b", "must not have invisible characters"),
        ("\N{ZERO WIDTH NO-BREAK SPACE}a@b", "must not have invisible characters"),
        ("a@b\N{TAG LATIN SMALL LETTER C}", "must not have invisible characters"),
        ("a\N{LINE SEPARATOR}@b", "must not have invisible characters"),
        ("a@b\N{PARAGRAPH SEPARATOR}c", "must not have invisible characters"),
        pytest.param("a\uffff@b", "must not have characters that Unicode does not define", id="undefined"),
        (5, "must be text"),
        (True, "must be text"),
        (1.5, "must be text"),
        (b"a@b", "must be text"),
        (["a@b"], "must be text"),
        ({"a": "b"}, "must be text"),
    ],
)
def test_what_is_no_email_is_refused_with_field_and_reason(given, reason):
    assert refused(email=given, phone_number="1") == ("email", reason)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("123456", "123456"),
        (" +1 (555) 010-99.88/7 ", "+155501099887"),
        ("[+49] 30\N{EN DASH}12\N{NO-BREAK SPACE}34", "+49301234"),
        ("(+49) 30 1234", "+49301234"),
        ("++49+1", "+491"),
        ("49+1", "491"),
        ("\N{FULLWIDTH PLUS SIGN}\N{FULLWIDTH DIGIT FOUR}\N{FULLWIDTH DIGIT NINE}", "+49"),
        ("\N{ARABIC-INDIC DIGIT ONE}\N{DEVANAGARI DIGIT TWO}", "12"),
        ("*#555#", "555"),
        (123456, "123456"),
        (0, "0"),
        (10**20 - 1, "9" * 20),
        ("9" * 20, "9" * 20),
        ("+" + "9" * 19, "+" + "9" * 19),
        ("- " * 500 + "1", "1"),
        ("", None),
        ("  ", None),
        (None, None),
    ],
)
def test_a_phone_number_keeps_a_leading_plus_and_its_digits(given, kept):
    assert normalise_phone_number(given) == kept


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ("555-CALL", "must not have letters"),
        ("555 ext. 3", "must not have letters"),
        ("五五五", "must not have letters"),
        ("555\N{SUPERSCRIPT TWO}", "must not have letters"),
        ("+", "must have a digit"),
        ("-- ()", "must have a digit"),
        ("9" * 21, "must have at most 20 characters"),
        ("+" + "9" * 20, "must have at most 20 characters"),
        (10**20, "must have at most 20 characters"),
        pytest.param(10**10_000, "must have at most 20 characters", id="very long"),
        (-1, "must not be negative"),
        pytest.param(-(10**10_000), "must not be negative", id="very long and negative"),
        ("555\x000123", "must not have control characters or lone surrogates"),
        ("555\n0123", "must not have control characters or lone surrogates"),
        pytest.param("555\udfff", "must not have control characters or lone surrogates", id="surrogate"),
        (
            "\N{LEFT-TO-RIGHT EMBEDDING}555\N{POP DIRECTIONAL FORMATTING}",
            "must not have invisible characters",
        ),
        ("555\N{ZERO WIDTH SPACE}0123", "must not have invisible characters"),
        (True, "must be text or a whole number"),
        (False, "must be text or a whole number"),
        (123456.0, "must be text or a whole number"),
        (["1"], "must be text or a whole number"),
        ({}, "must be text or a whole number"),
    ],
)
def test_what_is_no_phone_number_is_refused_with_field_and_reason(given, reason):
    assert refused(email="a@b", phone_number=given) == ("phone_number", reason)


@given(st.text())
def test_normalising_twice_is_normalising_once(text):
    for normalise in (normalise_email, normalise_phone_number):
        try:
            once = normalise(text)
        except InvalidDetails:
            continue
        assert normalise(once) == once


CASED = (
    "aéİıſßẞΣσςΆᾈK\N{COMBINING DOT BELOW}\N{COMBINING ACUTE ACCENT}\N{COMBINING GREEK YPOGEGRAMMENI}각\u1100"
)


@given(st.text() | st.text(CASED), st.text(CASED))
def test_canonically_equal_emails_are_one_email(local, domain):
    spellings = [normalize(form, f"{local}@a{domain}") for form in ("NFC", "NFD")]
    try:
        one, other = map(normalise_email, spellings)
    except InvalidDetails:
        for spelling in spellings:
            with pytest.raises(InvalidDetails):
                normalise_email(spelling)
    else:
        assert one == other == normalise_email(one)
        assert is_normalized("NFC", one)


@given(st.characters(categories=["Cc", "Cf", "Cn", "Zl", "Zp"]))
def test_what_nobody_sees_is_refused_in_either_field(character):
    for name, value in (("email", f"a{character}@b"), ("phone_number", f"5{character}5")):
        field, reason = refused(**{name: value})
        assert (field, reason.split(" have ")[0]) == (name, "must not")


@given(st.text() | st.integers() | st.floats() | st.booleans() | st.binary() | st.lists(st.text()))
def test_whatever_comes_is_kept_storable_or_refused(value):
    for name in ("email", "phone_number"):
        try:
            details = ContactDetails(**{name: value})
        except InvalidDetails:
            continue
        else:
            kept = getattr(details, name)
            assert kept.encode()
            assert "\x00" not in kept
            assert len(kept) <= {"email": 255, "phone_number": 20}[name]


@given(st.text(min_size=3))
def test_a_refusal_does_not_quote_what_was_given(text):
    # Neither has an @, nor is it all digits.
    for name in ("email", "phone_number"):
        field, reason = refused(**{name: text.replace("@", "") + "marked"})
        assert field == name
        assert "marked" not in reason


def test_details_need_an_email_or_a_phone_number():
    expected = ("details", "must have an email, a phone number or both")
    assert refused() == refused(email=" ", phone_number="") == refused(email=None) == expected


def test_a_time_is_kept_in_utc():
    moment = datetime(2020, 1, 1, 12, tzinfo=timezone(timedelta(hours=2)))
    kept = ContactDetails("a@b", seen_at=moment).seen_at
    assert kept == moment
    assert kept.tzinfo is UTC


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (datetime(2020, 1, 1), "must have an offset from UTC"),  # noqa: DTZ001
        ("2020-01-01", "must be a datetime"),
        (
            datetime.max.replace(tzinfo=timezone(-timedelta(hours=1))),
            "must lie in the years 1 to 9999 in UTC",
        ),
    ],
)
def test_what_is_no_time_is_refused(given, reason):
    assert refused(email="a@b", seen_at=given) == ("seen_at", reason)


def test_details_are_values():
    assert ContactDetails("A@B", "5 5") == ContactDetails("a@b", 55)
    assert len({ContactDetails("A@B", "5 5"), ContactDetails("a@b", 55)}) == 1
    with pytest.raises(AttributeError):
        ContactDetails("a@b").email = "c@d"


def test_key_and_pair_tell_what_is_given():
    assert ContactDetails("a@b", "1").key == ContactDetails("a@b", "1").pair == ("a@b", "1")
    assert ContactDetails("a@b").key == ("a@b", None)
    assert ContactDetails("a@b").pair is None
    assert ContactDetails(None, "1").pair is None
