"""Where in a lake a user is still named, in whatever file."""

from pathlib import Path

import duckdb


def naming(root: Path, user: str) -> set[str]:
    """Tables with a file that has the user in it: in the values of Parquet, or in the text of anything else."""
    found = set()
    for path in (path for path in root.rglob("*") if path.is_file()):
        text = path.read_bytes().decode(errors="replace")
        if path.suffix == ".parquet":
            text += str(duckdb.sql(f"from read_parquet({str(path)!r})").fetchall())
        escaped = user.replace("\\", "\\\\")
        if any(name in text for name in (user, escaped, escaped.replace("\\", "\\\\"))):
            found.add(path.relative_to(root).parts[0])
    return found
