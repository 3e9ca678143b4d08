"""Draws the results as an SVG for the docs. Needs ``pip install matplotlib``."""

import json
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("svg")

from matplotlib import pyplot as plt

CHART = Path(__file__).parents[1] / "docs" / "performance.svg"
SERIES = {
    "floor": ("the floor: no database", "#888888", "--"),
    "ours, known": ("known", "#1f6fb4", "-"),
    "ours, mix": ("mix", "#2c9f5d", "-"),
    "ours, new": ("new", "#d1752a", "-"),
    "batches of one, known": ("known, batches of one", "#1f6fb4", ":"),
}


def draw(results: Path) -> None:
    """Draw three panels: by connections, by the number of contacts, and by the size of identities."""
    speed, scale = (
        json.loads((results / f"{name}.json").read_text())["measured"] for name in ("speed", "scale")
    )
    plt.rcParams.update({"svg.hashsalt": "identity", "font.size": 9, "axes.grid": True, "grid.alpha": 0.3})
    figure, (by_connections, by_contacts, by_size) = plt.subplots(
        1, 3, figsize=(12, 3.6), layout="constrained"
    )
    for name, (label, color, style) in SERIES.items():
        by_connections.plot(
            *_to_points(speed[name]), style, color=color, marker="o", markersize=3, label=label
        )
    by_connections.set(title="one process, 100,000 contacts", xlabel="connections")
    for name, key in (("known", "rate"), ("mix", "mix")):
        _, color, style = SERIES[f"ours, {name}"]
        by_contacts.plot(
            *_to_points(scale["contacts"], key), style, color=color, marker="o", markersize=3, label=name
        )
    by_contacts.set(title="32 connections", xlabel="contacts in the database")
    by_size.plot(
        *_to_points(scale["contacts of one identity"]),
        color="#1f6fb4",
        marker="o",
        markersize=3,
        label="known",
    )
    by_size.set(title="32 connections", xlabel="contacts of each identity", yscale="log")
    for axes in (by_connections, by_contacts, by_size):
        axes.set(xscale="log", ylabel="requests a second")
        axes.legend(fontsize=8)
    for axes in (by_connections, by_contacts):
        axes.set_ylim(bottom=0)
    figure.savefig(CHART, metadata={"Date": None})


def _to_points(measured: dict[str, Any], key: str = "rate") -> tuple[list[int], list[float]]:
    return [int(x) for x in measured], [result[key] for result in measured.values()]
