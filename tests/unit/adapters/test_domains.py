import idna
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from identity_adapters.container import compose_make_details
from identity_adapters.domains import normalize_domains, to_ascii, to_unicode
from identity_core import InvalidDetails

make_details = normalize_domains()


def email_of(given):
    return make_details(given, None).email


@pytest.mark.parametrize(
    "given",
    [
        "anna@müller.example",
        "anna@mu\N{COMBINING DIAERESIS}ller.example",
        "Anna@MÜLLER.example ",
        "anna@xn--mller-kva.example",
        "anna@XN--MLLER-KVA.Example",
        "anna@müller\N{IDEOGRAPHIC FULL STOP}example",
        "anna@ｍüｌｌｅｒ．ｅｘａｍｐｌｅ",
        "anna@ｘｎ－－mller-kva.example",
    ],
)
def test_every_form_of_a_domain_is_one(given):
    assert email_of(given) == "anna@müller.example"


@pytest.mark.parametrize(
    "given",
    [
        "anna@example.org",
        "xn--anna@example.org",
        "anna@_dmarc.müller.example",  # an underscore
        "anna@\N{SNOWMAN}.example",
        "anna@xn--n3h.example",  # the same
        "anna@ü..example",
        "anna@" + 64 * "ü" + ".example",
        "anna@b\N{FULLWIDTH COMMERCIAL AT}c",
        "anna@xn--zzzzzz99999.example",  # no Punycode
        "anna@xn--mgba3gch31f060k.com",  # in Unicode it has a zero-width non-joiner
        "anna@[127.0.0.1]",
    ],
)
def test_a_domain_without_a_visible_form_in_unicode_stays_as_it_is(given):
    assert email_of(given) == given


def test_a_domain_is_mapped_as_uts_46_does():
    assert email_of("anna@ΟΔΟΣ-1.example") == "anna@οδοσ-1.example"
    assert email_of("anna@οδος-1.example") == "anna@οδος-1.example"
    assert email_of("anna@STRAßE.example") == "anna@straße.example"


def test_a_script_whose_small_letters_are_the_younger_ones_is_small_too():
    cherokee = "anna@\N{CHEROKEE SMALL LETTER A}.example"
    assert email_of(cherokee) == email_of(cherokee.upper()) == to_unicode(to_ascii(cherokee)) == cherokee


def test_a_part_before_the_at_is_none_of_its_business():
    assert email_of("xn--mller-kva@ü.example") == "xn--mller-kva@ü.example"
    assert email_of("Ａ@ü.example") == "ａ@ü.example"


@pytest.mark.parametrize(
    ("email", "phone_number"),
    [("anna@m\N{SOFT HYPHEN}üller.example", "1"), ("anna", "1"), (5, None), (None, None), (" ", None)],
)
def test_what_is_refused_is_refused_with_and_without_it(email, phone_number):
    with pytest.raises(InvalidDetails):
        make_details(email, phone_number)


LABELS = st.text(
    st.characters(categories=["Ll", "Lo", "Lm", "Mn", "Nd"]) | st.sampled_from("aüßς-"), min_size=1
)


@given(st.lists(LABELS, min_size=1, max_size=3).map(".".join))
def test_the_ascii_and_the_unicode_form_of_any_valid_domain_are_one(domain):
    try:
        in_ascii = idna.encode(domain, uts46=True).decode()
        one = email_of(f"a@{domain}")
    except (idna.IDNAError, InvalidDetails):
        assume(False)
    assert one == email_of(f"a@{in_ascii}") == email_of(f"a@{in_ascii.upper()}") == email_of(one)
    assert to_unicode(to_ascii(one) or one) == one


@given(st.text() | LABELS, st.text() | LABELS.map("xn--{}".format))
def test_once_is_enough(local, domain):
    try:
        once = email_of(f"{local}@{domain}")
    except InvalidDetails:
        assume(False)
    assert email_of(once) == once


def test_it_goes_together_with_a_region():
    details = compose_make_details("US")("anna@xn--mller-kva.example", "(650) 253-0000")
    assert details.key == ("anna@müller.example", "+16502530000")
    assert compose_make_details(None)("anna@xn--mller-kva.example", "1").key == ("anna@müller.example", "1")
