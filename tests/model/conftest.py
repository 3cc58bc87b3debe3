"""Small shops, written as tables: what `build_features` would have made of a list of interactions."""

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from recpipe import delta
from recpipe.model.candidates import read_inputs
from recpipe.model.checkpoint import Checkpoint
from recpipe.model.registry import CANDIDATE, Registry
from recpipe.settings import ModelSettings, Settings
from recpipe.tables import (
    ARRIVALS,
    ARRIVED_ON,
    EVALUATION_EXAMPLES,
    HAPPENED_AT,
    IMAGES,
    ITEM_FEATURES,
    ITEM_INDEX,
    TRAINING_EXAMPLES,
    TYPE_CODES,
    USER_FEATURES,
)
from tests.lakes import empty_lake
from tests.pictures import png
from tests.rows import arrival, item_feature, picture, user_feature

FIRST_DAY = date(2024, 1, 1)
HISTORY_LENGTH = 8
EPOCH = date(1970, 1, 1)
NO_ATTRIBUTES = [0, 0, 0]


@dataclass(frozen=True)
class Interaction:
    user: str
    item: int
    day: int  # days after FIRST_DAY


def day(number: int) -> date:
    return FIRST_DAY + timedelta(days=number)


def histories(interactions: Iterable[Interaction], until: int) -> dict[str, list[Interaction]]:
    found: dict[str, list[Interaction]] = {}
    for one in sorted((i for i in interactions if i.day <= until), key=lambda i: (i.user, i.day)):
        found.setdefault(one.user, []).append(one)
    return found


def padded(values: list[int], length: int, padding: int) -> list[int]:
    return [padding] * (length - len(values[-length:])) + values[-length:]


def stored_days(history: list[Interaction]) -> list[int]:
    return [(day(one.day) - EPOCH).days for one in history]


def training_rows(interactions: list[Interaction], anchor: int, until: int) -> list[dict]:
    length = HISTORY_LENGTH + 1
    return [
        {
            "ds": day(anchor),
            "until": day(until),
            **sequence(history, length),
            "length": min(len(history), length),
            "attributes": NO_ATTRIBUTES,
            "shuffle_key": int(hashlib.sha256(user.encode()).hexdigest()[:12], 16),
        }
        for user, history in histories(interactions, until).items()
    ]


def sequence(history: list[Interaction], length: int) -> dict[str, list[int]]:
    return {
        "items": padded([one.item for one in history], length, -1),
        "days": padded(stored_days(history), length, 0),
        "types": padded([TYPE_CODES["review"]] * len(history), length, 0),
    }


def evaluation_rows(interactions: list[Interaction], anchor: int, cut: int, until: int, cut_by: str) -> list[dict]:
    before, rows = histories(interactions, cut), []
    for user, everything in histories(interactions, until).items():
        history = before.get(user, [])
        seen = sorted({one.item for one in history})
        targets = sorted({one.item for one in everything if one.day > cut} - set(seen))
        if targets:
            row = {"ds": day(anchor), "cut": day(cut), "until": day(until), "cut_by": cut_by, "user_id": user}
            row |= sequence(history, HISTORY_LENGTH) | {"seen": seen, "targets": targets, "attributes": NO_ATTRIBUTES}
            rows.append(row | {"length": min(len(history), HISTORY_LENGTH)})
    return rows


def feature_rows(interactions: list[Interaction], ds: int) -> list[dict]:
    return [
        {
            **user_feature(user, ds=day(ds)),
            "history": [one.item for one in history],
            "history_days": stored_days(history),
            "history_types": [TYPE_CODES["review"]] * len(history),
        }
        for user, history in histories(interactions, ds).items()
    ]


