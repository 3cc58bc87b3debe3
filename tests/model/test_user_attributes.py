"""What attributes say of users: each of four groups, told by an attribute alone, takes its own items.

Users are judged after a single item that all groups take, so that their history says nothing.
"""

from dataclasses import replace
from functools import cache

import numpy as np
import torch

from recpipe.evaluation.metrics import Lists, recall_at_k
from recpipe.model.contest import Contest
from recpipe.model.examples import EvaluationUsers, Sequences
from recpipe.model.training import Trained, train
from recpipe.model_settings import ModelSettings
from tests.model.small_models import nothing_known

GROUPS, OF_GROUP, COMMON, TAKEN = 4, 20, 5, 4
ITEMS = COMMON + GROUPS * OF_GROUP


def users(count: int, seed: int) -> tuple[Sequences, Lists]:
    """An item for all and some of the group; of half of the users nothing more is known than of the others' history."""
    draw = np.random.default_rng(seed)
    groups = draw.integers(GROUPS, size=count)
    own = [draw.permutation(COMMON + group * OF_GROUP + np.arange(OF_GROUP)) for group in groups]
    items = np.array([[draw.integers(COMMON), *its[:TAKEN]] for its in own], dtype=np.int32)
    attributes = np.stack([np.zeros_like(groups), 1 + groups, 5 + draw.integers(3, size=count)], axis=1)
    sequences = Sequences(items, np.full_like(items, 19_000), np.full_like(items, 4), attributes.astype(np.int32))
    return sequences, Lists.of([its.tolist() for its in own])


@cache
def trained(*, told: bool, **changes: object) -> Trained:
    settings = ModelSettings(
        embedding_size=16, batch_size=64, epochs=10, learning_rate=0.01, warmup_steps=10, dropout=0.2, item_dropout=0.1,
        graph=False, user_tower="mlp", user_attributes=told, **changes,
    )  # fmt: skip
    sequences, _ = users(600, seed=2)
    return train(lambda: sequences, nothing_known(range(ITEMS)), settings, seed=3, epochs=10)


def judges() -> EvaluationUsers:
    sequences, targets = users(300, seed=4)
    first = sequences.items[:, :1]
    history = Sequences(first, sequences.days[:, :1], sequences.types[:, :1], sequences.attributes)
    return EvaluationUsers(history, Lists.of(first.tolist()), targets, strangers=Lists.of([]))


def recall(of: Trained, whom: EvaluationUsers) -> float:
    contest = Contest.of(whom, nothing_known(range(ITEMS)), of.known, ("id",))
    hits = contest.hits(*contest.vectors(of.model, of.known))
    return float(np.mean(recall_at_k(hits, contest.targets.lengths())))


def without_attributes(whom: EvaluationUsers) -> EvaluationUsers:
    nothing = np.zeros_like(whom.histories.attributes)
    return replace(whom, histories=replace(whom.histories, attributes=nothing))


def test_an_attribute_tells_the_taste_of_a_user_of_a_single_event():
    with_it, without = (recall(trained(told=told), judges()) for told in (True, False))
    assert with_it > without + 0.2
    assert recall(trained(told=True, loss="sampled_softmax", negatives=60), judges()) > without + 0.2


def test_without_attributes_the_model_that_reads_them_does_as_well_as_the_one_that_does_not():
    whom = without_attributes(judges())
    found, without = recall(trained(told=True), whom), recall(trained(told=False), whom)
    assert found > 0.85 * without


def test_who_does_not_read_attributes_has_the_same_bits_whatever_they_are():
    sequences, _ = users(100, seed=2)
    settings = ModelSettings(embedding_size=8, batch_size=32, epochs=2)
    both = [sequences, replace(sequences, attributes=np.zeros_like(sequences.attributes))]
    one, other = (
        train(lambda its=its: its, nothing_known(range(ITEMS)), settings, 3).model.state_dict() for its in both
    )
    assert one.keys() == other.keys()
    assert all(torch.equal(value, other[name]) for name, value in one.items())


def test_an_attribute_that_nobody_had_in_training_says_nothing():
    sequences, _ = users(100, seed=2)
    sequences.attributes[:, 2] = np.where(sequences.attributes[:, 2] == 6, 0, sequences.attributes[:, 2])
    settings = ModelSettings(embedding_size=8, batch_size=32, epochs=2, user_attributes=True)
    of_users = train(lambda: sequences, nothing_known(range(ITEMS)), settings, 3).model.attributes
    assert (of_users.embedding.weight.abs().sum(dim=1) > 0).tolist() == [number not in (0, 6) for number in range(8)]
    beside_it, alone = of_users(torch.tensor([[1, 6], [1, 0]]))
    assert torch.equal(beside_it, alone)
