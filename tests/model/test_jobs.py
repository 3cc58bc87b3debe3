"""The three jobs of the train environment on a small shop, in the order of the night."""

import importlib.util
import json
import shutil
import subprocess
import sys
from copy import deepcopy
from dataclasses import replace
from datetime import date
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

from recpipe import delta
from recpipe.errors import UserError
from recpipe.evaluation.metrics import METRICS as FIGURES
from recpipe.evaluation.metrics import Lists
from recpipe.model import batches, candidates, launch, promotion
from recpipe.model.anchors import plan_of
from recpipe.model.contest import Contest
from recpipe.model.judgement import MODEL, _met, judge
from recpipe.model.promotion import Verdict, record
from recpipe.model.registry import Registry
from recpipe.settings import CHECKOUT
from recpipe.tables import (
    COLD,
    EVALUATION_EXAMPLES,
    EVERYBODY,
    ITEM_EMBEDDINGS,
    ITEM_FEATURES,
    ITEM_INDEX,
    METRICS,
    TABLES,
    TRAINING_EXAMPLES,
    USER_EMBEDDINGS,
    WARM,
)
from tests.model.conftest import Interaction, candidate_of, day, histories, planted_chains
from tests.model.small_models import nothing_known, of_strangers

BASELINES = ("popular_all_time", "popular_recent", "popular_in_category", "item_knn", "als")
LEAST_FIGURES = (1 + len(BASELINES)) * len(FIGURES) + 2
"""Of the candidate and the baselines, and two that tell of the users; segments and lists have theirs beside."""
OF_WARM = f"segment = '{WARM}'"


