"""The audit of a staged frame by Great Expectations: what was met, what stops the run, what it warns of."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import pandas as pd
from great_expectations.core.expectation_validation_result import (
    ExpectationSuiteValidationResult,
    ExpectationValidationResult,
)
from great_expectations.expectations.expectation import Expectation
from great_expectations.expectations.metadata_types import FailureSeverity
from great_expectations.render.renderer.page_renderer import ValidationResultsPageRenderer
from great_expectations.render.view import DefaultJinjaPageView
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from recpipe.arrival_figures import ArrivalFigures, checked_figures
from recpipe.audit_results import (
    NAMED_AT_MOST,
    counted,
    exception_in,
    is_met,
    name_of,
    said_of,
    validate,
    without_values,
)
from recpipe.errors import UserError
from recpipe.expectations import arrival_expectations, expectations_of, is_filled, stand_ins, telling
from recpipe.settings import AuditSettings
from recpipe.tables import Table


@dataclass(frozen=True)
class Audit:
    """The outcome for one table. ``validated`` holds counts alone, never a value of a row."""

    table: str
    days: str
    validated: ExpectationSuiteValidationResult
    faults: tuple[str, ...]
    warnings: tuple[str, ...]

    @property
    def expected(self) -> int:
        return self.validated.statistics["evaluated_expectations"]

    @property
    def met(self) -> int:
        return self.validated.statistics["successful_expectations"]

    def require(self) -> None:
        """Raises:
        UserError: an expectation that stops the run was not met, or any was not evaluated; names the table, the days,
            and for each expectation what was expected and found.
        """
        if self.faults:
            faults = "; ".join(self.faults)
            raise UserError(f"table {self.table}, {self.days}: the audit failed, nothing was written: {faults}")

    def as_json(self) -> str:
        return json.dumps(self.validated.to_json_dict(), indent=1)

    def as_html(self, run: str) -> str:
        """The page of Great Expectations' Data Docs; its links lead to an `index.html` in the same folder."""
        self.validated.meta["run_id"] = {"run_name": run, "run_time": self.days}
        document = ValidationResultsPageRenderer(run_info_at_end=True).render(self.validated)
        page = DefaultJinjaPageView().render(document, show_how_to_buttons=False)
        suite = f"../../../../expectations/{self.validated.suite_name}.html"  # a page that would say the same again
        return page.replace(suite, "index.html").replace("../../../../index.html", "index.html")


def audit(  # noqa: PLR0913 - the frame, what it should be, and what it is compared with
    table: Table,
    staged: DataFrame,
    rows: int,
    first: date,
    last: date,
    *,
    settings: AuditSettings | None = None,
    sealed: Sequence[ArrivalFigures] = (),
) -> Audit:
    """Check a staged frame of ``rows`` rows for the days ``first`` to ``last`` against the table's contract.

    Arrivals are also checked as a whole, against ``settings`` and the arrivals that were ``sealed`` before.
    """
    settings = settings or AuditSettings()
    contract = list(expectations_of(table, rows, first, last))
    checked = staged.withColumns(dict(stand_ins(table)))
    results, faults = _contract(table, checked, contract, rows)
    arrivals = _arrivals(table, staged) if rows else []
    figures = checked_figures(table, arrivals, sealed, settings.compared_arrivals, settings.max_fill_drop)
    whole = list(arrival_expectations(table, figures, settings))
    found, stops, warnings = _of_arrivals(pd.DataFrame(figures), whole)
    days = first.isoformat() if first == last else f"{first} to {last}"
    meta = {"table": table.name, "days": days, "rows": rows, "arrivals": figures}
    faults += stops
    results += found
    if len(results) != len(contract) + len(whole):
        faults.append(f"expected {len(contract) + len(whole)} results, found {len(results)}")
    return Audit(table.name, days, _summary(table, results, meta), tuple(faults), tuple(warnings))


def _contract(
    table: Table, frame: DataFrame, expectations: list[Expectation], rows: int
) -> tuple[list[ExpectationValidationResult], list[str]]:
    """The results, without values of rows, and what is wrong, with a few."""
    quick = validate(frame, expectations, "BOOLEAN_ONLY")
    failed = [one for one in expectations if name_of(one) in quick and not is_met(quick, one)]
    # Only now the values that fail are collected: each costs a pass over the frame.
    again = {name_of(one): one for failure in failed for one in (failure, telling(table, failure))}
    told = quick | validate(frame, list(again.values()), "BASIC") if failed else quick
    results, faults = [], []
    for one in expectations:
        if one in failed:
            instead = telling(table, one)
            result = told[name_of(one)] if is_met(told, instead) else told.get(name_of(instead), told[name_of(one)])
            faults.append(said_of(result))
            results.append(without_values(result))
        elif name_of(one) in quick:
            results.append(counted(quick[name_of(one)], rows))
    return results, faults


def _arrivals(table: Table, staged: DataFrame) -> list[ArrivalFigures]:
    if not table.happened_at and not table.filled:
        return []
    newest = F.to_date(F.max(table.happened_at)) if table.happened_at else F.lit(None).cast("date")
    filled = [F.count_if(is_filled(table, name)) for name in table.filled]
    by_day = staged.filter(F.col(table.day_column).isNotNull()).groupBy(table.day_column)
    rows = by_day.agg(F.count(F.lit(1)), newest, *filled).collect()
    return [ArrivalFigures(day, count, newest, tuple(filled)) for day, count, newest, *filled in sorted(rows)]


def _of_arrivals(
    figures: pd.DataFrame, expectations: list[Expectation]
) -> tuple[list[ExpectationValidationResult], list[str], list[str]]:
    """The results, what stops the run, and what it only warns of."""
    if not expectations:
        return [], [], []
    detail = {"result_format": "COMPLETE", "unexpected_index_column_names": ["arrived_on"]}
    found = validate(figures, expectations, detail).values()
    stops, warnings = [], []
    for result in found:
        if exception_in(result):
            stops.append(said_of(result))
        elif not result.success:
            only_warns = result.expectation_config.severity == FailureSeverity.WARNING
            (warnings if only_warns else stops).append(_said_of_arrivals(result))
    return [without_values(result) for result in found], stops, warnings


def _said_of_arrivals(result: ExpectationValidationResult) -> str:
    kwargs, places = result.expectation_config.kwargs, result.result["unexpected_index_list"]
    named = []
    for place in places[:NAMED_AT_MOST]:
        if "column" in kwargs:
            found = f"{place[kwargs['column']]} days"
        else:
            found = f"{place[kwargs['column_A']]:.1%}, expected at least {place[kwargs['column_B']]:.1%}"
        named.append(f"{place['arrived_on']}: {found}")
    more = f" and {len(places) - NAMED_AT_MOST} more days" if len(places) > NAMED_AT_MOST else ""
    return f"{result.expectation_config.meta['says']} ({', '.join(named)}{more})"


def _summary(
    table: Table, results: list[ExpectationValidationResult], meta: dict[str, Any]
) -> ExpectationSuiteValidationResult:
    met = sum(bool(result.success) for result in results)
    statistics = {
        "evaluated_expectations": len(results),
        "successful_expectations": met,
        "unsuccessful_expectations": len(results) - met,
        "success_percent": 100 * met / len(results) if results else None,
    }
    return ExpectationSuiteValidationResult(
        success=met == len(results), results=results, suite_name=table.name, statistics=statistics, meta=meta
    )
