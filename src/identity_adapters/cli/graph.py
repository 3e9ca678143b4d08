"""A chain of evidence as a graph, in the languages of Graphviz and Mermaid.

Emails may hold quotes, brackets, backslashes and markup. Each value is one node whose label shows it;
nothing in it ends the label, or is taken for a part of the language.
"""

import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from identity_core import Identifier, Link


def to_dot(chain: Sequence["Link"]) -> str:
    """The graph for Graphviz.

    In a quoted label a backslash escapes, and ``&`` begins an entity:
    https://graphviz.org/doc/info/lang.html
    """
    nodes = _nodes(chain)
    lines = [f'  {node} [label="{_escape_for_dot(value.value)}"];' for value, node in nodes.items()]
    lines += [
        f'  {nodes[link.one]} -- {nodes[link.other]} [label="{link.reason} {link.id}"];' for link in chain
    ]
    return "\n".join(["graph {", *lines, "}"])


def to_mermaid(chain: Sequence["Link"]) -> str:
    """The graph for Mermaid.

    Any character may be written as its number: https://mermaid.js.org/syntax/flowchart.html. All are
    that could begin markup, since labels may be taken for Markdown.
    """
    nodes = {value: f'{node}["{_escape_for_mermaid(value.value)}"]' for value, node in _nodes(chain).items()}
    lines = [f"  {nodes[link.one]} -- {link.reason} {link.id} --- {nodes[link.other]}" for link in chain]
    return "\n".join(["graph LR", *lines])


def _nodes(chain: Iterable["Link"]) -> dict["Identifier", str]:
    values = dict.fromkeys(value for link in chain for value in (link.one, link.other))
    return {value: f"n{number}" for number, value in enumerate(values)}


def _escape_for_dot(text: str) -> str:
    return re.sub(r'(["\\])', r"\\\1", text.replace("&", "&amp;"))


def _escape_for_mermaid(text: str) -> str:
    return re.sub(r"[^0-9A-Za-z@.+-]", lambda found: f"#{ord(found[0])};", text)
