"""Public data as the published figures use it: who had which items in which order, and how each is split."""

import gzip
import json
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from recpipe.evaluation import splits
from recpipe.evaluation.metrics import Lists
from recpipe.model.content import Catalogue, ItemContent
from recpipe.model.examples import EvaluationUsers, Sequences
from recpipe.settings import CHECKOUT
from recpipe.tables import TYPE_CODES

REAL = CHECKOUT.parent / "shared" / "data"
SECONDS_A_DAY = 86_400
FIRST_DAY = 10_000  # the files tell seconds between a user's items, and no date


@dataclass(frozen=True)
class Shop:
    """Every user's items and the days on which they came, in the order of time."""

    items: list[list[int]]
    days: list[list[int]]
    catalogue: Catalogue
    tied: np.ndarray | None = None  # (users,): whether the last two items came in the same second

    def rows(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """User, item and day of every interaction, as `splits` takes them."""
        users = np.repeat(np.arange(len(self.items)), [len(its) for its in self.items])
        return users, np.concatenate(self.items), np.concatenate(self.days)

    def histories(self, length: int, left_out: int) -> Sequences:
        """The last ``length`` items of each user before the ``left_out`` last ones."""
        shape = (len(self.items), length)
        items, days, types = np.full(shape, -1, np.int32), np.zeros(shape, np.int32), np.zeros(shape, np.int32)
        for row, (its, theirs) in enumerate(zip(self.items, self.days, strict=True)):
            until = len(its) - left_out
            kept = slice(max(until - length, 0), until)
            if count := until - kept.start:
                items[row, -count:], days[row, -count:] = its[kept], theirs[kept]
                types[row, -count:] = TYPE_CODES["review"]
        return Sequences(items, days, types, np.zeros((len(items), 1), np.int32))


@dataclass(frozen=True)
class Split:
    """Rows to train on, anew for each epoch, and users to judge on: to choose the epochs, and after that once."""

    catalogue: Catalogue
    trial: Callable[[], Sequences]
    chooses: EvaluationUsers
    whole: Callable[[], Sequences]
    judges: EvaluationUsers


def leave_one_out(shop: Shop, length: int, seed: int) -> Split:
    """A user's last item is for the test, the one before for validation; ``seed`` draws nothing here."""

    def found(last: int) -> EvaluationUsers:
        split = splits.leave_one_out(*shop.rows(), last)
        return EvaluationUsers(shop.histories(length, last), split.histories, split.targets, strangers=Lists.of([]))

    trial, whole = (shop.histories(length + 1, last) for last in (2, 1))
    return Split(shop.catalogue, lambda: trial, found(2), lambda: whole, found(1))


def random_split(shop: Shop, length: int, seed: int) -> Split:
    """A quarter of each user's items, drawn at random, is for the test; a tenth of the others for validation.

    Past and future are mixed in this split. A history's order then says nothing about what is left out, so that every
    epoch sees another one.
    """
    draws = np.random.default_rng(seed)
    test = splits.random_split(*shop.rows(), 1 / 4, draws)
    whole = [its.tolist() for its in np.split(test.histories.values, test.histories.offsets[1:-1])]
    validation = [max(round(len(its) * 3 / 40), 1) for its in shop.items]
    chosen = Lists.of([its[:count] for its, count in zip(whole, validation, strict=True)])
    trial = [its[count:] for its, count in zip(whole, validation, strict=True)]

    def shuffled(lists: list[list[int]]) -> Sequences:
        return _without_days([draws.permutation(its).tolist() for its in lists]).histories(length + 1, 0)

    def found(seen: list[list[int]], targets: Lists) -> EvaluationUsers:
        return EvaluationUsers(
            _without_days(seen).histories(length, 0), Lists.of(seen), targets, strangers=Lists.of([])
        )

    return Split(
        shop.catalogue,
        lambda: shuffled(trial),
        found(trial, chosen),
        lambda: shuffled(whole),
        found(whole, test.targets),
    )


def _without_days(items: list[list[int]]) -> Shop:
    return Shop(items, [[FIRST_DAY] * len(its) for its in items], Catalogue(np.zeros(0, np.int32), ItemContent.none(0)))


def amazon(name: str) -> Shop:
    """A category of Amazon 2014 as S3-Rec prepared it: five items a user and users an item at least, and attributes."""
    folder, items, days, tied = REAL / "amazon2014_s3rec", [], [], []
    with gzip.open(folder / f"{name}_time_deltas.txt.gz", "rt") as lines:
        for line in lines:
            its, gaps = ([int(part) for part in half.split()] for half in line.split("\t"))
            items.append(its[1:])
            days.append((FIRST_DAY + np.cumsum([0, *gaps[:-1]]) // SECONDS_A_DAY).tolist())
            tied.append(gaps[-2] == 0)
    attributes = json.loads((folder / f"{name}_item2attributes.json").read_text())
    return Shop(items, days, _catalogue(items, attributes), np.array(tied))


def movielens_1m() -> Shop:
    """MovieLens 1M as SASRec prepared it; the file tells the order alone."""
    items: dict[int, list[int]] = {}
    with gzip.open(REAL / "movielens" / "ml-1m" / "sasrec_ml-1m.txt.gz", "rt") as lines:
        for line in lines:
            user, item = map(int, line.split())
            items.setdefault(user, []).append(item)
    return replace(_without_days(list(items.values())), catalogue=_catalogue(list(items.values()), {}))


def movielens_100k() -> Shop:
    """All ratings, whatever they say, with the films' genres."""
    folder, items = REAL / "movielens" / "ml-100k", {}
    for line in (folder / "u.data").read_text().splitlines():
        user, item, _, _ = map(int, line.split("\t"))
        items.setdefault(user, []).append(item)
    films = [line.split("|") for line in (folder / "u.item").read_text("latin-1").splitlines()]
    genres = {film[0]: [at for at, is_of in enumerate(film[5:], start=1) if is_of == "1"] for film in films}
    return replace(_without_days(list(items.values())), catalogue=_catalogue(list(items.values()), genres))


def _catalogue(items: list[list[int]], attributes: dict[str, list[int]]) -> Catalogue:
    numbers = np.unique(np.concatenate([np.array(its) for its in items])).astype(np.int32)
    its = [attributes.get(str(number), []) for number in numbers.tolist()]
    categories = np.zeros((len(numbers), max(1, *map(len, its))), np.int32)
    for row, one in enumerate(its):
        categories[row, : len(one)] = one
    return Catalogue(numbers, replace(ItemContent.none(len(numbers)), categories=categories))