class Shop:
    """A lake with the tables that the model side reads."""

    def __init__(self, root: Path) -> None:
        self.root = root
        empty_lake(root)

    def number_items(self, count: int, first_arrived: int = 0) -> None:
        rows = [
            {"first_arrived_on": day(first_arrived), "item_id": f"i{number:05}", "item_index": number}
            for number in range(count)
        ]
        delta.overwrite_partition(self.root, ITEM_INDEX, rows, day(first_arrived))

    def anchor(
        self,
        interactions: list[Interaction],
        anchor: int,
        cut: int,
        inner: int | None = None,
        before: int | None = None,
    ) -> None:
        """The examples of an anchor day, which is the first one unless there is one ``before`` it.

        The first has an ``inner`` cut too, three days before the other.
        """
        delta.overwrite_partition(self.root, ARRIVALS, [arrival(arrived_on=day(anchor))], day(anchor))
        inner = cut - 3 if inner is None else inner
        untils = (cut, anchor) if before is not None else (inner, cut, anchor)
        training = [row for until in sorted(set(untils)) for row in training_rows(interactions, anchor, until)]
        delta.overwrite_partition(self.root, TRAINING_EXAMPLES, arrow_table(training), day(anchor))
        blocks = [(cut, anchor, HAPPENED_AT)]
        blocks.append((inner, cut, HAPPENED_AT) if before is None else (before, anchor, ARRIVED_ON))
        evaluation = [row for block in blocks for row in evaluation_rows(interactions, anchor, *block)]
        delta.overwrite_partition(self.root, EVALUATION_EXAMPLES, arrow_table(evaluation), day(anchor))

    def content(self, brands: dict[int, int], ds: int) -> None:
        """The items of the shop by number, of which nothing but the brand is known; 0: not even that."""
        rows = [item_feature(f"i{item:05}", item, ds=day(ds), brand=brand) for item, brand in brands.items()]
        delta.overwrite_partition(self.root, ITEM_FEATURES, rows, day(ds))

    def pictures(self, shades: dict[int, int], arrived_on: int) -> None:
        """A grey picture of each item, by its number."""
        folder = self.root.parent / "landing" / "images" / f"arrived_on={day(arrived_on)}"
        folder.mkdir(parents=True)
        rows = []
        for item, shade in shades.items():
            content, item_id = png(shade=shade), f"i{item:05}"
            (folder / f"{item_id}.png").write_bytes(content)
            rows.append(picture(item_id, arrived_on=day(arrived_on), sha256=hashlib.sha256(content).hexdigest()))
        delta.overwrite_partition(self.root, IMAGES, rows, day(arrived_on))

    def features(self, interactions: list[Interaction], ds: int) -> None:
        delta.overwrite_partition(self.root, USER_FEATURES, arrow_table(feature_rows(interactions, ds)), day(ds))


def arrow_table(rows: list[dict]) -> pa.Table | list:
    """Arrow, which is quicker to write than rows; lists of int32, as the contracts say."""
    if not rows:
        return rows
    ints = pa.list_(pa.field("element", pa.int32(), nullable=False))
    table = pa.Table.from_pylist(rows)
    types = {
        "length": pa.int32(),
        "items": ints,
        "days": ints,
        "types": ints,
        "seen": ints,
        "targets": ints,
        "attributes": ints,
    }
    types |= {"history": ints, "history_days": ints, "history_types": ints, "active_days": pa.int32()}
    types |= {"favourite_categories": pa.list_(pa.field("element", pa.string(), nullable=False))}
    types |= {"age": pa.int32(), "gender": pa.string(), "occupation": pa.string()}
    for name in set(types) & set(table.column_names):
        table = table.set_column(table.column_names.index(name), name, table[name].cast(types[name]))
    return table


def planted_chains(users: int, items: int, days: int, seed: int = 1) -> list[Interaction]:
    """Shoppers who walk through one of six groups of items, each step to the next of the group."""
    draw = np.random.default_rng(seed)
    size = items // 6
    found = []
    for user in range(users):
        group, start, length = draw.integers(6), draw.integers(size), draw.integers(3, 8)
        when = np.sort(draw.integers(0, days, length))
        found += [
            Interaction(f"u{user:04}", int(group * size + (start + step) % size), int(when[step]))
            for step in range(length)
        ]
    return found


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path / "home" / "lake")


def small(home: Path, **model: object) -> Settings:
    """Settings of a small model, of which ``model`` changes some."""
    values = {
        "threads": 1,
        "embedding_size": 16,
        "batch_size": 64,
        "epochs": 20,
        "dropout": 0.1,
        "item_dropout": 0.0,
        "learning_rate": 0.02,
        "warmup_steps": 10,
    }
    return Settings(home=home, history_length=HISTORY_LENGTH, model=ModelSettings(**{**values, **model}))


def candidate_of(settings: Settings, anchor: date) -> Checkpoint:
    return Registry(settings.registry).find(CANDIDATE, anchor, read_inputs(settings, anchor).hash)


@pytest.fixture
def settings(tmp_path: Path) -> Callable[..., Settings]:
    """``settings(epochs=3)`` changes the small model's."""
    return partial(small, tmp_path / "home")
