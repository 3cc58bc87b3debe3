"""Contracts in the words of Delta Lake and DuckDB, and how a table that exists differs from its contract."""

from deltalake import DeltaTable
from deltalake.schema import ArrayType, Field, PrimitiveType, Schema

from recpipe.tables import Table

_DELTA_TYPES = {"string": "string", "int": "integer", "bigint": "long", "double": "double", "float": "float"}
_DELTA_TYPES |= {"boolean": "boolean", "date": "date", "timestamp": "timestamp"}
_DUCKDB_TYPES = {"string": "varchar", "int": "integer", "bigint": "bigint", "double": "double", "float": "float"}
_DUCKDB_TYPES |= {"boolean": "boolean", "date": "date", "timestamp": "timestamptz"}


def _element(type_: str) -> str | None:
    return type_[len("array<") : -1] if type_.startswith("array<") else None


def _delta_type(type_: str) -> PrimitiveType | ArrayType:
    element = _element(type_)
    if element:
        return ArrayType(_DELTA_TYPES[element], contains_null=False)
    return PrimitiveType(_DELTA_TYPES[type_])


def duckdb_type(type_: str) -> str:
    element = _element(type_)
    return f"{_DUCKDB_TYPES[element]}[]" if element else _DUCKDB_TYPES[type_]


def delta_schema(table: Table) -> Schema:
    return Schema(
        [
            Field(column.name, _delta_type(column.type), nullable=column.nullable, metadata={"comment": column.comment})
            for column in table.columns
        ]
    )


def constraints(table: Table) -> dict[str, str]:
    """CHECK constraints by name.

    NaN is greater than every number in Delta's order, so an upper bound refuses it. A check that gives null fails, so a
    nullable column says that null is well.
    """
    checks = {}
    for column in table.columns:
        may_be_null = f"{column.name} IS NULL OR " if column.nullable else ""
        if column.name in table.ranges and not _element(column.type):
            low, high = table.ranges[column.name]
            in_range = f"({column.name} >= {low!r} AND {column.name} <= {high!r})"
            checks[f"{column.name}_in_range"] = f"{may_be_null}{in_range}"
        if column.name in table.values:
            allowed = " OR ".join(f"{column.name} = '{value}'" for value in table.values[column.name])
            checks[f"{column.name}_allowed"] = f"{may_be_null}{allowed}"
    return checks


def differences(table: Table, made: DeltaTable) -> list[str]:
    """What tells ``made`` from a table that this contract would create, as words; comments do not count."""
    expected = {field.name: (field.type, field.nullable) for field in delta_schema(table).fields}
    found = {field.name: (field.type, field.nullable) for field in made.schema().fields}
    said = [f"no {name}" for name in expected.keys() - found.keys()]
    said += [f"an unknown {name}" for name in found.keys() - expected.keys()]
    said += [f"another {name}" for name in expected.keys() & found.keys() if expected[name] != found[name]]
    said += ["other partitions"] if made.metadata().partition_columns != list(table.partition) else []
    return sorted(said)


def missing_constraints(table: Table, made: DeltaTable) -> dict[str, str]:
    known = made.metadata().configuration
    return {name: check for name, check in constraints(table).items() if f"delta.constraints.{name}" not in known}
