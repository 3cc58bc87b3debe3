"""Plots as SVG to stand in a page: no file, no network, text that stays text."""

import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

INK, PALE = "#1f2933", "#cbd2d9"
COLOURS = {
    **{"two_tower": "#2b6cb0", "champion": "#dd6b20", "item_knn": "#2f855a", "als": "#805ad5"},
    **{"popular_in_category": "#b7791f", "popular_all_time": "#52606d", "popular_recent": "#9aa5b1"},
}
OTHER = "#2b6cb0"
"""Of a line that is no model's."""
WIDTH = 7.2
"""Inches; the page scales it to its width."""
STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "recpipe",  # ids are the same in every run
    "font.family": "sans-serif",
    "font.sans-serif": ["system-ui", "sans-serif", "DejaVu Sans"],
    "font.size": 11,
    "axes.edgecolor": PALE,
    "axes.labelcolor": INK,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "text.parse_math": False,  # a category may be named with dollar signs
}


class Bar(NamedTuple):
    """A mean with its interval, if there is one."""

    name: str
    value: float
    lower: float | None
    upper: float | None


def bars(figures: Sequence[Bar], label: str) -> str:
    """A horizontal bar a model, the greatest first, with its interval."""
    with _axes(0.42 * len(figures) + 0.8) as (axes, drawn):
        for place, bar in enumerate(sorted(figures, key=lambda bar: bar.value)):
            axes.barh(place, bar.value, color=COLOURS.get(bar.name, OTHER), height=0.62)
            end = bar.value if bar.upper is None else bar.upper
            if bar.lower is not None:
                axes.plot([bar.lower, bar.upper], [place, place], color=INK, linewidth=1.6, solid_capstyle="butt")
            axes.text(end, place, f"  {bar.value:.4f}", va="center")
        _named(axes, [bar.name for bar in sorted(figures, key=lambda bar: bar.value)])
        axes.set_xlabel(label)
        axes.set_xlim(0, max((bar.upper or bar.value for bar in figures), default=1) * 1.18 or 1)
    return drawn[0]


def segments(names: Sequence[str], models: Mapping[str, Sequence[Bar | None]], label: str) -> str:
    """A row a segment and in it a point a model with its interval; None where a model has no figure there."""
    with _axes(0.42 * len(names) + 1.1) as (axes, drawn):
        shifts = np.linspace(0.18, -0.18, len(models)) if len(models) > 1 else [0.0]
        for shift, (model, found) in zip(shifts, models.items(), strict=True):
            colour = COLOURS.get(model, OTHER)
            for place, bar in enumerate(reversed(found)):
                if bar is None:
                    continue
                if bar.lower is not None:
                    axes.plot([bar.lower, bar.upper], [place + shift] * 2, color=colour, linewidth=1.6)
                axes.plot(bar.value, place + shift, "o", color=colour, markersize=5)
            axes.plot([], [], "o-", color=colour, label=model)
        _named(axes, list(reversed(names)))
        axes.set_xlabel(label)
        axes.set_xlim(left=0)
        axes.grid(axis="y", color="#e4e7eb", linewidth=0.8)
        axes.legend(loc="lower center", bbox_to_anchor=(0.3, 1.0), ncols=3, frameon=False)
    return drawn[0]


def curves(lines: Mapping[str, Sequence[tuple[float, float]]], x: str, y: str, *, days: bool = False) -> str:
    """A line a name through its (x, y) points.

    Args:
        days: x counts days since 1970-01-01, and the axis shows dates.
    """
    with _axes(2.9) as (axes, drawn):
        for name, points in lines.items():
            across, up = zip(*points, strict=True)
            across = np.array(across, dtype="datetime64[D]") if days else across
            axes.plot(across, up, "o-", markersize=3, color=COLOURS.get(name, OTHER), label=name)
        axes.set_xlabel(x)
        axes.set_ylabel(y)
        axes.grid(color="#e4e7eb", linewidth=0.8)
        if not days:
            axes.xaxis.get_major_locator().set_params(integer=True)
        else:
            axes.tick_params(axis="x", rotation=20)
        if len(lines) > 1:
            axes.legend(loc="lower center", bbox_to_anchor=(0.45, 1.0), ncols=4, frameon=False)
    return drawn[0]


def shares(lines: Mapping[str, NDArray[np.floating]]) -> str:
    """What share of everything the most popular items have: two lines, of (items,) counts from the most popular item
    on. The more one bends to the upper left, the fewer items have all."""
    with _axes(3.0) as (axes, drawn):
        for colour, (name, counts) in zip(("#9aa5b1", "#2b6cb0"), lines.items(), strict=True):
            across = np.linspace(0, 1, len(counts) + 1)
            up = np.concatenate([[0.0], np.cumsum(counts) / max(counts.sum(), 1)])
            kept = np.unique(np.geomspace(1, len(across), 200).astype(int)) - 1
            axes.plot(across[kept], up[kept], color=colour, label=name)
        axes.set_xlabel("share of the items, the most popular first")
        axes.set_ylabel("share of all")
        axes.set_xlim(0, 1)
        axes.set_ylim(0, 1.02)
        axes.grid(color="#e4e7eb", linewidth=0.8)
        axes.legend(loc="lower right", frameon=False)
    return drawn[0]


def _named(axes: Axes, names: Sequence[str]) -> None:
    axes.set_yticks(range(len(names)), [name if len(name) <= 40 else f"{name[:39]}…" for name in names])
    axes.tick_params(axis="y", length=0)


@contextmanager
def _axes(height: float) -> Iterator[tuple[Axes, list[str]]]:
    """Axes to draw into, and a list that has the SVG afterwards."""
    drawn: list[str] = []
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, height), layout="constrained")
        yield figure.add_subplot(), drawn
        file = io.StringIO()
        figure.savefig(file, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    drawn.append(file.getvalue()[file.getvalue().index("<svg") :])
