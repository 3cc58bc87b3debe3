"""Data quality as it is shown: trends, and everything as plain values for JSON."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

from recpipe.pages import percent
from recpipe.quality import Figures, Quality


class Trend(NamedTuple):
    """One figure over the last arrivals that had files."""

    name: str
    values: Sequence[float | None]  # oldest first; None where there was nothing to measure
    in_all: float | None
    is_share: bool = True

    def say(self, value: float | None) -> str:
        return percent(value) if self.is_share or value is None else f"{value:,}"

    @property
    def last(self) -> float | None:
        """Of the last arrival in which there was something to measure."""
        return next((value for value in reversed(self.values) if value is not None), None)

    @property
    def change(self) -> str:
        """An arrow from the value before; nothing where there is none."""
        before, last = [None, None, *(value for value in self.values if value is not None)][-2:]
        if before is None or last is None:
            return ""
        return "=" if self.say(before) == self.say(last) else "↑" if last > before else "↓"


def trends(report: Quality) -> list[Trend]:
    last = [figures for figures in report.days.values() if figures.files][-report.trend_arrivals :]

    def trend(name: str, measure: Callable[[Figures], float | None], is_share: bool = True) -> Trend:
        return Trend(name, [measure(figures) for figures in last], measure(report.total), is_share)

    return [
        trend("read", lambda figures: figures.read, is_share=False),
        trend("rejected share", lambda figures: figures.rejected_share),
        trend("duplicate share", lambda figures: figures.duplicate_share),
        *(
            trend(f"{kind}.{column} filled", partial(Figures.fill_rate, kind=kind, column=column))
            for kind, rates in report.total.fill_rates().items()
            for column in rates
        ),
    ]


def quality_json(report: Quality) -> dict[str, Any]:
    """Counts, and the shares that they make, of every day and in all."""
    return {
        "first": report.first,
        "last": report.last,
        "total": _figures_json(report.total),
        "days": [{"arrived_on": day, **_figures_json(figures)} for day, figures in report.days.items()],
        "stopped": [{"arrived_on": day, "state": said} for day, said in report.stopped.items()],
        "trend": [{"name": line.name, "values": line.values, "in_all": line.in_all} for line in trends(report)],
    }


def _figures_json(figures: Figures) -> dict[str, Any]:
    return {
        **{name: getattr(figures, name) for name in ("files", "read", "accepted", "rejected", "duplicates")},
        "rejected_share": figures.rejected_share,
        "duplicate_share": figures.duplicate_share,
        "repeats": figures.repeats,
        "reasons": [reason._asdict() for reason in figures.reasons],
        "rows": figures.rows,
        "fill_rates": figures.fill_rates(),
        "dates": {kind: {"first": first, "last": last} for kind, (first, last) in figures.dates.items()},
        "items_reviewed": figures.items_reviewed,
        "items_without_metadata": figures.items_without_metadata,
        "without_metadata_share": figures.without_metadata_share,
    }
