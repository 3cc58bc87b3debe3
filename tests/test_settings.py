import json
from datetime import date
from pathlib import Path

import pytest

from recpipe.errors import UserError
from recpipe.settings import DriftSettings, GateSettings, ImageSettings, ModelSettings, Settings, read_settings


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


@pytest.mark.parametrize("folder", ["a[b", "a%41", "a*", "day=1", "a\\b", "a#b", "a,b"])
def test_a_home_that_a_reader_or_writer_takes_for_more_than_a_path_is_refused(home, monkeypatch, folder):
    monkeypatch.setenv("RECPIPE_HOME", str(home / folder))
    with pytest.raises(UserError, match=r"expected a RECPIPE_HOME without .*; name another folder"):
        read_settings()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("RECPIPE_K", "0"),
        ("RECPIPE_K", "ten"),
        ("RECPIPE_MODEL__DROPOUT", "1.5"),
        ("RECPIPE_SPARK__MASTER", "local[2]; rm -rf /"),
        ("RECPIPE_SCHEDULE_UNTIL", "yesterday"),
    ],
)
def test_a_wrong_value_is_refused_by_its_name(monkeypatch, name, value):
    monkeypatch.setenv(name, value)
    with pytest.raises(UserError, match=name) as refusal:
        read_settings()
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("found", "message"),
    [
        ("blocks=0", "BLOCKS: any but 1 needs to be 1 or more with a user_tower other than mlp, found '0'"),
        ("heads=3", "HEADS: any but 1 needs an embedding_size that it divides, found '3'"),
        ("heads=2 user_tower=gru", "HEADS: any but 1 needs user_tower attention"),
        ('item_inputs=["id","id"]', "ITEM_INPUTS: expected each input once"),
        ("embedding_size=33 text_encoder=transformer", "TEXT_ENCODER: any but mean needs an even embedding_size"),
        ('text_encoder=cnn item_inputs=["id"]', "TEXT_ENCODER: any but mean needs text in item_inputs, found 'cnn'"),
        ('fusion=attention item_inputs=["id"]', "FUSION: any but sum needs two of item_inputs or more with attention"),
        ("image_size=64", "IMAGE_SIZE: any but 32 needs image in item_inputs, found '64'"),
        ('id_dropout=0 item_inputs=["id"]', "ID_DROPOUT: any but 0.3 needs id and another of item_inputs"),
        ('id_dropout=0 item_inputs=["text"]', "ID_DROPOUT: any but 0.3 needs id and another of item_inputs"),
        ('id_weight_decay=0 item_inputs=["text"]', "ID_WEIGHT_DECAY: any but 0.3 needs id in item_inputs"),
        ("edge_dropout=0 graph=false", "EDGE_DROPOUT: any but 0.5 needs graph"),
        ("sampler=uniform", "SAMPLER: any but mixed needs a loss over drawn negatives"),
        ("negatives=64", "NEGATIVES: any but 2048 needs a loss over drawn negatives"),
        ("negatives=1 loss=bce", "NEGATIVES: any but 2048 needs to be 2 or more with sampler mixed, found '1'"),
        ("logq=streaming loss=bpr", "LOGQ: any but counts needs loss sampled_softmax"),
        ("ranks=3 batch_size=2", "RANKS: any but 1 needs as large a batch_size or a larger one, found '3'"),
        ("hardest=5", "HARDEST: any but 0 needs a loss over drawn negatives"),
        ("hardest=5 negatives=4 loss=bpr", "HARDEST: any but 0 needs as many negatives or more, found '5'"),
        ("hardest=5 loss=sampled_softmax", "HARDEST: any but 0 needs logq none with loss sampled_softmax"),
    ],
)
def test_choices_of_the_model_that_clash_or_change_nothing_are_refused_by_name(monkeypatch, found, message):
    for setting in found.split():
        name, value = setting.split("=")
        monkeypatch.setenv(f"RECPIPE_MODEL__{name.upper()}", value)
    with pytest.raises(UserError, match=f"^setting RECPIPE_MODEL__{message}"):
        read_settings()


def test_a_default_is_taken_wherever_it_changes_nothing(monkeypatch):
    for name, value in {"SAMPLER": "mixed", "IMAGE_SIZE": "32", "EDGE_DROPOUT": "0.5", "GRAPH": "false"}.items():
        monkeypatch.setenv(f"RECPIPE_MODEL__{name}", value)
    read_settings()


