"""The best unseen items of a block of users, by exact search. Arrow and numpy in and out; Spark stays outside."""

from dataclasses import dataclass
from typing import Self

import faiss
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from recpipe.errors import UserError

DECIMALS = 6
"""Scores are rounded before they are ranked: what differs below may differ between machines."""
CELLS_A_SEARCH = 1 << 20
"""Users times candidates in one search, which bounds its memory."""

LISTS = pa.schema(
    [
        ("user_id", pa.string()),
        ("rank", pa.int32()),
        ("item_id", pa.string()),
        ("score", pa.float64()),
        ("source", pa.string()),
    ]
)


Best = tuple[np.ndarray, np.ndarray]  # places and scores, the best first
_NOTHING: Best = (np.empty(0, np.int64), np.empty(0, np.float64))


@dataclass(frozen=True)
class Catalogue:
    """What may be recommended. An item's place is its position by item_id: of equal scores the smaller place wins."""

    item_ids: pa.StringArray  # (items,) ascending
    place_of: np.ndarray  # (largest item number + 1,) place by item number
    popular: np.ndarray  # (items,) places, the most popular first
    popularity: np.ndarray  # (items,) target interactions of the last 30 days, by place
    places: np.ndarray  # (vectors,) place of each vector, ascending
    vectors: np.ndarray  # (vectors, size) float32; not every item needs one
    model_version: str | None  # of the vectors; None without any

    @classmethod
    def of(cls, features: pa.Table, embeddings: pa.Table) -> Self:
        """From a day's item_features and item_embeddings.

        Raises:
            UserError: a vector is not finite, not as long as the others, of another model, or of no item of the day.
        """
        features, embeddings = features.sort_by("item_id"), embeddings.sort_by("item_id")
        versions = embeddings["model_version"].unique().to_pylist()
        if len(versions) > 1:
            raise UserError(f"expected item vectors of one model, found {', '.join(versions)}; run embed again")
        item_ids, embedded = features["item_id"].combine_chunks(), embeddings["item_id"].combine_chunks()
        places = pc.index_in(embedded, value_set=item_ids)
        if places.null_count:
            raise UserError(
                f"expected vectors of the day's items, found {places.null_count} of others; run embed again"
            )
        numbers, recent = features["item_index"].to_numpy(), features["popularity_30d"].to_numpy()
        place_of = np.zeros(numbers.max(initial=-1) + 1, np.int64)
        place_of[numbers] = np.arange(len(numbers))
        return cls(
            item_ids=item_ids,
            place_of=place_of,
            popular=np.lexsort((np.arange(len(numbers)), -features["popularity"].to_numpy(), -recent)),
            popularity=recent.astype(np.float64),
            places=places.to_numpy().astype(np.int64),
            vectors=finite_matrix(embeddings["embedding"].combine_chunks(), embedded),
            model_version=versions[0] if versions else None,
        )


def rank_block(users: pa.RecordBatch, items: Catalogue, k: int) -> pa.RecordBatch:
    """Lists for users with columns user_id, seen (item numbers, or null), embedding and model_version (or null).

    At most ``k`` rows a user: unseen items with a vector by dot product, then popular ones. What a user gets does not
    depend on the block.

    Raises:
        UserError: vectors are not finite, or do not fit the items' vectors.
    """
    seen = [items.place_of[numbers] for numbers in _lists(users["seen"])]
    chosen = _by_towers(users, seen, items, k)
    fills = [_popular_unseen(places, of_user, items, k) for (places, _), of_user in zip(chosen, seen, strict=True)]
    towers = [len(places) for places, _ in chosen]
    lengths = [n + len(fill) for n, fill in zip(towers, fills, strict=True)]
    ranks = np.concatenate([np.arange(1, length + 1) for length in lengths])
    parts = [(chosen_, (fill, items.popularity[fill])) for chosen_, fill in zip(chosen, fills, strict=True)]
    places, scores = (np.concatenate([half[i] for both in parts for half in both]) for i in (0, 1))
    return pa.record_batch(
        [
            users["user_id"].take(pa.array(np.repeat(np.arange(users.num_rows), lengths))),
            pa.array(ranks, pa.int32()),
            items.item_ids.take(pa.array(places)),
            pa.array(scores),
            pa.array(np.where(ranks <= np.repeat(towers, lengths), "two_tower", "popular")),
        ],
        schema=LISTS,
    )


