import pytest

from recpipe import delta
from recpipe.model.anchors import champion, cut_of, examples_hash, item_numbering, skip_reason, undecided
from recpipe.tables import MODEL_VERDICTS
from tests.model.conftest import Interaction, day

SOME = [Interaction("a", 1, 0), Interaction("a", 2, 1), Interaction("a", 3, 5), Interaction("b", 1, 2)]


def decided(shop, anchor: int, verdict: str = "promoted", **changes: object) -> None:
    row = {"ds": day(anchor), "verdict": verdict, "reason": "why", "model_version": f"v{anchor}"}
    row |= {"effective_from": day(anchor), "sequence": 0} | changes
    delta.overwrite_partition(shop.root, MODEL_VERDICTS, [row], day(anchor))


def test_undecided_anchors_are_those_up_to_ds_with_examples_and_no_verdict(shop):
    for anchor in (21, 7, 14):
        shop.anchor(SOME, anchor=anchor, cut=4)
    decided(shop, 7)
    assert undecided(shop.root, day(20)) == [day(14)]
    assert undecided(shop.root, day(21)) == [day(14), day(21)]
    assert undecided(shop.root, day(13)) == []


def test_the_cut_is_the_day_before_the_anchor_up_to_which_rows_lie(shop):
    shop.anchor(SOME, anchor=7, cut=4)
    shop.anchor(SOME, anchor=14, cut=14)
    assert cut_of(shop.root, day(7)) == day(4)
    assert cut_of(shop.root, day(14)) is None


@pytest.mark.parametrize(
    ("interactions", "cut", "reason"),
    [
        (SOME, 4, None),
        (SOME, 7, "too little was known to keep a part back"),
        ([Interaction("a", 1, 0), Interaction("a", 2, 5)], 4, "nothing to learn from"),
        ([Interaction("a", 1, 0), Interaction("a", 2, 1), Interaction("b", 2, 5)], 4, "nothing to judge on"),
    ],
)
def test_an_anchor_with_too_little_is_skipped_with_the_reason(shop, interactions, cut, reason):
    shop.anchor(interactions, anchor=7, cut=cut)
    found = skip_reason(shop.root, day(7))
    assert found is None if reason is None else reason in found


def test_an_anchor_without_a_new_interaction_is_skipped(shop):
    shop.anchor(SOME, anchor=7, cut=4)
    shop.anchor(SOME, anchor=14, cut=4)
    shop.anchor([*SOME, Interaction("b", 1, 20)], anchor=21, cut=4)
    assert skip_reason(shop.root, day(7)) is None
    assert "no interaction came" in skip_reason(shop.root, day(14))
    assert skip_reason(shop.root, day(21)) is None


def test_a_full_history_shows_a_new_interaction_too(shop):
    full = [Interaction("a", number, number // 4) for number in range(28)]
    shop.anchor(full, anchor=7, cut=4)
    shop.anchor([*full, Interaction("a", 28, 8)], anchor=14, cut=4)
    assert skip_reason(shop.root, day(14)) is None


def test_a_day_uses_the_newest_promoted_decision_up_to_it(shop):
    assert champion(shop.root, day(30)) is None
    decided(shop, 7)
    decided(shop, 14, verdict="rejected", model_version=None)
    decided(shop, 21, effective_from=day(25))
    assert champion(shop.root, day(6)) is None
    assert champion(shop.root, day(24)).model_version == "v7"
    assert champion(shop.root, day(25)).model_version == "v21"
    assert champion(shop.root, day(25)).anchor == day(21)


def test_the_numbering_as_of_an_anchor_ignores_later_items(shop):
    empty = item_numbering(shop.root, day(7))
    shop.number_items(3)
    before = item_numbering(shop.root, day(7))
    shop.number_items(4, first_arrived=9)
    assert item_numbering(shop.root, day(7)) == before != empty
    assert item_numbering(shop.root, day(9)) != before


def test_the_hash_of_the_examples_follows_the_rows_and_not_their_order(shop):
    shop.anchor(SOME, anchor=7, cut=4)
    before = examples_hash(shop.root, day(7))
    shop.anchor(SOME[::-1], anchor=7, cut=4)
    assert examples_hash(shop.root, day(7)) == before
    shop.anchor(SOME[1:], anchor=7, cut=4)
    assert examples_hash(shop.root, day(7)) != before
