"""Links of evidence as a graph for Graphviz or Mermaid. Those that do not count are dashed.

Emails may contain quotes, brackets, backslashes and markup. Each value is a node with the value as its
label; it is escaped, so that it cannot end the label or act as syntax.
"""

import re
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from identity_core import Identifier, Link


def to_dot(links: Sequence["Link"], values: Iterable["Identifier"] = ()) -> str:
    """Convert links, and values that may have none, to a graph for Graphviz.

    In a quoted label a backslash escapes, and ``&`` begins an entity:
    https://graphviz.org/doc/info/lang.html
    """
    nodes = _name_nodes(links, values)
    lines = [f'  {node} [label="{_escape_for_dot(value.value)}"];' for value, node in nodes.items()]
    for link in links:
        style = "" if link.counts else ", style=dashed"
        lines.append(f'  {nodes[link.one]} -- {nodes[link.other]} [label="{link.reason} {link.id}"{style}];')
    return "\n".join(["graph {", *lines, "}"])


def to_mermaid(links: Sequence["Link"], values: Iterable["Identifier"] = ()) -> str:
    """Convert links, and values that may have none, to a graph for Mermaid.

    Any character can be written as its number: https://mermaid.js.org/syntax/flowchart.html. All
    characters that could begin markup are, because labels may be interpreted as Markdown.
    """
    nodes = {
        value: f'{node}["{_escape_for_mermaid(value.value)}"]'
        for value, node in _name_nodes(links, values).items()
    }
    linked = {end for link in links for end in (link.one, link.other)}
    lines = [f"  {node}" for value, node in nodes.items() if value not in linked]
    for link in links:
        start, end = ("--", "---") if link.counts else ("-.", ".-")
        lines.append(f"  {nodes[link.one]} {start} {link.reason} {link.id} {end} {nodes[link.other]}")
    return "\n".join(["graph LR", *lines])


def _name_nodes(links: Iterable["Link"], values: Iterable["Identifier"]) -> dict["Identifier", str]:
    linked = (value for link in links for value in (link.one, link.other))
    return {value: f"n{number}" for number, value in enumerate(dict.fromkeys(chain(values, linked)))}


def _escape_for_dot(text: str) -> str:
    return re.sub(r'(["\\])', r"\\\1", text.replace("&", "&amp;"))


def _escape_for_mermaid(text: str) -> str:
    return re.sub(r"[^0-9A-Za-z@.+-]", lambda found: f"#{ord(found[0])};", text)
