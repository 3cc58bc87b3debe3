"""What the audit expects of a table, built from its contract in the words of Great Expectations."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import Any

import great_expectations.expectations as gxe
from great_expectations.expectations.expectation import Expectation
from great_expectations.expectations.metadata_types import FailureSeverity
from pyspark.sql import Column as Expression
from pyspark.sql import functions as F

from recpipe.arrival_figures import age_name, share_names
from recpipe.settings import AuditSettings
from recpipe.tables import Table

KEY = "key"
"""Column that stands for the whole key."""

_FINITE = (-sys.float_info.max, sys.float_info.max)
_SEVERITIES = {"warn": FailureSeverity.WARNING, "stop": FailureSeverity.CRITICAL}


def expectations_of(table: Table, rows: int, first: date, last: date) -> Iterator[Expectation]:
    """What the contract says; each of it stops the run.

    The row count comes first, since without rows all else holds; the uniqueness of the key comes last.
    """
    yield gxe.ExpectTableRowCountToEqual(value=rows)
    if not table.may_be_empty:
        yield gxe.ExpectTableRowCountToBeBetween(min_value=1)
    for column in table.columns:
        if not column.nullable:
            yield gxe.ExpectColumnValuesToNotBeNull(column=column.name)
    yield gxe.ExpectColumnValuesToBeBetween(column=table.day_column, min_value=first, max_value=last)
    for name, (low, high) in _ranges(table).items():
        # Spark orders NaN above every number, so the upper bound refuses it. A null in a nullable column passes.
        for checked in _bounds(table, name):
            yield gxe.ExpectColumnValuesToBeBetween(column=checked, min_value=low, max_value=high)
    for name, _ in _null_elements(table):
        yield gxe.ExpectColumnValuesToBeBetween(column=name, min_value=0, max_value=0)
    for name, allowed in table.values.items():
        yield gxe.ExpectColumnValuesToBeInSet(column=name, value_set=list(allowed))
    # `...ToBeUnique` takes three times as long: it sorts all rows in a window to say which of them are not.
    yield gxe.ExpectColumnUniqueValueCountToBeBetween(column=KEY, min_value=rows, max_value=rows)


def telling(table: Table, failed: Expectation) -> Expectation:
    """What to expect instead of ``failed`` so that the result names the rows."""
    if not isinstance(failed, gxe.ExpectColumnUniqueValueCountToBeBetween):
        return failed
    if len(table.key) == 1:
        return gxe.ExpectColumnValuesToBeUnique(column=table.key[0])
    return gxe.ExpectCompoundColumnsToBeUnique(column_list=list(table.key))


def stand_ins(table: Table) -> Iterator[tuple[str, Expression]]:
    """Columns to add: for the key, and for elements of arrays, as Great Expectations looks at whole values only."""
    yield KEY, F.struct(*table.key)
    yield from _null_elements(table)
    for name in _ranges(table):
        if _is_array(table, name):
            least, greatest = _bounds(table, name)
            yield from ((least, F.array_min(name)), (greatest, F.array_max(name)))


def _ranges(table: Table) -> Mapping[str, tuple[float, float]]:
    """The contract's, and for other numbers with a fraction that they are finite."""
    fractions = ("double", "float", "array<double>", "array<float>")
    return {column.name: _FINITE for column in table.columns if column.type in fractions} | dict(table.ranges)


def _is_array(table: Table, name: str) -> bool:
    return table.column(name).type.startswith("array<")


def _bounds(table: Table, name: str) -> list[str]:
    return [f"least of {name}", f"greatest of {name}"] if _is_array(table, name) else [name]


def _null_elements(table: Table) -> Iterator[tuple[str, Expression]]:
    for column in table.columns:
        if _is_array(table, column.name):
            yield f"nulls in {column.name}", F.size(F.filter(column.name, F.isnull))


def is_filled(table: Table, name: str) -> Expression:
    if _is_array(table, name):
        return F.size(name) > 0
    return F.col(name) != "" if table.column(name).type == "string" else F.col(name).isNotNull()


def arrival_expectations(
    table: Table, figures: Sequence[Mapping[str, Any]], settings: AuditSettings
) -> Iterator[Expectation]:
    """What is expected of arrivals as a whole, of a frame of ``figures`` with a row for each.

    They warn or stop, as the settings say. An arrival without one before it has no fill rate to keep.
    """
    if table.happened_at and figures:
        yield gxe.ExpectColumnValuesToBeBetween(
            column=age_name(table),
            min_value=0,
            max_value=settings.max_age_days,
            severity=_SEVERITIES[settings.freshness],
            meta={"says": f"the newest {table.happened_at} is more than {settings.max_age_days} days old"},
        )
    for name in table.filled:
        share, least = share_names(name)
        if any(row[least] is not None for row in figures):
            yield gxe.ExpectColumnPairValuesAToBeGreaterThanB(
                column_A=share,
                column_B=least,
                or_equal=True,
                ignore_row_if="either_value_is_missing",
                severity=_SEVERITIES[settings.fill_rates],
                meta={"says": f"{name} is filled less often than in the arrivals before"},
            )
