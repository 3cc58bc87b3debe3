"""The columns of every table as text, to be compared with `columns.txt`: readers elsewhere depend on them.

To accept an intended change, write the file anew: `.venvs/reader/bin/python -m tests.columns`.
"""

from pathlib import Path

from recpipe.tables import TABLES

FILE = Path(__file__).with_name("columns.txt")


def columns() -> str:
    return "".join(
        f"{table.name} {column.name} {column.type}{' nullable' if column.nullable else ''}\n"
        for table in TABLES
        for column in table.columns
    )


if __name__ == "__main__":
    FILE.write_text(columns())
