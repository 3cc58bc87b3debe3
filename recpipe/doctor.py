"""What is missing on this machine, and the command that mends it."""

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from recpipe import delta, forget
from recpipe.arriving import late_files, sealed_files
from recpipe.environments import ENVIRONMENTS, environment_folder, environment_python
from recpipe.errors import UserError
from recpipe.intake import LATE_FILES_MEND, not_read
from recpipe.java import VERSIONS, find_java
from recpipe.settings import CHECKOUT, Settings
from recpipe.sources.files import sha256_of
from recpipe.spark_conf import jar_folder

FREE_DISK_GB = 2
_KEY_PACKAGES = {
    "reader": ("deltalake", "duckdb"),
    "spark": ("pyspark", "delta_spark", "great_expectations", "faiss_cpu"),
    "train": ("petastorm", "pyarrow", "torch", "mlflow"),
    "airflow": ("apache_airflow", "apache_airflow_providers_apache_spark"),
}


@dataclass(frozen=True)
class Check:
    """One thing that must be there: what was found, and what to do where it is not good."""

    name: str
    good: bool
    found: str
    mend: str = ""


def examine(settings: Settings) -> list[Check]:
    return [
        _java(),
        *(_environment(name) for name in ENVIRONMENTS),
        _jars(CHECKOUT / "docker" / "locks" / "jars.sha256", jar_folder()),
        _disk(settings.home),
        *_lake(settings),
    ]


def _java() -> Check:
    title = f"Java {' or '.join(VERSIONS)}"
    try:
        java = find_java()
    except UserError as error:
        return _missing(title, error)
    return Check(title, True, f"{java.version} at {java.program}")


def _missing(title: str, error: UserError) -> Check:
    """The error's own words, which are: expected …, found …; what to do."""
    found, _, mend = str(error).partition(", found ")[2].partition("; ")
    return Check(title, False, found, mend)


def _environment(name: str) -> Check:
    title = f"environment {name}"
    try:
        environment_python(name)
    except UserError as error:
        return _missing(title, error)
    site = next(environment_folder(name).glob("lib/python3.*/site-packages"))
    versions = {package: _version(site, package) for package in _KEY_PACKAGES[name]}
    missing = [package for package, version in versions.items() if not version]
    if missing:
        return Check(title, False, f"without {', '.join(missing)}", "make clean setup")
    return Check(title, True, ", ".join(f"{package} {version}" for package, version in versions.items()))


def _version(site: Path, package: str) -> str | None:
    folder = next(site.glob(f"{package}-*.dist-info"), None)
    return folder.name.removesuffix(".dist-info").split("-", 1)[1] if folder else None


def _jars(sums: Path, folder: Path) -> Check:
    title = "Delta's JARs"
    if not sums.exists():
        return Check(title, False, f"no {sums}", "run recpipe from a checkout")
    bad = list(_bad_jars(sums, folder))
    if bad:
        return Check(title, False, f"missing or changed: {', '.join(bad)}", "make clean setup")
    return Check(title, True, str(folder))


def _bad_jars(sums: Path, folder: Path) -> Iterator[str]:
    for line in sums.read_text().splitlines():
        expected, name = line.split()
        jar = folder / name
        if not jar.exists() or sha256_of(jar) != expected:
            yield name


def _disk(home: Path) -> Check:
    existing = next(folder for folder in (home, *home.parents) if folder.exists())
    free = shutil.disk_usage(existing).free / 1e9
    good = free >= FREE_DISK_GB and os.access(existing, os.W_OK)
    mend = f"free {FREE_DISK_GB} GB there and be able to write, or set RECPIPE_HOME to another place"
    return Check("place to write", good, f"{existing}, {free:.0f} GB free", "" if good else mend)


def _lake(settings: Settings) -> Iterator[Check]:
    root = settings.lake
    try:
        delta.require_lake(root)
    except UserError as error:
        yield _missing("tables", error)
        return
    yield Check("tables", True, str(root))
    try:
        late = not_read(late_files(settings.landing, sealed_files(root)))
    except UserError as error:
        yield _missing("landing folder", error)
    else:
        yield Check("landing folder", not late, "".join(late) or str(settings.landing), LATE_FILES_MEND if late else "")
    if erased := delta.erased_users(root):
        left = forget.rows_of(root, erased)
        found = ", ".join(f"{rows:,} rows in {table}" for table, rows in left.items()) or "no rows in any table"
        yield Check(f"{len(erased):,} erased users", not left, found, "recpipe forget USER, for those in erased_users")
