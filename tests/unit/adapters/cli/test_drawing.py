"""A chain as a graph for Graphviz and Mermaid: whatever its values hold, each is one node."""

import re
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from identity_adapters.cli.drawing import to_dot, to_mermaid
from identity_core import Identifier, IdentifierKind, Link, LinkReason
from identity_core.testing.strategies import EPOCH

TEXTS = st.text(min_size=1) | st.text('"\\[](){}<>&;#|`*_%-=:@ \n/nNab1', min_size=1)
VALUES = st.builds(Identifier, st.sampled_from(IdentifierKind), TEXTS)

QUOTED = r'"((?:[^"\\]|\\["\\])*)"'
"""A quoted text of Graphviz's, with no escape in it but these two."""


@st.composite
def chains(draw):
    values = draw(st.lists(VALUES, unique=True, min_size=2, max_size=5))
    return [
        Link(a, b, draw(st.sampled_from(LinkReason)), n, EPOCH) for n, (a, b) in enumerate(pairwise(values))
    ]


def graph_of(chain):
    """The text of each node in order, and the edges between their numbers."""
    values = [chain[0].one.value, *(link.other.value for link in chain)]
    return values, [(n, n + 1, f"{link.reason} {link.id}") for n, link in enumerate(chain)]


def edges_of(found):
    return [(int(one), int(other), label) for one, label, other in found]


@given(chains())
def test_graphviz_reads_each_value_as_one_node(chain):
    node, edge = rf"  n\d+ \[label={QUOTED}\];\n", r'  n\d+ -- n\d+ \[label="\w+ \d+"(?:, style=dashed)?\];\n'
    written = to_dot(chain)
    assert re.fullmatch(rf"graph {{\n(?:{node})+(?:{edge})+}}", written)
    labels = re.findall(rf"^  n\d+ \[label={QUOTED}\];$", written, re.MULTILINE)
    values = [re.sub(r"\\(.)", r"\1", label).replace("&amp;", "&") for label in labels]
    found = re.findall(
        r'^  n(\d+) -- n(\d+) \[label="(\w+ \d+)"(?:, style=dashed)?\];$', written, re.MULTILINE
    )
    assert (values, edges_of((a, label, b) for a, b, label in found)) == graph_of(chain)


@given(chains())
def test_mermaid_reads_each_value_as_one_node(chain):
    header, *lines = to_mermaid(chain).split("\n")
    assert header == "graph LR"
    node = r'n(\d+)\["([0-9A-Za-z@.+#;-]+)"\]'
    steps = [
        re.fullmatch(rf"  {node} (?:--|-\.) (\w+ \d+) (?:---|\.-) {node}", line).groups() for line in lines
    ]
    texts = {
        int(number): text for a, a_text, _, b, b_text in steps for number, text in ((a, a_text), (b, b_text))
    }
    values = [re.sub(r"#(\d+);", lambda found: chr(int(found[1])), texts[n]) for n in sorted(texts)]
    assert (values, edges_of((a, label, b) for a, _, label, b, _ in steps)) == graph_of(chain)


def test_an_email_that_would_end_its_label_does_not():
    chain = [
        Link(
            Identifier(IdentifierKind.EMAIL, 'a"]; x -- "\\@x'),
            Identifier(IdentifierKind.PHONE_NUMBER, "1"),
            LinkReason.CONTACT,
            7,
            EPOCH,
        )
    ]
    assert to_dot(chain).splitlines()[1] == r'  n0 [label="a\"]; x -- \"\\@x"];'
    assert to_mermaid(chain).splitlines()[1] == (
        '  n0["a#34;#93;#59;#32;x#32;--#32;#34;#92;@x"] -- contact 7 --- n1["1"]'
    )


def test_links_that_do_not_count_are_dashed_and_values_without_links_stand_alone():
    a, one, b = (value_of(text) for text in ("a@x", "1", "b@x"))
    links = [Link(a, one, LinkReason.CONTACT, 1, EPOCH), Link(b, one, LinkReason.HELD, 2, EPOCH)]
    lone = value_of("9")
    assert to_dot(links, [lone]).splitlines()[1:-1] == [
        '  n0 [label="9"];',
        '  n1 [label="a@x"];',
        '  n2 [label="1"];',
        '  n3 [label="b@x"];',
        '  n1 -- n2 [label="contact 1"];',
        '  n3 -- n2 [label="held 2", style=dashed];',
    ]
    assert to_mermaid(links, [lone]).splitlines()[1:] == [
        '  n0["9"]',
        '  n1["a@x"] -- contact 1 --- n2["1"]',
        '  n3["b@x"] -. held 2 .- n2["1"]',
    ]


def value_of(text):
    return Identifier(IdentifierKind.EMAIL if "@" in text else IdentifierKind.PHONE_NUMBER, text)