def job(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, CHECKOUT / "jobs" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


train_two_tower, promote_model, embed = (job(name) for name in ("train_two_tower", "promote_model", "embed"))


def rows(shop, query: str) -> list[tuple]:
    with delta.connect(shop.root, TABLES) as lake:
        return lake.execute(query).fetchall()


def taste(users: int = 300) -> list[Interaction]:
    return planted_chains(users=users, items=60, days=30)


def likeness_to_groups(shop) -> list[tuple[int, float]]:
    """The groups of ten items and the mean cosine of their vectors with that of item 60, the most like first."""
    return rows(
        shop,
        "select i.item_index // 10, avg(list_dot_product(new.embedding[:-2], i.embedding[:-2])) as likeness "
        "from item_embeddings i join item_embeddings new on new.item_index = 60 where i.item_index < 60 "
        "group by 1 order by likeness desc",
    )


def noise(users: int) -> list[Interaction]:
    """Shoppers who all want one of a few items, and nothing follows from anything."""
    draw = np.random.default_rng(5)
    found = []
    for user in range(users):
        wanted = draw.choice(40, size=4, replace=False, p=[0.2] * 4 + [0.2 / 36] * 36)
        found += [
            Interaction(f"u{user:04}", int(item), int(when)) for item, when in zip(wanted, (3, 8, 15, 28), strict=True)
        ]
    return found


def test_a_planted_taste_makes_a_champion_that_gives_every_user_a_vector(shop, settings):
    shop.number_items(60)
    shop.anchor(taste(), anchor=29, cut=25)
    shop.features([*taste(), Interaction("stranger to the model", 99, 29)], ds=30)

    trained = train_two_tower.main(day(29), settings())
    assert trained.rows_in["training_examples"] > 0
    assert "was trained before" in train_two_tower.main(day(29), settings()).message

    decided = promote_model.main(day(29), settings())
    [(verdict, version, effective)] = rows(shop, "select verdict, model_version, effective_from from model_verdicts")
    assert (verdict, effective) == ("promoted", day(29))
    assert "promoted" in decided.message

    figures = dict(rows(shop, f"select model, value from metrics where metric = 'ndcg_at_10' and {OF_WARM}"))
    assert set(figures) == {"two_tower", *BASELINES}
    assert figures["two_tower"] > 3 * max(figures["popular_all_time"], figures["popular_recent"])
    assert figures["two_tower"] > max(figures["item_knn"], figures["als"])

    written = embed.main(day(30), settings())
    assert written.rows_out == {"item_embeddings": 60, "user_embeddings": 300}
    assert rows(shop, "select distinct ds, model_version, len(embedding) from user_embeddings") == [
        (day(30), version, 17)
    ]
    assert rows(shop, "select min(item_id), count(*) from item_embeddings where item_id[2:]::int = item_index") == [
        ("i00000", 60)
    ]
    following = """
        select avg((list_dot_product(u.embedding, i.embedding) > 2)::int) from user_embeddings u
        join user_features f using (ds, user_id)
        join item_embeddings i on i.item_index = f.history[-1] // 10 * 10 + (f.history[-1] + 1) % 10
        where len(f.history) < 10"""
    assert rows(shop, following)[0][0] > 0.9


def test_an_item_and_a_user_that_are_new_get_vectors_by_content(shop, settings):
    """Item 60 is of the brand of items 0 to 9, and nobody had it before the anchor day; of 61 nothing is known, and of
    62 a brand that the model never saw.
    """
    shop.number_items(63)
    shop.anchor(taste(), anchor=29, cut=25)
    strangers = Interaction("stranger to the model", 61, 30), Interaction("another", 62, 30)
    shop.features([*taste(), Interaction("new", 60, 30), *strangers], ds=30)
    for ds in (29, 30):
        shop.content({item: 1 + item % 60 // 10 for item in range(61)} | {61: 0, 62: 9}, ds)
    train_two_tower.main(day(29), settings())
    promote_model.main(day(29), settings())
    assert embed.main(day(30), settings()).rows_out == {"item_embeddings": 61, "user_embeddings": 301}
    likeness = likeness_to_groups(shop)
    assert likeness[0][0] == 0
    assert likeness[0][1] > likeness[1][1] + 0.2
    wanted = """
        select i.item_index // 10 from user_embeddings join item_embeddings i using (ds)
        where user_id = 'new' and i.item_index < 60
        order by list_dot_product(user_embeddings.embedding, i.embedding) desc limit 5"""
    assert [group for (group,) in rows(shop, wanted)].count(0) >= 4


def test_the_founding_model_ranks_an_item_that_nobody_had_by_its_picture(shop, settings):
    """Embeddings and a perceptron make the user; an embedding and convolutions over pictures make the item."""
    founding = {"user_tower": "mlp", "item_inputs": ("id", "image"), "graph": False, "image_size": 16, "patience": 30}
    founding |= {"epochs": 40, "embedding_size": 32, "learning_rate": 0.005}
    shop.number_items(61)
    shop.anchor(taste(), anchor=29, cut=25)
    shop.features(taste(), ds=30)
    for ds in (29, 30):
        shop.content(dict.fromkeys(range(61), 0), ds)
    shop.pictures({item: 40 * (item % 60 // 10) for item in range(61)}, arrived_on=1)
    train_two_tower.main(day(29), settings(**founding))
    promote_model.main(day(29), settings(**founding))
    assert rows(shop, "select verdict from model_verdicts") == [("promoted",)]
    assert embed.main(day(30), settings(**founding)).rows_out == {"item_embeddings": 61, "user_embeddings": 300}
    assert likeness_to_groups(shop)[0][0] == 0


def test_other_content_makes_another_model(shop, settings):
    shop.number_items(60)
    shop.anchor(taste(100), anchor=29, cut=25)
    hashes = []
    for brands in ({}, {1: 1}, {1: 2}):
        shop.content(brands, 29)
        hashes.append(candidates.read_inputs(settings(), day(29)).hash)
    assert len(set(hashes)) == 3


def test_the_same_rows_in_another_place_give_the_same_models(shop, settings, tmp_path):
    shop.number_items(60)
    shop.anchor(taste(100), anchor=29, cut=25)
    shutil.copytree(tmp_path / "home", tmp_path / "elsewhere")
    found = []
    for home in ("home", "elsewhere"):
        here = settings(epochs=4).model_copy(update={"home": tmp_path / home})
        train_two_tower.main(day(29), here)
        promote_model.main(day(29), here)
        with delta.connect(here.lake, TABLES) as lake:
            found.append(lake.execute("select * from metrics order by all").fetchall())
            found.append(lake.execute("select * from model_verdicts").fetchall())
    assert len(found[0]) > LEAST_FIGURES
    assert found[:2] == found[2:]


def test_a_model_no_better_than_popularity_is_rejected(shop, settings):
    shop.number_items(40)
    shop.anchor(noise(60), anchor=29, cut=20, inner=10)
    train_two_tower.main(day(29), settings(epochs=1))
    promote_model.main(day(29), settings(epochs=1))
    [(verdict, reason, version)] = rows(shop, "select verdict, reason, model_version from model_verdicts")
    assert (verdict, version) == ("rejected", None)
    assert "not met: NDCG@10" in reason
    registry = Registry(settings().registry)
    [run] = registry.client.search_runs([registry.experiment_id], "tags.verdict = 'rejected'")
    assert run.data.tags["reason"] == reason
    [(lead, coverage)] = rows(
        shop,
        f"select max(value) filter (metric = 'ndcg_at_10'), max(value) filter (metric = 'coverage') from metrics "
        f"where model = 'two_tower' and {OF_WARM}",
    )
    told = run.data.metrics
    assert told["judged/two_tower/warm users/ndcg_at_10"] == lead
    assert told["judged/two_tower/warm users/coverage"] == coverage
    assert len(told) > LEAST_FIGURES
    counted = f"select count(*) from metrics where metric = 'recall_at_10' and {OF_WARM}"
    assert rows(shop, counted) == [(1 + len(BASELINES),)]
    assert "no model was promoted" in embed.main(day(29), settings()).message


def test_a_broken_candidate_does_not_pass_the_gate_that_the_whole_one_passes(shop, settings):
    shop.number_items(60)
    shop.anchor(taste(), anchor=29, cut=25)
    train_two_tower.main(day(29), settings())
    candidate = candidate_of(settings(), day(29))
    assert judge(settings(), plan_of(settings(), day(29)), candidate).passed
    broken = (
        ("vectors that are not finite", lambda ids: ids[3].fill_(np.nan)),
        ("NDCG@10", lambda ids: ids.copy_(torch.cat([ids[torch.randperm(len(ids) - 1)], ids[-1:]]))),  # shuffled
        ("NDCG@10", lambda ids: ids.zero_()),  # all items alike but for their biases
    )
    for said, breaks in broken:
        model = deepcopy(candidate.model)
        with torch.no_grad():
            breaks(model.item_tower.ids.weight)
        found = judge(settings(), plan_of(settings(), day(29)), replace(candidate, model=model))
        assert said in next(check.said for check in found.checks if not check.passed)


def test_d15_targets_and_users_unknown_at_the_cut_are_reported_apart(shop, settings):
    shop.number_items(60)
    late = [Interaction(f"u{user:04}", 59 if user < 20 else 58, 29) for user in range(30)]
    shop.anchor([one for one in taste(100) if one.item < 50] + late + [Interaction("new", 3, 29)], anchor=29, cut=28)
    train_two_tower.main(day(29), settings(epochs=1))
    promote_model.main(day(29), settings(epochs=1))
    figures = {
        (model, segment, metric): (value, users)
        for model, segment, metric, value, users in rows(
            shop, "select model, segment, metric, value, users from metrics"
        )
    }
    share, users = figures["two_tower", WARM, "unknown_target_share"]
    assert 0.5 < share < 1
    known_share, everyone = figures["two_tower", EVERYBODY, "known_user_share"]
    assert known_share == pytest.approx(users / everyone)
    assert users < everyone
    recalls = {key[:2]: value for key, (value, _) in figures.items() if key[2] == "recall_at_10"}
    assert all(value <= 1 - share + 1e-9 for (_, segment), value in recalls.items() if segment == WARM)
    for model in ("two_tower", *BASELINES):
        _, strangers = figures[model, COLD, "recall_at_10"]
        assert strangers == everyone - users
        cold = recalls["popular_recent", COLD]
        assert recalls[model, COLD] == cold  # a stranger gets popular items, whatever the model
        both = (recalls[model, WARM] * users + cold * strangers) / everyone
        assert recalls[model, EVERYBODY] == pytest.approx(both)


def test_baselines_know_what_users_viewed_as_the_model_does():
    ranked = nothing_known([3, 5, 7, 9])
    histories = of_strangers(*(np.array([[-1, 5, 5, 8], [-1, -1, -1, 9]], np.int32) for _ in range(3)))
    contest = Contest(ranked, histories, seen=Lists.of([[0], []]), targets=Lists.of([[3], [0]]), strangers=Lists.of([]))
    met = _met(contest)
    assert [its.tolist() for its in np.split(met.values, met.offsets[1:-1])] == [[0, 1], [3]]


def test_an_anchor_without_news_is_skipped_untrained(shop, settings):
    shop.number_items(60)
    shop.anchor(taste(100), anchor=29, cut=25)
    shop.anchor(taste(100), anchor=36, cut=25, before=29)
    trained = train_two_tower.main(day(36), settings(epochs=1))
    promote_model.main(day(36), settings(epochs=1))
    assert "trained 2024-01-30-" in trained.message
    assert "2024-02-06" not in trained.message
    assert rows(shop, "select ds, verdict from model_verdicts where verdict = 'skipped'") == [(day(36), "skipped")]
    assert rows(shop, "select count(*) from metrics where ds = date '2024-02-06'") == [(0,)]


def two_anchors(shop, later: list[Interaction]) -> None:
    shop.number_items(70)
    known = [one for one in [*taste(100), *later] if one.day <= 22]
    shop.anchor(known, anchor=22, cut=18)
    shop.anchor([*taste(100), *later], anchor=29, cut=25, before=22)


def test_c06_what_comes_after_the_anchor_before_reaches_no_weight_of_a_candidate(shop, settings):
    found = []
    for later in ([], [Interaction(f"u{user:04}", 65, 27) for user in range(40)]):
        two_anchors(shop, later)
        train_two_tower.main(day(29), settings(epochs=2))
        found.append(candidate_of(settings(epochs=2), day(29)))
        found.append(candidates.read_inputs(settings(epochs=2), day(29)).hash)
    candidate, inputs, with_later, other_inputs = found
    assert candidate.until == day(22)
    assert candidate.model_version == with_later.model_version  # a hash of the weights, among others
    assert inputs != other_inputs


def test_a_candidate_is_trained_anew_for_the_epochs_that_an_inner_cut_chose(shop, settings, monkeypatch):
    two_anchors(shop, [])
    trained, calls, values = launch.train, [], iter([0.1, 0.4, 0.3, 0.2])

    def spy(read, catalogue, model, seed, *, validate=None, epochs=None, **options):
        chosen = validate and (lambda known: lambda model: next(values))
        found = trained(read, catalogue, model, seed, validate=chosen, epochs=epochs, **options)
        calls.append((read.__self__.rows, epochs, found.epochs))
        return found

    monkeypatch.setattr(launch, "train", spy)
    candidates.train_candidates(settings(epochs=9, patience=2), [day(29)])
    known_at = {until: len(histories(taste(100), until)) for until in (18, 22)}
    assert calls == [(known_at[18], None, 2), (known_at[22], 2, 2)]
    assert known_at[18] < known_at[22]


def test_what_comes_between_the_anchors_judges_and_what_comes_later_does_not(shop, settings):
    two_anchors(shop, [Interaction("late", 3, 1), Interaction("late", 65, 27)])
    train_two_tower.main(day(29), settings(epochs=2))
    candidate = candidate_of(settings(epochs=2), day(29))
    before = judge(settings(), plan_of(settings(), day(29)), candidate)
    everything = [*taste(100), *(Interaction(f"u{user:04}", 64, 33) for user in range(50))]
    shop.anchor(everything, anchor=36, cut=30, before=29)
    shop.number_items(80, first_arrived=33)
    assert judge(settings(), plan_of(settings(), day(29)), candidate) == before
    [(users, targets)] = rows(
        shop,
        "select count(*), sum(len(targets)) from evaluation_examples where cut_by = 'arrived_on' and ds < '2024-02-01'",
    )
    [everybody] = [one.users for one in before.figures if one.metric == "known_user_share"]
    assert everybody == users
    assert (
        before.of(MODEL)["unknown_target_share"] >= 1 / targets
    )  # item 65, which nobody knew on the anchor day before


def test_the_gate_opens_no_file_of_rows_that_came_after_the_anchor_before_but_those_it_judges_on(shop, settings):
    two_anchors(shop, [])
    train_two_tower.main(day(29), settings(epochs=2))
    candidate = candidate_of(settings(epochs=2), day(29))
    before = judge(settings(), plan_of(settings(), day(29)), candidate)
    shop.anchor(taste(100), anchor=36, cut=30, before=29)
    gone = 0
    for table, first in ((TRAINING_EXAMPLES, 29), (ITEM_FEATURES, 29), (EVALUATION_EXAMPLES, 30)):
        for file in delta.snapshot_files(shop.root, table, between=(day(first), day(99))):
            Path(file).unlink()
            gone += 1
    assert gone >= 4  # rows of the champion to be, its items, and all that the next anchor is trained and judged on
    assert judge(settings(), plan_of(settings(), day(29)), candidate) == before


def test_anchors_settled_backwards_have_the_verdicts_of_a_forward_run(shop, settings, tmp_path):
    two_anchors(shop, [])
    shutil.copytree(tmp_path / "home", tmp_path / "backwards")
    found = []
    for home, order in (("home", (22, 29)), ("backwards", (29, 22))):
        here = settings(epochs=4).model_copy(update={"home": tmp_path / home})
        for number in order:
            train_two_tower.main(day(number), here)
            promote_model.main(day(number), here)
        with delta.connect(here.lake, TABLES) as lake:
            found.append(lake.execute("select * from metrics order by all").fetchall())
            found.append(lake.execute("select * from model_verdicts order by all").fetchall())
    assert {row[0] for row in found[1]} == {day(22), day(29)}
    assert len(found[0]) > 2 * LEAST_FIGURES
    assert found[:2] == found[2:]


def test_a_candidate_of_other_rows_or_settings_is_not_taken(shop, settings):
    shop.number_items(60)
    shop.anchor(taste(100), anchor=29, cut=25)
    train_two_tower.main(day(29), settings(epochs=1))
    with pytest.raises(UserError, match="expected a candidate of anchor day 2024-01-30 trained with these settings"):
        promote_model.main(day(29), settings(epochs=2))
    shop.anchor(taste(90), anchor=29, cut=25)
    with pytest.raises(UserError, match="expected a candidate"):
        promote_model.main(day(29), settings(epochs=1))
    assert rows(shop, "select count(*) from model_verdicts") == [(0,)]


def test_a_model_is_of_the_events_that_a_recommendation_aims_at(shop, settings):
    shop.number_items(60)
    shop.anchor(taste(100), anchor=29, cut=25)  # reviews
    models = []
    for aims_at in (("purchase", "review"), ("purchase",)):
        its = settings(epochs=1).model_copy(update={"target_events": aims_at})
        train_two_tower.main(day(29), its)
        models.append(candidate_of(its, day(29)).model.state_dict())
    assert not torch.equal(*(model["item_bias"] for model in models))


def test_a_verdict_is_never_changed(shop, settings):
    shop.number_items(60)
    shop.anchor(taste(100), anchor=29, cut=25)
    train_two_tower.main(day(29), settings(epochs=1))
    promote_model.main(day(29), settings(epochs=1))
    before = rows(shop, "select * from model_verdicts"), rows(shop, "select * from metrics order by all")

    standing, written = record(settings(), day(29), Verdict("failed", "late"))
    assert ((standing.verdict, standing.reason), written) == (before[0][0][1:3], {})
    assert "nothing to decide" in promote_model.main(day(29), settings(epochs=1)).message
    assert before == (rows(shop, "select * from model_verdicts"), rows(shop, "select * from metrics order by all"))


def test_a_run_that_loses_the_race_says_the_verdict_of_the_other(shop, settings, monkeypatch):
    shop.number_items(60)
    shop.anchor(taste(100), anchor=29, cut=25)
    train_two_tower.main(day(29), settings(epochs=1))
    deciding = promotion.decide

    def while_another_decides(*arguments):
        ours = deciding(*arguments)
        record(settings(), day(29), Verdict("rejected", "the other run said so"))
        return ours

    monkeypatch.setattr(promotion, "decide", while_another_decides)
    result = promote_model.main(day(29), settings(epochs=1))
    assert result.message == "2024-01-30 rejected by another run: the other run said so"
    assert result.versions == {}
    assert rows(shop, "select reason from model_verdicts") == [("the other run said so",)]


def test_an_anchor_whose_training_breaks_again_and_again_is_given_up(shop, settings, monkeypatch):
    def breaks(*_, **__):
        raise UserError("expected a finite loss, found nan")

    shop.number_items(60)
    shop.anchor(taste(100), anchor=29, cut=25)
    monkeypatch.setattr(launch, "train", breaks)
    for _ in range(candidates.ATTEMPTS):
        with pytest.raises(UserError, match="finite loss"):
            train_two_tower.main(day(29), settings())
    assert "broke 3 times" in train_two_tower.main(day(29), settings()).message
    with pytest.raises(UserError, match="failed: its training broke 3 times; later nights use the champion"):
        promote_model.main(day(29), settings())
    assert rows(shop, "select verdict from model_verdicts") == [("failed",)]
    assert "nothing to decide" in promote_model.main(day(29), settings()).message
    assert "no model was promoted" in embed.main(day(29), settings()).message


def test_a_whole_candidate_is_given_up_only_when_its_own_refit_breaks_again_and_again(shop, settings, monkeypatch):
    shop.number_items(60)
    shop.anchor(taste(100), anchor=29, cut=25)
    training = launch.train

    def breaks_at_the_second(*arguments, validate=None, **named):
        if validate is None:
            raise UserError("expected a finite loss, found nan")
        return training(*arguments, validate=validate, **named)

    with monkeypatch.context() as broken:
        broken.setattr(launch, "train", breaks_at_the_second)
        for _ in range(candidates.ATTEMPTS - 1):
            with pytest.raises(UserError, match="finite loss"):
                train_two_tower.main(day(29), settings())
    train_two_tower.main(day(29), settings())
    monkeypatch.setattr(launch, "train", breaks_at_the_second)
    for _ in range(candidates.ATTEMPTS):
        with pytest.raises(UserError, match="finite loss"):
            promote_model.main(day(29), settings())
    with pytest.raises(UserError, match=r"failed: .*; but its training on all up to 2024-01-30 broke 3 times"):
        promote_model.main(day(29), settings())
    assert rows(shop, "select verdict, model_version from model_verdicts") == [("failed", None)]


def test_f01_lost_rows_stop_the_training_and_leave_no_candidate(shop, settings, monkeypatch):
    shop.number_items(60)
    shop.anchor(taste(100), anchor=29, cut=25)
    whole = batches.TrainingFiles._chunks
    monkeypatch.setattr(
        batches.TrainingFiles, "_chunks", lambda self: (c._replace(length=c.length[1:]) for c in whole(self))
    )
    with pytest.raises(batches.RowsLostError):
        train_two_tower.main(day(29), settings(epochs=1))
    monkeypatch.undo()
    with pytest.raises(UserError, match="expected a candidate"):
        promote_model.main(day(29), settings(epochs=1))


def test_without_a_model_a_day_is_cleared(shop, settings):
    vector = {"ds": day(5), "embedding": [1.0], "model_version": "old"}
    delta.overwrite_partition(shop.root, USER_EMBEDDINGS, [vector | {"user_id": "u"}], day(5))
    delta.overwrite_partition(shop.root, ITEM_EMBEDDINGS, [vector | {"item_id": "i", "item_index": 0}], day(5))
    result = embed.main(day(5), settings())
    assert "no model was promoted up to 2024-01-06" in result.message
    assert rows(shop, "select count(*) from user_embeddings union all select count(*) from item_embeddings") == [
        (0,),
        (0,),
    ]


def stopped_after_a_commit(monkeypatch, ds, its):
    """Run embed, and stop it between its two commits."""
    write, done = delta.overwrite_partition, []

    def writes(*arguments):
        if done:
            raise KeyboardInterrupt
        done.append(write(*arguments))
        return done[0]

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(delta, "overwrite_partition", writes)
        embed.main(ds, its)


def test_d03_an_embed_that_is_stopped_leaves_the_items_of_the_model_before_so_that_no_list_goes_by_them(
    shop, settings, monkeypatch
):
    old = {"ds": day(29), "embedding": [1.0], "model_version": "old", "item_id": "i", "item_index": 0}
    delta.overwrite_partition(shop.root, ITEM_EMBEDDINGS, [old], day(29))
    shop.number_items(60)
    shop.anchor(taste(100), anchor=29, cut=25)
    shop.features(taste(100), ds=29)
    stopped_after_a_commit(monkeypatch, day(29), settings())  # with no model
    assert rows(shop, "select model_version from item_embeddings") == [("old",)]
    train_two_tower.main(day(29), settings(epochs=3))
    promote_model.main(day(29), settings(epochs=3))
    stopped_after_a_commit(monkeypatch, day(29), settings(epochs=3))
    assert rows(shop, "select model_version from item_embeddings") == [("old",)]
    assert rows(shop, "select count(*) from user_embeddings") == [(100,)]
    left = {"first_arrived_on": day(30), "item_id": "of an ingest that was killed", "item_index": 59}
    delta.append(shop.root, ITEM_INDEX, [left])
    assert embed.main(day(29), settings(epochs=3)).rows_out[ITEM_EMBEDDINGS.name] == 60
    assert rows(shop, "select item_id from item_embeddings where item_index = 59") == [("i00059",)]


def test_d03_a_model_of_another_lake_writes_nothing(shop, settings):
    shop.number_items(60)
    shop.anchor(taste(100), anchor=29, cut=25)
    shop.features(taste(100), ds=29)
    train_two_tower.main(day(29), settings(epochs=3))
    promote_model.main(day(29), settings(epochs=3))
    assert rows(shop, "select verdict from model_verdicts") == [("promoted",)]
    shop.number_items(61)
    with pytest.raises(UserError, match="the model belongs to another lake"):
        embed.main(day(29), settings())
    assert rows(shop, "select count(*) from user_embeddings") == [(0,)]


@pytest.mark.parametrize("name", ["train_two_tower", "promote_model", "embed"])
def test_a_night_with_nothing_to_do_imports_neither_torch_nor_mlflow(shop, settings, name):
    code = (
        "import sys, runpy; sys.argv = sys.argv[1:]\n"
        "try: runpy.run_path(sys.argv[0], run_name='__main__')\n"
        "finally: print({'torch', 'mlflow', 'petastorm', 'pyspark'} & set(sys.modules))\n"
    )
    command = [sys.executable, "-c", code, str(CHECKOUT / "jobs" / f"{name}.py"), "--ds", "2024-01-30"]
    environment = {"RECPIPE_HOME": str(Path(shop.root).parent), "PYTHONPATH": str(CHECKOUT), "PATH": "/usr/bin:/bin"}
    ended = subprocess.run(command, capture_output=True, text=True, check=True, env=environment, timeout=60)
    result, imported = ended.stdout.splitlines()
    assert json.loads(result)["job"] == name
    assert imported == "set()"
    assert rows(shop, f"select job, status from runs where ds = date '{date(2024, 1, 30)}'") == [(name, "success")]


def test_metrics_are_written_for_their_own_anchor_only(shop, settings):
    row = {"ds": day(1), "model": "two_tower", "model_version": "v", "metric": "m", "value": 0.5, "users": 1}
    row |= {"segment": WARM, "lower": None, "upper": None}
    delta.overwrite_partition(shop.root, METRICS, [row], day(1))
    shop.number_items(60)
    shop.anchor(taste(100), anchor=29, cut=25)
    train_two_tower.main(day(29), settings(epochs=1))
    promote_model.main(day(29), settings(epochs=1))
    before, own = rows(shop, "select ds, count(*) from metrics group by ds order by ds")
    assert before == (day(1), 1)
    assert own[0] == day(29)
    assert own[1] > LEAST_FIGURES
