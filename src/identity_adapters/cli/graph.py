"""A chain of evidence as a graph for Graphviz or Mermaid.

Emails may contain quotes, brackets, backslashes and markup. Each value is a node with the value as its
label; it is escaped, so that it cannot end the label or act as syntax.
"""

import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from identity_core import Identifier, Link


def to_dot(chain: Sequence["Link"]) -> str:
    """Convert a chain to a graph for Graphviz.

    In a quoted label a backslash escapes, and ``&`` begins an entity:
    https://graphviz.org/doc/info/lang.html
    """
    nodes = _name_nodes(chain)
    lines = [f'  {node} [label="{_escape_for_dot(value.value)}"];' for value, node in nodes.items()]
    lines += [
        f'  {nodes[link.one]} -- {nodes[link.other]} [label="{link.reason} {link.id}"];' for link in chain
    ]
    return "\n".join(["graph {", *lines, "}"])


def to_mermaid(chain: Sequence["Link"]) -> str:
    """Convert a chain to a graph for Mermaid.

    Any character can be written as its number: https://mermaid.js.org/syntax/flowchart.html. All
    characters that could begin markup are, because labels may be interpreted as Markdown.
    """
    nodes = {
        value: f'{node}["{_escape_for_mermaid(value.value)}"]' for value, node in _name_nodes(chain).items()
    }
    lines = [f"  {nodes[link.one]} -- {link.reason} {link.id} --- {nodes[link.other]}" for link in chain]
    return "\n".join(["graph LR", *lines])


def _name_nodes(chain: Iterable["Link"]) -> dict["Identifier", str]:
    values = dict.fromkeys(value for link in chain for value in (link.one, link.other))
    return {value: f"n{number}" for number, value in enumerate(values)}


def _escape_for_dot(text: str) -> str:
    return re.sub(r'(["\\])', r"\\\1", text.replace("&", "&amp;"))


def _escape_for_mermaid(text: str) -> str:
    return re.sub(r"[^0-9A-Za-z@.+-]", lambda found: f"#{ord(found[0])};", text)
