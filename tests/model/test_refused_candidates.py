"""A broken candidate is refused at the real gate, and the vectors of the night are those of the champion, bit for bit.

What comes after the vectors is shown by `make test-slow`: with them the night ends with the lists of the champion.
"""

import shutil
from pathlib import Path

import numpy as np
import pytest

from jobs import embed, promote_model, train_two_tower
from recpipe import delta
from recpipe.model.examples import arrow
from recpipe.settings import Settings
from recpipe.tables import TABLES, TRAINING_EXAMPLES
from tests.model.broken_candidates import KINDS, break_candidate
from tests.model.conftest import Shop, day, planted_chains, small

BEFORE, ANCHOR, NIGHT = 22, 29, 30


@pytest.fixture(scope="module")
def unjudged(tmp_path_factory) -> Path:
    """A night by the champion of day 22, and a candidate of day 29 that nobody has judged.

    A third of the items appear on day 19.
    """
    home = tmp_path_factory.mktemp("unjudged") / "home"
    shop = Shop(home / "lake")
    shop.number_items(60)
    walks = planted_chains(users=300, items=60, days=30)
    walks = [one for one in walks if one.item % 10 < 7 or one.day >= 19]
    shop.anchor([one for one in walks if one.day <= BEFORE], BEFORE, cut=18)
    shop.anchor([one for one in walks if one.day <= ANCHOR], ANCHOR, cut=25, before=BEFORE)
    shop.features(walks, ds=NIGHT)
    for ds in (BEFORE, ANCHOR, NIGHT):
        shop.content(dict.fromkeys(range(60), 0), ds)
    train_two_tower.main(day(BEFORE), small(home))
    promote_model.main(day(BEFORE), small(home))
    embed.main(day(NIGHT), small(home))
    train_two_tower.main(day(ANCHOR), small(home))
    return home


@pytest.fixture
def settings(unjudged, tmp_path) -> Settings:
    return small(shutil.copytree(unjudged, tmp_path / "home"))


@pytest.fixture
def champions(settings) -> list[list[tuple]]:
    """Vectors of the night."""
    return vectors(settings)


def rows(settings: Settings, query: str) -> list[tuple]:
    with delta.connect(settings.lake, TABLES) as lake:
        return lake.sql(query).fetchall()


def vectors(settings: Settings) -> list[list[tuple]]:
    return [rows(settings, f"select * from {name} order by all") for name in ("user_embeddings", "item_embeddings")]


def verdict(settings: Settings) -> tuple[str, str]:
    """Of the gate on the candidate; the night is run again by it."""
    promote_model.main(day(ANCHOR), settings)
    embed.main(day(NIGHT), settings)
    [found] = rows(settings, f"select verdict, reason from model_verdicts where ds = '{day(ANCHOR)}'")
    return found


def test_the_whole_candidate_takes_the_champions_place(settings, champions):
    assert verdict(settings)[0] == "promoted"
    assert vectors(settings) != champions


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("shuffled", "not met: NDCG@10 "),
        ("constant", "not met: NDCG@10 "),
        ("not finite", "not met: vectors that are not finite: "),
        ("stale", "not met: NDCG@10 of the champion "),
        ("without tail", "tail items by -"),
        ("without users", "not met: users served 0.6"),
    ],
)
def test_a_broken_candidate_is_refused_and_the_champion_serves(settings, champions, kind, said):
    break_candidate(settings, day(ANCHOR), kind)
    found, reason = verdict(settings)
    assert found == "rejected"
    assert said in reason
    assert vectors(settings) == champions


def test_every_broken_kind_is_tried():
    [tried] = test_a_broken_candidate_is_refused_and_the_champion_serves.pytestmark
    assert {kind for kind, _ in tried.args[1]} == set(KINDS)


def test_a_candidate_that_was_trained_on_shuffled_labels_is_refused(settings, champions):
    known_to_candidate = day(BEFORE)
    with delta.connect(settings.lake, [TRAINING_EXAMPLES]) as lake:
        examples = arrow(lake, "select * from training_examples where ds = ?", known_to_candidate).to_pylist()
    draw = np.random.default_rng(0)
    for row in examples:
        row["items"] = [item if item < 0 else int(draw.integers(60)) for item in row["items"]]
    delta.overwrite_partition(settings.lake, TRAINING_EXAMPLES, examples, known_to_candidate)
    train_two_tower.main(day(ANCHOR), settings)
    found, reason = verdict(settings)
    assert found == "rejected"
    assert "not met: NDCG@10 " in reason
    assert vectors(settings) == champions
