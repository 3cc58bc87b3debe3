"""The audit of a staged frame by Great Expectations, built from the table's contract. The only import of it."""

from collections.abc import Iterator
from datetime import date
from functools import cache
from typing import Any

import great_expectations as gx
import great_expectations.expectations as gxe
from great_expectations.core.batch_definition import BatchDefinition
from great_expectations.core.expectation_validation_result import (
    ExpectationSuiteValidationResult,
    ExpectationValidationResult,
)
from great_expectations.data_context.types.base import ProgressBarsConfig
from great_expectations.expectations.expectation import Expectation
from pyspark.sql import Column as Expression
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from recpipe.errors import UserError
from recpipe.tables import Table


def audit(table: Table, staged: DataFrame, rows: int, first: date, last: date) -> int:
    """Check a staged frame of ``rows`` rows for the days ``first`` to ``last``; gives the number of expectations met.

    Raises:
        UserError: an expectation was not met, or was not evaluated; names the table, the days, and for each
            expectation what was expected and found.
    """
    expectations = list(expectations_of(table, rows, first, last))
    checked = staged.withColumns(dict(_of_elements(table)))
    quick = _validate(checked, expectations, "BOOLEAN_ONLY")
    if quick.success and _all_evaluated(quick, expectations):
        return len(expectations)
    # Only now the values that fail are collected: each costs a pass over the frame.
    results = _validate(checked, expectations, "BASIC").results
    faults = [_fault(result) for result in results if not result.success or _exception(result)]
    faults = faults or [f"expected {len(expectations)} results, found {len(quick.results)}"]
    days = first.isoformat() if first == last else f"{first} to {last}"
    raise UserError(f"table {table.name}, {days}: the audit failed, nothing was written: {'; '.join(faults)}")


def expectations_of(table: Table, rows: int, first: date, last: date) -> Iterator[Expectation]:
    """The row count comes first: on a frame without rows, everything else holds."""
    yield gxe.ExpectTableRowCountToEqual(value=rows)
    if not table.may_be_empty:
        yield gxe.ExpectTableRowCountToBeBetween(min_value=1)
    for column in table.columns:
        if not column.nullable:
            yield gxe.ExpectColumnValuesToNotBeNull(column=column.name)
    yield gxe.ExpectColumnValuesToBeBetween(column=table.day_column, min_value=first, max_value=last)
    for name, (low, high) in table.ranges.items():
        # Spark orders NaN above every number, so the upper bound refuses it.
        for checked in _bounds(table, name):
            yield gxe.ExpectColumnValuesToBeBetween(column=checked, min_value=low, max_value=high)
    for name, _ in _null_elements(table):
        yield gxe.ExpectColumnValuesToBeBetween(column=name, min_value=0, max_value=0)
    for name, allowed in table.values.items():
        yield gxe.ExpectColumnValuesToBeInSet(column=name, value_set=list(allowed))
    if len(table.key) == 1:
        yield gxe.ExpectColumnValuesToBeUnique(column=table.key[0])
    else:
        yield gxe.ExpectCompoundColumnsToBeUnique(column_list=list(table.key))


def _is_array(table: Table, name: str) -> bool:
    return table.column(name).type.startswith("array<")


def _bounds(table: Table, name: str) -> list[str]:
    return [f"least of {name}", f"greatest of {name}"] if _is_array(table, name) else [name]


def _null_elements(table: Table) -> Iterator[tuple[str, Expression]]:
    for column in table.columns:
        if _is_array(table, column.name):
            yield f"nulls in {column.name}", F.size(F.filter(column.name, F.isnull))


def _of_elements(table: Table) -> Iterator[tuple[str, Expression]]:
    """Columns that stand for the elements of array columns; Great Expectations looks at whole values only."""
    yield from _null_elements(table)
    for name in table.ranges:
        if _is_array(table, name):
            least, greatest = _bounds(table, name)
            yield from ((least, F.array_min(name)), (greatest, F.array_max(name)))


@cache
def _batches() -> BatchDefinition:
    context = gx.get_context(mode="ephemeral")
    context.enable_analytics(enable=False)
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    return (
        context.data_sources.add_spark("lake").add_dataframe_asset("staged").add_batch_definition_whole_dataframe("all")
    )


def _validate(frame: DataFrame, expectations: list[Expectation], detail: str) -> ExpectationSuiteValidationResult:
    suite = gx.ExpectationSuite(name="contract", expectations=expectations)
    return _batches().get_batch(batch_parameters={"dataframe": frame}).validate(suite, result_format=detail)


def _all_evaluated(validated: ExpectationSuiteValidationResult, expectations: list[Expectation]) -> bool:
    return len(validated.results) == len(expectations) > 0 and not any(map(_exception, validated.results))


def _exception(result: ExpectationValidationResult) -> str | None:
    """What kept an expectation from being evaluated. It comes flat, or by metric."""
    info: dict[str, Any] = result.exception_info or {}
    for one in [info, *(value for value in info.values() if isinstance(value, dict))]:
        if one.get("raised_exception"):
            return str(one.get("exception_message")).partition("\n")[0]
    return None


def _fault(result: ExpectationValidationResult) -> str:
    config = result.expectation_config
    wanted = ", ".join(f"{name}={value}" for name, value in config.kwargs.items() if name != "batch_id")
    return f"{config.type}({wanted}): found {_found(result)}"


def _found(result: ExpectationValidationResult) -> str:
    if exception := _exception(result):
        return f"an error: {exception}"
    if "unexpected_count" in result.result:
        few = ", ".join(map(str, result.result.get("partial_unexpected_list", [])[:3]))
        such = f", such as {few}" if few else ""
        return f"{result.result['unexpected_count']} other rows of {result.result['element_count']}{such}"
    return str(result.result.get("observed_value"))