def test_an_unknown_setting_in_the_file_is_refused(home):
    (home / "settings.toml").write_text("histroy_length = 20\n")
    with pytest.raises(UserError, match="HISTROY_LENGTH"):
        read_settings()


@pytest.mark.parametrize(
    ("name", "mend"),
    [
        ("RECPIPE_HISTROY_LENGTH", "did you mean RECPIPE_HISTORY_LENGTH?"),
        ("RECPIPE_EPOCHS", "did you mean RECPIPE_MODEL__EPOCHS?"),
        ("RECPIPE_MODEL_EPOCHS", "did you mean RECPIPE_MODEL__EPOCHS?"),
        ("RECPIPE_MODEL__EPOCS", "did you mean RECPIPE_MODEL__EPOCHS?"),
        ("RECPIPE_K__CORE", "did you mean RECPIPE_K_CORE?"),
        ("recpipe_sed", "did you mean RECPIPE_SEED?"),
        ("RECPIPE_WXYZ", "unset it"),
    ],
)
def test_a_variable_that_names_no_setting_is_refused_with_the_nearest_one(monkeypatch, name, mend):
    monkeypatch.setenv(name, "5")
    with pytest.raises(UserError) as refusal:
        read_settings()
    assert str(refusal.value) == f"expected RECPIPE_* to name settings, found {name}; {mend}"


@pytest.mark.parametrize(
    "name", ["RECPIPE_SERVICE_HOST", "RECPIPE_SERVICE_PORT_HTTP", "RECPIPE_PORT", "RECPIPE_PORT_80_TCP"]
)
def test_what_kubernetes_tells_of_a_service_named_recpipe_is_no_setting(monkeypatch, name):
    monkeypatch.setenv(name, "tcp://10.0.0.1:80")
    read_settings()


def test_every_way_to_name_a_setting_in_the_environment_is_taken(monkeypatch):
    for name, value in {
        "recpipe_k": "7",
        "RECPIPE_GATE": '{"margin": 0.1}',
        "RECPIPE_MODEL__ITEM_INPUTS": '["id"]',
        "RECPIPE_SOURCES__ORDERS": json.dumps({**ORDERS, "event_type": "what"}),
        "RECPIPE_SOURCES__ORDERS__EVENT_TYPES": '{"bought": "purchase"}',
    }.items():
        monkeypatch.setenv(name, value)
    settings = read_settings()
    assert (settings.k, settings.gate.margin, settings.model.item_inputs) == (7, 0.1, ("id",))
    assert settings.sources["orders"].event_types == {"bought": "purchase"}


@pytest.mark.parametrize(
    ("name", "example"),
    [
        ("RECPIPE_TARGET_EVENTS", '["purchase"]'),
        ("RECPIPE_MODEL__ITEM_INPUTS", '["id"]'),
        ("RECPIPE_MODEL", '{"name": "value"}'),
        ("RECPIPE_SOURCES__ORDERS__EVENT_TYPES", '{"pdp": "view"}'),
    ],
)
def test_a_variable_of_several_values_that_is_no_json_is_refused_by_its_name(monkeypatch, name, example):
    monkeypatch.setenv("RECPIPE_SOURCES__ORDERS__EVENT_TYPE", "purchase")
    monkeypatch.setenv(name, "purchase")
    with pytest.raises(UserError) as refusal:
        read_settings()
    assert str(refusal.value) == f"{name}: expected JSON such as {example}, found 'purchase'"


def test_a_home_in_the_file_is_refused(home):
    (home / "settings.toml").write_text('home = "/elsewhere"\n')
    with pytest.raises(UserError, match=r"expected no home in .*, found '/elsewhere'; set RECPIPE_HOME instead"):
        read_settings()


ORDERS = {"user_id": "buyer", "item_id": "sku", "event_type": "purchase", "occurred_at": "paid_at"}


def toml(**values):
    return "".join(f"{name} = {json.dumps(value)}\n" for name, value in values.items())


