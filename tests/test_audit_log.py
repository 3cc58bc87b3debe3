import json
import os
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from recpipe import delta
from recpipe.audit_log import keep, kept_audits, write_audits
from recpipe.errors import UserError
from recpipe.job import JobResult, run_job
from tests.lakes import empty_lake

AT = datetime(2024, 2, 1, 3, tzinfo=UTC)


@dataclass
class Audited:
    table: str = "reviews"
    days: str = "2024-01-31"
    faults: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    expected: int = 12
    met: int = 11

    def as_json(self):
        return json.dumps({"met": self.met})

    def as_html(self, run):
        return f"page of {run}"


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("RECPIPE_HOME", str(tmp_path))
    empty_lake(tmp_path / "lake")
    return tmp_path


def folders(home):
    return sorted((home / "reports" / "audit").glob("*/*"))


def run(*audits, fails=False):
    def main(ds, settings):
        for audited in audits:
            keep(audited)
        if fails:
            raise UserError("expected x, found y; do z")
        return JobResult("done")

    run_job("ingest_reviews", main, ["--ds", "2024-01-31", "--run-id", "manual__2024-01-31T00:00:00+00:00"])


def test_a_warning_is_said_in_the_result_and_kept_in_the_runs_folder(home, capsys):
    run(Audited(warnings=("old <b>", "empty")), Audited(table="items"))
    said = "done; warning, table reviews: old <b>; empty"
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["message"] == said
    assert delta.connect(home / "lake").sql("select message from runs").fetchall() == [(said,)]
    [folder] = folders(home)
    assert folder.parent.name == "2024-01-31"
    assert folder.name.startswith("ingest_reviews-manual__2024-01-31T00_00_00_00_00-")
    index = (folder / "index.html").read_text()
    assert "://" not in index  # it needs nothing from the network
    for name in ("01-reviews", "02-items"):
        assert f'<a href="{name}.html">' in index
        assert (folder / f"{name}.html").read_text().startswith("page of ingest_reviews")
        assert json.loads((folder / f"{name}.json").read_text()) == {"met": 11}
    assert "old &lt;b&gt;; empty" in index


def test_g09_two_runs_with_one_name_write_two_folders(home):
    run(Audited())
    run(Audited())
    assert len(folders(home)) == 2


def test_a_run_without_audits_writes_none(home, capsys):
    run()
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["message"] == "done"
    assert folders(home) == []


def test_a_run_that_fails_keeps_its_audits_and_its_own_error(home, capsys):
    with pytest.raises(SystemExit):
        run(Audited(faults=("a rating of 9",)), fails=True)
    assert capsys.readouterr().err == "recpipe ingest_reviews: expected x, found y; do z\n"
    [folder] = folders(home)
    assert "failed" in (folder / "index.html").read_text()


def test_results_that_cannot_be_kept_are_said_and_fail_no_run(home, capsys):
    (home / "reports").write_text("in the way")
    run(Audited())
    assert "done; the results of the audit could not be kept: " in capsys.readouterr().out


def test_the_oldest_runs_beyond_the_limit_are_removed(tmp_path):
    for n in range(5):
        write_audits([Audited()], tmp_path / f"2024-01-0{n + 1}", "job-r", AT + timedelta(hours=n), kept_runs=3)
        [made] = (tmp_path / f"2024-01-0{n + 1}").iterdir()
        os.utime(made, (n, n))
    assert sorted(day.name for day in tmp_path.iterdir()) == ["2024-01-03", "2024-01-04", "2024-01-05"]


def test_audits_outside_of_a_run_are_nobodys():
    keep(Audited())
    with kept_audits() as audits:
        assert audits == []
