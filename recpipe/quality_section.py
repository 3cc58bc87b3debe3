"""The data quality as HTML: a section for a report, or a page of its own. Needs nothing from the network."""

from collections.abc import Sequence

from recpipe.pages import page, template
from recpipe.quality import Quality
from recpipe.quality_report import trends

WIDTH, HEIGHT, MARGIN = 160, 28, 3
"""Of a trend's line, in pixels."""


def quality_section(report: Quality) -> str:
    """A `<section>` with its own style. Names of files come from outside, so everything is escaped."""
    return template("quality_section.html").render(
        report=report, trends=trends(report), line=trend_line, width=WIDTH, height=HEIGHT
    )


def quality_page(report: Quality) -> str:
    return page("Data quality", quality_section(report))


def trend_line(values: Sequence[float | None]) -> list[str]:
    """Points of polylines from 0 at the foot to the greatest value at the top; a gap where nothing was measured."""
    most = max((value for value in values if value), default=1)
    step = (WIDTH - 2 * MARGIN) / max(1, len(values) - 1)
    lines: list[list[str]] = [[]]
    for place, value in enumerate(values):
        if value is None:
            lines.append([])
        else:
            height = HEIGHT - MARGIN - value / most * (HEIGHT - 2 * MARGIN)
            lines[-1].append(f"{MARGIN + place * step:.1f},{height:.1f}")
    # A line of one point has no length; drawn to itself it is a dot.
    return [" ".join(points if len(points) > 1 else points * 2) for points in lines if points]