def test_a_mapping_of_the_shops_fields_is_read_from_the_file(home):
    words = '[sources.clicks.event_types]\npdp = "view"\n'
    clicks = toml(**{**ORDERS, "event_type": "what"}, file="jsonl", time_unit="ms")
    (home / "settings.toml").write_text(f"[sources.orders]\n{toml(**ORDERS)}[sources.clicks]\n{clicks}{words}")
    sources = read_settings().sources
    assert list(sources) == ["orders", "clicks"]
    assert sources["orders"].places() == ORDERS
    assert (sources["orders"].kind, sources["orders"].file, sources["orders"].time_unit) == ("events", "csv", "s")
    assert (sources["clicks"].file, sources["clicks"].event_types) == ("jsonl", {"pdp": "view"})


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        ("orders", {"occurred_at": None}, "SOURCES__ORDERS: events need occurred_at; name the shop's fields, found "),
        ("orders", {"rating": "stars"}, "SOURCES__ORDERS: events have no rating; leave it out"),
        ("orders", {"kind": "reviews"}, "SOURCES__ORDERS: reviews need rating and reviewed_at"),
        ("orders", {"kind": "users"}, "SOURCES__ORDERS: users have no item_id and "),
        ("orders", {"event_types": {"x": "view"}}, "SOURCES__ORDERS: event_types are words of a field"),
        ("orders", {"event_type": "what", "event_types": {"x": "buy"}}, "SOURCES__ORDERS__EVENT_TYPES__X: Input "),
        ("orders", {"kind": "orders"}, "SOURCES__ORDERS__KIND: Input should be 'reviews', "),
        (
            "orders",
            {"file": "xlsx"},
            "SOURCES__ORDERS__FILE: Input should be 'csv', 'jsonl' or 'parquet', found 'xlsx'",
        ),
        ("orders", {"time_unit": "m"}, "SOURCES__ORDERS__TIME_UNIT: Input should be 's', "),
        ("orders", {"delimiter": "::"}, "SOURCES__ORDERS__DELIMITER: "),
        ("orders", {"delimiter": '"'}, "SOURCES__ORDERS__DELIMITER: "),
        ("orders", {"delimiter": "\n"}, "SOURCES__ORDERS__DELIMITER: "),
        ("orders", {"user_id": ""}, "SOURCES__ORDERS__USER_ID: "),
        ("orders", {"user_id": " buyer"}, "SOURCES__ORDERS__USER_ID: "),
        ("orders", {"user_id": 7}, "SOURCES__ORDERS__USER_ID: Input should be a valid string, found 7"),
        ("orders", {"userid": "buyer"}, "SOURCES__ORDERS__USERID: Extra inputs are not permitted, found 'buyer'"),
        ("Orders", {}, "SOURCES__ORDERS: String should match pattern .*, found 'Orders'"),
        ("1st", {}, "SOURCES__1ST: String should match pattern"),
        ("amazon-2018", {}, "SOURCES: amazon-2018 is the name of a built-in format; take another"),
    ],
)
def test_a_wrong_mapping_is_refused_by_its_name(home, name, values, message):
    section = {key: value for key, value in {**ORDERS, **values}.items() if value is not None}
    types = section.pop("event_types", {})
    text = f"[sources.{name}]\n{toml(**section)}" + (f"[sources.{name}.event_types]\n{toml(**types)}" if types else "")
    (home / "settings.toml").write_text(text)
    with pytest.raises(UserError, match=f"^setting RECPIPE_{message}") as refusal:
        read_settings()
    assert "\n" not in str(refusal.value)
    assert len(str(refusal.value)) < 600


@pytest.mark.parametrize(
    "values",
    [
        {"sources": {"orders": ORDERS}},  # arrivals are sealed
        {"gate": GateSettings(most_popular=1)},  # verdicts are final, and guardrails only stop
        {"model": ModelSettings(epochs=1)},  # of anchors to come
        {"drift": DriftSettings(psi_stops_from=1)},
        {"max_rejected_share": 0.5, "max_empty_days": 90},
        {"images": ImageSettings(most_fetched=1)},
        {"home": Path("/other"), "schedule_until": date(2024, 1, 1)},
    ],
)
def test_what_decides_no_row_of_a_day_that_ran_makes_none_stale(tmp_path, values):
    assert Settings(**{"home": tmp_path, **values}).result_hash() == Settings(home=tmp_path).result_hash()


@pytest.mark.parametrize(
    "values", [{"k": 11}, {"images": ImageSettings(max_pixels=1)}, {"model": ModelSettings(threads=2)}]
)
def test_what_decides_rows_makes_the_days_before_it_stale(tmp_path, values):
    assert Settings(home=tmp_path, **values).result_hash() != Settings(home=tmp_path).result_hash()


def test_a_file_that_is_not_toml_is_refused(home):
    (home / "settings.toml").write_text("k: 5")
    with pytest.raises(UserError, match="expected TOML"):
        read_settings()