def _by_towers(users: pa.RecordBatch, seen: list[np.ndarray], items: Catalogue, k: int) -> list[Best]:
    embedded = users["embedding"].is_valid()
    versions = set(users["model_version"].drop_null().to_pylist())
    if not versions <= {items.model_version}:
        found = ", ".join(sorted(versions))
        raise UserError(
            f"expected users' vectors of the items' model {items.model_version}, found {found}; run embed again"
        )
    vectors = finite_matrix(users["embedding"].filter(embedded), users["user_id"].filter(embedded))
    rows = np.flatnonzero(embedded)
    best = best_unseen(vectors, [seen[row] for row in rows], items, k)
    by_row = dict(zip(rows, best, strict=True))
    return [by_row.get(row, _NOTHING) for row in range(users.num_rows)]


def _lists(column: pa.ListArray) -> list[np.ndarray]:
    return [np.asarray(numbers.values if numbers.is_valid else [], np.int64) for numbers in column]


def _popular_unseen(chosen: np.ndarray, seen: np.ndarray, items: Catalogue, k: int) -> np.ndarray:
    taken = np.concatenate([chosen, seen])
    likely = items.popular[: k + len(taken)]
    return likely[~np.isin(likely, taken)][: k - len(chosen)]


def best_unseen(users: np.ndarray, seen: list[np.ndarray], items: Catalogue, k: int) -> list[Best]:
    """For each user, a row of (users, size) float32, the ``k`` best unseen items that have a vector.

    A search finds the nearest items by single-precision scores, whose last digits depend on the machine and on the
    users beside. So the items that could be among the best are scored again in double precision and rounded; where the
    search did not reach down to all of them (many seen items, many equal scores), it is repeated four times as wide.
    """
    count, size = items.vectors.shape
    if count == 0 or len(users) == 0:
        return [_NOTHING] * len(users)
    if users.shape[1] != size:
        raise UserError(f"expected users' vectors of the items' length {size}, found {users.shape[1]}; run embed again")
    # Twice the bound on the error of a single-precision dot product, and on that of rounding.
    longest = _norms(items.vectors).max()
    margins = 2 * size * np.finfo(np.float32).eps * longest * _norms(users) + 10.0**-DECIMALS
    found: dict[int, Best] = {}
    width = min(4 * k, count)
    while missing := [row for row in range(len(users)) if row not in found]:
        step = max(1, CELLS_A_SEARCH // width)
        for rows in (missing[start : start + step] for start in range(0, len(missing), step)):
            scores, nearest = faiss.knn(users[rows], items.vectors, width, metric=faiss.METRIC_INNER_PRODUCT)
            if not np.isfinite(scores).all():
                raise UserError("expected finite scores, found vectors too long to multiply; train another model")
            for row, near, candidates in zip(rows, scores, nearest, strict=True):
                unseen = ~np.isin(items.places[candidates], seen[row])
                floor = near[unseen][:k].min(initial=np.inf) - margins[row]
                if width == count or (unseen.sum() >= k and near[-1] < floor):
                    found[row] = _ranked(users[row], candidates[unseen & (near >= floor)], items, k)
        width = min(4 * width, count)
    return [found[row] for row in range(len(users))]


def _norms(vectors: np.ndarray) -> np.ndarray:
    return np.sqrt(np.einsum("ij,ij->i", vectors, vectors, dtype=np.float64))


def _ranked(user: np.ndarray, candidates: np.ndarray, items: Catalogue, k: int) -> Best:
    exact = (items.vectors[candidates].astype(np.float64) * user.astype(np.float64)).sum(axis=1)
    scores = np.round(exact, DECIMALS)
    best = np.lexsort((candidates, -scores))[:k]
    return items.places[candidates[best]], scores[best]


def finite_matrix(vectors: pa.ListArray, names: pa.Array) -> np.ndarray:
    """The vectors as rows of a matrix, (vectors, size) float32; ``names`` say whose they are.

    Raises:
        UserError: one is not finite (it would win or lose every comparison), or not as long as the others.
    """
    lengths = np.unique(vectors.value_lengths())
    if len(lengths) > 1:
        raise UserError(f"expected vectors of one length, found {lengths.tolist()}; run embed again")
    size = int(lengths[0]) if len(lengths) else 0
    matrix = np.asarray(vectors.flatten(), np.float32).reshape(len(vectors), size)
    if not (finite := np.isfinite(matrix).all(axis=1)).all():
        raise UserError(
            f"expected finite vectors, found {(~finite).sum()} that are not, "
            f"such as that of {names[int(np.argmin(finite))]}; run embed again or train another model"
        )
    return matrix
