from datetime import date

import pytest

from recpipe.errors import UserError
from recpipe.settings import ImageSettings, Settings, read_settings


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("RECPIPE_HOME", str(tmp_path))
    return tmp_path


def test_the_environment_wins_over_the_file_and_the_file_over_the_default(home, monkeypatch):
    (home / "settings.toml").write_text("k = 5\nhistory_length = 20\n[model]\nepochs = 3\n")
    monkeypatch.setenv("RECPIPE_K", "7")
    settings = read_settings()
    assert (settings.k, settings.history_length, settings.model.epochs, settings.seed) == (7, 20, 3, 7)


def test_home_is_the_folder_that_the_environment_names(home):
    settings = read_settings()
    assert settings.lake == home / "lake"
    assert settings.landing == home / "landing"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("RECPIPE_K", "0"),
        ("RECPIPE_K", "ten"),
        ("RECPIPE_MODEL__DROPOUT", "1.5"),
        ("RECPIPE_SPARK__MASTER", "local[2]; rm -rf /"),
        ("RECPIPE_SCHEDULE_UNTIL", "yesterday"),
        ("RECPIPE_MODEL__HEADS", "3"),  # of 64 numbers
    ],
)
def test_a_wrong_value_is_refused_by_its_name(monkeypatch, name, value):
    monkeypatch.setenv(name, value)
    with pytest.raises(UserError, match=name.removesuffix("__HEADS")) as refusal:
        read_settings()
    assert "\n" not in str(refusal.value)


def test_an_unknown_setting_in_the_file_is_refused(home):
    (home / "settings.toml").write_text("histroy_length = 20\n")
    with pytest.raises(UserError, match="HISTROY_LENGTH"):
        read_settings()


def test_a_file_that_is_not_toml_is_refused(home):
    (home / "settings.toml").write_text("k: 5")
    with pytest.raises(UserError, match="expected TOML"):
        read_settings()


def test_the_hash_changes_with_what_decides_rows_and_not_with_where_it_runs(tmp_path):
    plain = Settings(home=tmp_path)
    assert plain.result_hash() == Settings(home=tmp_path / "other", schedule_until=date(2024, 1, 1)).result_hash()
    assert plain.result_hash() == Settings(home=tmp_path, images=ImageSettings(most_fetched=1)).result_hash()
    assert plain.result_hash() != Settings(home=tmp_path, k=11).result_hash()
    assert plain.result_hash() != Settings(home=tmp_path, images=ImageSettings(max_pixels=1)).result_hash()
