"""README promises commands, tables and settings: they exist, and none is left out."""

import re
import subprocess
from typing import get_args

import pytest
from typer.testing import CliRunner

from recpipe.cli import app
from recpipe.settings import CHECKOUT, Section, Settings
from recpipe.sources.known import FORMAT_NAMES
from recpipe.tables import TABLES

README = (CHECKOUT / "README.md").read_text()


def code() -> str:
    """What stands in code fences and between backticks."""
    fenced = re.findall(r"^```\w*\n(.*?)^```$", README, re.S | re.M)
    return "\n".join([*fenced, *re.findall(r"`([^`\n]+)`", README)])


def settings_of(model, prefix="RECPIPE_"):
    for name, field in model.model_fields.items():
        section, names = field.annotation, f"{prefix}{name.upper()}"
        if name == "sources":  # a section for each name that the shop gives
            section, names = get_args(section)[1], f"{names}__NAME"
        if isinstance(section, type) and issubclass(section, Section):
            yield from settings_of(section, f"{names}__")
        else:
            yield names, "" if field.default in (None, {}) else str(field.default), field.description


def test_make_targets_exist():
    targets = set(re.findall(r"\bmake ([a-z-]+)", code()))
    assert {"setup", "demo", "up", "down", "backfill", "test"} <= targets
    listed = subprocess.run(["make", "help"], cwd=CHECKOUT, capture_output=True, text=True, check=True).stdout
    assert targets <= {line.split()[0] for line in listed.splitlines()}


def test_a_shop_of_one_s_own_has_a_place_of_its_own():
    section = README[README.index("## Your own data") :]
    assert re.search(r"^```\n(.*)", section, re.M)[1].startswith("export RECPIPE_HOME=")


def test_recpipe_commands_exist_with_the_options_that_are_named():
    lines = re.findall(r"(?:^|bin/)recpipe ([a-z]+(?:-[a-z]+)*)(.*)", code(), re.M)
    assert {"init", "land", "run", "show", "query", "status", "doctor"} <= {command for command, _ in lines}
    for command, rest in lines:
        shown = CliRunner().invoke(app, [command, "--help"], terminal_width=200)
        assert shown.exit_code == 0, command
        for option in re.findall(r"--[a-z-]+", rest):
            assert option in shown.output, f"recpipe {command} {option}"


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_a_table_is_listed_with_its_comment(table):
    assert f"| `{table.name}` | {table.comment} |" in README


@pytest.mark.parametrize("setting", list(settings_of(Settings)), ids=lambda setting: setting[0])
def test_a_setting_is_listed_with_its_default_and_meaning(setting):
    name, default, meaning = setting
    assert meaning
    assert f"| `{name}` | {default} | {' '.join(meaning.split())} |" in README


def test_the_table_of_formats_names_every_built_in_one_and_no_table():
    start = README.index("| `--format` | reads |")
    rows = README[start : README.index("\n\n", start)].splitlines()[2:]
    named = [name for row in rows for name in re.findall(r"`([a-z0-9-]+)`", row.split("|")[1])]
    assert sorted(named) == sorted([*FORMAT_NAMES, "images"])
