"""What the statements take for blocked is what the rules block."""

from hypothesis import given, settings
from hypothesis import strategies as st

from identity_adapters.postgres.blocked import to_conditions
from identity_adapters.postgres.rows import EmailForms
from identity_adapters.postgres.statements.rules import is_blocked
from identity_core import Identifier, IdentifierKind, RuleSet
from tests.support.databases import connect

EMAILS = st.text("ab.@%_\\é\n", min_size=1, max_size=5)
NUMBERS = st.text("+12", min_size=1, max_size=5).filter(lambda number: "++" not in number)
EMAIL_PATTERNS = st.text("ab.@%_\\é*?", min_size=1, max_size=5)
NUMBER_PATTERNS = st.text("+12*?", min_size=1, max_size=5)
RULES = st.builds(
    RuleSet,
    emails=st.sets(EMAILS, max_size=2),
    phone_numbers=st.sets(NUMBERS, max_size=2),
    email_patterns=st.sets(EMAIL_PATTERNS, max_size=2),
    phone_number_patterns=st.sets(NUMBER_PATTERNS, max_size=2),
    presets=st.just([]) | st.just(["reserved-domains"]),
    one_digit=st.booleans(),
)


def test_statements_and_rules_agree_on_what_is_blocked(server):
    query = "SELECT {}, {}".format(*is_blocked("CAST(%(email)s AS text)", "CAST(%(number)s AS text)"))

    with connect(server) as connection:

        @settings(max_examples=500, deadline=None)
        @given(RULES, EMAILS, NUMBERS)
        def check(rules, email, number):
            values = to_conditions(rules, EmailForms()) | {"email": email, "number": number}
            assert connection.execute(query, values).fetchone() == (
                rules.blocks(Identifier(IdentifierKind.EMAIL, email)),
                rules.blocks(Identifier(IdentifierKind.PHONE_NUMBER, number)),
            )

        check()
        nobody = to_conditions(RuleSet(email_patterns=["*"], one_digit=True), EmailForms())
        assert connection.execute(query, nobody | {"email": None, "number": None}).fetchone() == (
            False,
            False,
        )
