"""No table that the command line shows cuts a value."""

import sys

from rich.cells import cell_len

from recpipe import printing
from recpipe.printing import print_models, print_rows

NAME = "two_tower_of_2024_03_08_" + "0123456789" * 12


def shown_in_a_terminal(capsys, monkeypatch, width, columns, row):
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    print_rows("", columns, [row])
    return capsys.readouterr().out


def cells(shown, column):
    """What stands in a column, its lines joined."""
    return "".join(line.split("│")[column + 1].strip() for line in shown.splitlines() if line.startswith("│"))


def test_a_file_or_a_pipe_gets_every_value_on_one_line(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    print_rows("", [f"column {n}" for n in range(30)], [[NAME] * 30])
    [line] = [line for line in capsys.readouterr().out.splitlines() if line.startswith("│")]
    assert line.count(NAME) == 30


def test_a_pipe_gets_the_table_of_a_terminal_that_is_wide_enough(capsys, monkeypatch):
    columns, rows = ["what", "名"], [["a", "水水水"], [None, "[red]\nb"], ["e\u0301", 1.5]]
    print_rows("Its [title]", columns, rows)
    piped = capsys.readouterr().out
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    print_rows("Its [title]", columns, rows)
    assert [line.rstrip() for line in capsys.readouterr().out.splitlines()] == piped.splitlines()
    print_rows("", ["none"], [])


def test_many_rows_into_a_pipe_take_no_layout(capsys, monkeypatch):
    monkeypatch.setattr(printing, "Grid", None)
    print_rows("", ["n"], [[n] for n in range(20_000)])
    assert len(capsys.readouterr().out.splitlines()) == 20_004


def test_a_terminal_shows_a_long_value_on_several_lines(capsys, monkeypatch):
    shown = shown_in_a_terminal(capsys, monkeypatch, 60, ["model", "users"], [NAME, 928])
    assert cell_len(shown.splitlines()[0]) == 60
    assert (cells(shown, 0), cells(shown, 1)) == (NAME, "928")


def test_a_table_of_more_columns_than_fit_is_wider_than_the_terminal(capsys, monkeypatch):
    shown = shown_in_a_terminal(capsys, monkeypatch, 40, [f"column {n}" for n in range(30)], [NAME] * 30)
    assert [cells(shown, column) for column in range(30)] == [NAME] * 30


def test_a_model_s_name_can_be_copied_out_of_a_pipe(capsys):
    model = {"effective_from": "2024-03-09", "anchor": "2024-03-08", "verdict": "promoted", "sequence": 0, "users": 928}
    figures = {"candidate": 0.3109, "baseline": 0.2308, "best_baseline": "item_knn", "in_use": ["served", "newest"]}
    print_models([model | figures | {"model_version": NAME}])
    assert f" {NAME} " in capsys.readouterr().out
