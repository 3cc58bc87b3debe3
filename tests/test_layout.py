"""The layout that DESIGN asks for: who may import what, and that the parts never meet in one module."""

import ast
import sys
from pathlib import Path

import pytest

from recpipe.environments import JOBS
from recpipe.settings import CHECKOUT
from recpipe.tables import OF_USERS, TABLES

ENGINES = {"airflow", "pyspark", "torch", "petastorm", "mlflow", "great_expectations", "faiss", "PIL"}
MODULES = sorted(
    path.relative_to(CHECKOUT) for top in ("recpipe", "jobs", "dags") for path in (CHECKOUT / top).rglob("*.py")
)


def imports(module: Path) -> set[str]:
    """Every module that ``module`` names in an import, wherever the import stands in it."""
    found = set()
    for node in ast.walk(ast.parse((CHECKOUT / module).read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {node.module or ""} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def tops(module: Path) -> set[str]:
    return {name.split(".")[0] for name in imports(module)}


def reached(module: Path) -> set[str]:
    """Engines that importing ``module`` brings in, through other modules of recpipe too."""
    todo, seen, engines = [module], set(), set()
    while todo:
        current = todo.pop()
        if current in seen:
            continue
        seen.add(current)
        engines |= tops(current) & ENGINES
        for name in imports(current):
            path = Path(*name.split("."))
            todo += [found for found in (path.with_suffix(".py"), path / "__init__.py") if found in MODULES]
    return engines


def test_there_are_modules_to_look_at():
    assert len(MODULES) > 30
    assert {Path("jobs") / f"{job}.py" for job in JOBS} == {path for path in MODULES if path.parts[0] == "jobs"}


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_airflow_spark_and_torch_never_meet(module):
    assert len(reached(module) & {"airflow", "pyspark", "torch"}) <= 1


@pytest.mark.parametrize(
    ("engine", "home"),
    [
        ("airflow", {"recpipe/orchestration.py", *(str(path) for path in MODULES if path.parts[0] == "dags")}),
        ("petastorm", {"recpipe/model/batches.py"}),
        ("great_expectations", {f"recpipe/{name}.py" for name in ("expectations", "audit", "audit_results")}),
        ("mlflow", {"recpipe/model/registry.py"}),
        ("PIL", {"recpipe/sources/pictures.py"}),
        ("sentence_transformers", {"recpipe/model/sentences.py"}),
    ],
)
def test_an_engine_is_imported_in_one_place(engine, home):
    users = {str(path) for path in MODULES if engine in tops(path)}
    assert users
    assert users <= home


@pytest.mark.parametrize(
    ("folder", "allowed"),
    [
        ("dags", {"airflow", "recpipe"}),
        ("recpipe/transforms", {"pyspark", "pyarrow", "numpy", "faiss", "recpipe"}),
        ("recpipe/evaluation", {"numpy", "scipy", "implicit", "threadpoolctl", "matplotlib", "duckdb", "recpipe"}),
    ],
)
def test_a_folder_imports_only_what_it_may(folder, allowed):
    modules = [path for path in MODULES if str(path).startswith(f"{folder}/")]
    assert modules
    for module in modules:
        assert tops(module) <= allowed | sys.stdlib_module_names, module


def test_a_dag_takes_only_its_building_blocks_from_recpipe():
    for module in (path for path in MODULES if path.parts[0] == "dags"):
        ours = {name for name in imports(module) if name.startswith("recpipe.")}
        assert ours
        assert all(name.startswith(("recpipe.orchestration", "recpipe.settings")) for name in ours), module
        assert {name for name in imports(module) if name.startswith("airflow")} <= {
            name for name in imports(module) if name.startswith("airflow.sdk")
        }


@pytest.mark.parametrize("module", [path for path in MODULES if path.parts[0] == "jobs"], ids=str)
def test_a_job_needs_only_its_own_environment(module):
    engine = {
        "spark": {"pyspark", "great_expectations", "faiss", "PIL"},
        "train": {"torch", "petastorm", "mlflow", "PIL"},
        "reader": set(),
    }
    assert reached(module) <= engine[JOBS[module.stem]]


def test_the_command_line_needs_no_engine():
    assert reached(Path("recpipe/cli.py")) == set()


def test_great_expectations_is_imported_only_when_an_audit_starts():
    users = [path for path in MODULES if "recpipe.audit" in imports(path)]
    assert users == [Path("recpipe/lake.py")]
    at_the_top = ast.parse((CHECKOUT / users[0]).read_text()).body
    assert not any(isinstance(node, ast.ImportFrom) and node.module == "recpipe.audit" for node in at_the_top)


def test_rows_of_users_are_read_only_where_erased_ones_are_left_out():
    """`Lake.known`, `Lake.of_day` and `delta.connect` do; what reads past them may read tables of no user alone."""
    past_them = {"read", "open_table", "snapshot_files", "table_uri", "connect_with_erased"}
    of_users, others = {table.name.upper() for table in OF_USERS}, set()
    for module in sorted({*MODULES} - {Path("recpipe") / name for name in ("delta.py", "lake.py", "forget.py")}):
        for call in ast.walk(ast.parse((CHECKOUT / module).read_text())):
            if isinstance(call, ast.Call) and getattr(call.func, "attr", getattr(call.func, "id", "")) in past_them:
                named = {part.id for argument in call.args for part in ast.walk(argument) if isinstance(part, ast.Name)}
                assert not named & {*of_users, "table", "tables", "OF_USERS", "TABLES"}, f"{module}:{call.lineno}"
                others |= named
    assert {"ITEM_INDEX", "TRAINING_EXAMPLES"} <= others
    assert of_users < {table.name.upper() for table in TABLES}
