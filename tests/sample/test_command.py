import json
from collections import Counter

import pytest
from typer.testing import CliRunner

from recpipe.cli import app
from recpipe.errors import UserError
from recpipe.sample.mix import shares_of


@pytest.fixture
def sample(tmp_path, monkeypatch):
    """Runs `recpipe sample` for a small shop."""
    monkeypatch.setenv("RECPIPE_HOME", str(tmp_path))

    def run(*arguments):
        return CliRunner().invoke(app, ["sample", "--users", "100", "--items", "100", *arguments])

    return run


def test_json_gives_the_counts_by_day_and_file(sample, tmp_path):
    done = sample("--json", "--fault", "missing_user=0.01", "--fault", "html_title=0.01")
    assert done.exit_code == 0, done.output
    said = json.loads(done.stdout)
    assert said["faults"].keys() == {"missing_user", "html_title"}
    assert said["reasons"] == {"missing_user": said["faults"]["missing_user"]}
    assert sum((Counter(file["reasons"]) for file in said["files"]), Counter()) == said["reasons"]
    for file in said["files"]:
        assert (tmp_path / "landing" / file["kind"] / f"arrived_on={file['arrived_on']}" / file["file"]).is_file()


def test_faults_all_and_one_more_often(sample):
    said = json.loads(sample("--json", "--faults", "all", "--fault", "bad_user=0.02").stdout)
    assert said["faults"]["bad_user"] >= 5
    assert said["faults"]["not_json"] == 2  # one in reviews, one in items
    assert {"late", "repeated_file", "cut_off", "nul"} - said["faults"].keys() <= {"late"}


def test_it_says_how_events_are_read_and_which_file_is_broken(sample):
    done = sample("--events", "csv", "--broken-file", "html_page", "--faults", "none")
    assert "among them no faults" in done.stdout
    assert "page.json, which no run can take in" in done.stdout.replace("\n", "")
    assert '[sources.sample-events]\nkind = "events"\nfile = "csv"\n' in done.stdout


@pytest.mark.parametrize(
    ("faults", "whole", "message"),
    [
        (["missing_user"], None, "expected --fault KIND=SHARE such as missing_user=0.001, found 'missing_user'"),
        (["missing_user=few"], None, "found 'missing_user=few'"),
        ([], "some", "expected --faults all or --faults none, found 'some'"),
        (["nul=0.1"], "none", "expected no --fault beside --faults none, found nul=0.1"),
    ],
)
def test_a_choice_that_is_none_is_refused(faults, whole, message):
    with pytest.raises(UserError, match=message):
        shares_of(faults, whole)


def test_nothing_chosen_is_the_usual_mix():
    assert shares_of([], None) is None
    assert shares_of([], "none") == {}
    assert shares_of(["nul=0.1"], "all") == {"nul": 0.1}
