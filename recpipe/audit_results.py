"""What Great Expectations answers: asking it, naming what failed, and keeping counts alone."""

from collections.abc import Mapping
from typing import Any

import great_expectations as gx
import pandas as pd
from great_expectations.core.batch_definition import BatchDefinition
from great_expectations.core.expectation_validation_result import ExpectationValidationResult
from great_expectations.data_context.types.base import (
    DataContextConfig,
    InMemoryStoreBackendDefaults,
    ProgressBarsConfig,
)
from great_expectations.expectations.expectation import Expectation
from great_expectations.expectations.expectation_configuration import ExpectationConfiguration
from pyspark.sql import DataFrame

_COUNTS = ("element_count", "unexpected_count", "unexpected_percent", "missing_count", "missing_percent")
_COUNTS += ("observed_value",)
NAMED_AT_MOST = 3
Results = dict[str, ExpectationValidationResult]


def _batches(engine: str) -> BatchDefinition:
    """In memory alone, and new for each use (20 ms): audits side by side share no file, and not each other's frames."""
    # The library's own default also makes a folder for pages in /tmp, and leaves it there.
    config = DataContextConfig(store_backend_defaults=InMemoryStoreBackendDefaults())
    context = gx.get_context(mode="ephemeral", project_config=config)
    context.enable_analytics(enable=False)
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    source = (
        context.data_sources.add_spark("lake", persist=False)
        if engine == "spark"
        else context.data_sources.add_pandas("lake")
    )
    return source.add_dataframe_asset("staged").add_batch_definition_whole_dataframe("all")


def validate(
    frame: DataFrame | pd.DataFrame, expectations: list[Expectation], detail: str | Mapping[str, Any]
) -> Results:
    """The results by name of the expectation, in as much ``detail`` as the library's `result_format` says."""
    suite = gx.ExpectationSuite(name="contract", expectations=expectations)
    batch = _batches("pandas" if isinstance(frame, pd.DataFrame) else "spark").get_batch({"dataframe": frame})
    validated = batch.validate(suite, result_format=detail)
    return {name_of(result.expectation_config): result for result in validated.results}


def name_of(expectation: Expectation | ExpectationConfiguration) -> str:
    """Its type and what it expects, which no two of a suite share."""
    config = expectation.configuration if isinstance(expectation, Expectation) else expectation
    wanted = ", ".join(f"{name}={value}" for name, value in config.kwargs.items() if name != "batch_id")
    return f"{config.type}({wanted})"


def is_met(results: Results, expectation: Expectation) -> bool:
    result = results.get(name_of(expectation))
    return result is not None and bool(result.success) and not exception_in(result)


def exception_in(result: ExpectationValidationResult) -> str | None:
    """What kept an expectation from being evaluated. It comes flat, or by metric."""
    info: dict[str, Any] = result.exception_info or {}
    for one in [info, *(value for value in info.values() if isinstance(value, dict))]:
        if one.get("raised_exception"):
            return str(one.get("exception_message")).partition("\n")[0]
    return None


def said_of(result: ExpectationValidationResult) -> str:
    return f"{name_of(result.expectation_config)}: found {_found(result)}"


def _found(result: ExpectationValidationResult) -> str:
    if exception := exception_in(result):
        return f"an error: {exception}"
    if "unexpected_count" in result.result:
        few = ", ".join(map(str, result.result.get("partial_unexpected_list", [])[:NAMED_AT_MOST]))
        such = f", such as {few}" if few else ""
        return f"{result.result['unexpected_count']} other rows of {result.result['element_count']}{such}"
    return str(result.result.get("observed_value"))


def counted(met: ExpectationValidationResult, rows: int) -> ExpectationValidationResult:
    """A result that came as a plain yes, with the counts that follow from it, since asking costs a pass each."""
    if met.expectation_config.type.startswith(("expect_table_", "expect_column_unique_value_count")):
        met.result = {"observed_value": rows}
    else:
        met.result = {"element_count": rows, "unexpected_count": 0, "unexpected_percent": 0.0}
    return without_values(met)


def without_values(result: ExpectationValidationResult) -> ExpectationValidationResult:
    """Counts alone: what stands in the rows stays in the lake."""
    result.result = {name: result.result[name] for name in _COUNTS if name in result.result}
    result.expectation_config.kwargs.pop("batch_id", None)
    if exception := exception_in(result):
        told = {"exception_message": exception[:200], "exception_traceback": ""}
        result.exception_info = {"raised_exception": True, **told}
    return result
