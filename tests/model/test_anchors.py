import pytest

from recpipe import delta, forget
from recpipe.model.anchors import (
    Decision,
    Plan,
    Rows,
    Starts,
    Users,
    champion,
    champion_before,
    examples_hash,
    item_numbering,
    opponent,
    plan_of,
    skip_reason,
    starts_of,
    undecided,
)
from recpipe.tables import ARRIVALS, ITEM_FEATURES, MODEL_VERDICTS, TRAINING_EXAMPLES
from tests.model.conftest import Interaction, arrow_table, day, training_rows
from tests.rows import arrival, item_feature

SOME = [Interaction("a", 1, 0), Interaction("a", 2, 1), Interaction("a", 3, 5), Interaction("b", 1, 2)]


def decided(shop, anchor: int, verdict: str = "promoted", **changes: object) -> None:
    row = {"ds": day(anchor), "verdict": verdict, "reason": "why", "model_version": f"v{anchor}"}
    row |= {"effective_from": day(anchor), "sequence": 0} | changes
    delta.overwrite_partition(shop.root, MODEL_VERDICTS, [row], day(anchor))


def test_undecided_anchors_are_those_up_to_ds_with_examples_and_no_verdict(shop, settings):
    for anchor in (21, 7, 14):
        shop.anchor(SOME, anchor=anchor, cut=4)
    decided(shop, 7)
    assert undecided(settings(), day(20)) == [day(14)]
    assert undecided(settings(), day(21)) == [day(14), day(21)]
    assert undecided(settings(), day(13)) == []


def test_an_anchor_waits_for_the_examples_of_the_one_before(shop, settings):
    for anchor in (7, 21):
        shop.anchor(SOME, anchor=anchor, cut=4)
    decided(shop, 7)
    assert undecided(settings(), day(21)) == []
    shop.anchor(SOME, anchor=14, cut=4)
    decided(shop, 14)
    assert undecided(settings(), day(21)) == [day(21)]


@pytest.mark.parametrize("keep_files", [False, True])
def test_an_anchor_whose_examples_went_with_an_erased_user_waits_for_new_ones(shop, settings, keep_files):
    shop.anchor(SOME, anchor=7, cut=4)
    shop.features(SOME, 7)
    assert undecided(settings(), day(7)) == [day(7)]
    forget.erase(settings(), SOME[0].user, day(8), keep_files=keep_files)
    assert undecided(settings(), day(7)) == []
    shop.anchor(SOME, anchor=7, cut=4)
    assert undecided(settings(), day(7)) == [day(7)]


def test_anchors_of_which_nobody_had_done_anything_are_decided_and_not_waited_for(shop, settings):
    """The catalogue arrives first, and reviews only after the second anchor day."""
    for anchor in (7, 14):
        delta.overwrite_partition(shop.root, ARRIVALS, [arrival(arrived_on=day(anchor))], day(anchor))
        delta.overwrite_partition(shop.root, TRAINING_EXAMPLES, [], day(anchor))
    shop.anchor(SOME, anchor=21, cut=16)
    assert undecided(settings(), day(21)) == [day(7), day(14), day(21)]
    for anchor in (7, 14, 21):
        assert skip_reason(settings(), day(anchor)).startswith("too little was known")


def test_c04_c05_the_first_anchor_cuts_in_time_for_all_users_what_it_knew(shop, settings):
    shop.anchor(SOME, anchor=7, cut=4, inner=1)
    assert plan_of(settings(), day(7)) == Plan(
        trial=Rows(day(7), day(1)),
        chooses=Users(day(7), day(1), day(4), "happened_at"),
        candidate=Rows(day(7), day(4)),
        judges=Users(day(7), day(4), day(7), "happened_at"),
        champion=Rows(day(7), day(7)),
    )


@pytest.mark.parametrize("before", [7, 14])
def test_a_later_anchor_trains_on_what_the_one_before_knew_and_is_judged_on_what_came_since(shop, settings, before):
    shop.anchor(SOME, anchor=7, cut=4, inner=1)
    shop.anchor(SOME, anchor=14, cut=4, before=7)
    shop.anchor(SOME, anchor=21, cut=4, before=14)
    assert plan_of(settings(), day(before + 7)) == Plan(
        trial=Rows(day(before), day(4)),
        chooses=Users(day(before), day(4), day(before), "happened_at"),
        candidate=Rows(day(before), day(before)),
        judges=Users(day(before + 7), day(before), day(before + 7), "arrived_on"),
        champion=Rows(day(before + 7), day(before + 7)),
    )


LEARNT = Interaction("a", 1, 0), Interaction("a", 2, 1)


@pytest.mark.parametrize(
    ("interactions", "cuts", "reason"),
    [
        ([*LEARNT, Interaction("a", 3, 3), Interaction("a", 4, 5)], (1, 4), None),
        ([*LEARNT, Interaction("a", 3, 3), Interaction("a", 4, 5)], (4, 7), "too little was known to keep parts back"),
        ([*LEARNT, Interaction("a", 3, 3), Interaction("a", 4, 5)], (7, 7), "too little was known to keep parts back"),
        ([Interaction("a", 1, 0), Interaction("a", 2, 3), Interaction("a", 3, 5)], (1, 4), "nothing to learn from"),
        ([*LEARNT, Interaction("b", 3, 3), Interaction("a", 4, 5)], (1, 4), "nothing to choose epochs on"),
        ([*LEARNT, Interaction("a", 3, 3), Interaction("b", 4, 5)], (1, 4), "nothing to judge on"),
    ],
)
def test_an_anchor_with_too_little_is_skipped_with_the_reason(shop, settings, interactions, cuts, reason):
    shop.anchor(interactions, anchor=7, inner=cuts[0], cut=cuts[1])
    found = skip_reason(settings(), day(7))
    assert found is None if reason is None else reason in found


KNOWN = [*LEARNT, Interaction("a", 3, 5), Interaction("b", 1, 2)]


def test_an_anchor_without_a_new_interaction_is_skipped(shop, settings):
    shop.anchor(KNOWN, anchor=7, cut=4, inner=1)
    shop.anchor(KNOWN, anchor=14, cut=4, before=7)
    shop.anchor([*KNOWN, Interaction("b", 2, 20)], anchor=21, cut=4, before=14)
    assert "no interaction came" in skip_reason(settings(), day(14))
    assert skip_reason(settings(), day(21)) is None


def test_a_full_history_shows_a_new_interaction_too(shop, settings):
    full = [Interaction("a", number, number // 4) for number in range(28)]
    shop.anchor(full, anchor=7, cut=4)
    shop.anchor([*full, Interaction("a", 28, 8)], anchor=14, cut=4, before=7)
    assert skip_reason(settings(), day(14)) is None


def test_a_new_item_of_a_user_who_is_not_trained_on_is_news_too(shop, settings):
    shop.anchor(KNOWN, anchor=7, cut=4, inner=1)
    shop.anchor([*KNOWN, Interaction("b", 2, 8)], anchor=14, cut=4, before=7)
    without_b = training_rows(KNOWN, 14, 14)
    delta.overwrite_partition(shop.root, TRAINING_EXAMPLES, arrow_table(without_b), day(14))
    assert skip_reason(settings(), day(14)) is None


def test_a_day_uses_the_newest_promoted_decision_up_to_it(shop):
    assert champion(shop.root, day(30)) is None
    decided(shop, 7)
    decided(shop, 14, verdict="rejected", model_version=None)
    decided(shop, 21, effective_from=day(25))
    assert champion(shop.root, day(6)) is None
    assert champion(shop.root, day(24)).model_version == "v7"
    assert champion(shop.root, day(25)).model_version == "v21"
    assert champion(shop.root, day(25)).anchor == day(21)


def test_a_training_starts_from_the_champion_of_its_last_day_that_an_earlier_anchor_made(shop, settings):
    shop.anchor(SOME, anchor=7, cut=4, inner=1)
    shop.anchor(SOME, anchor=14, cut=9, before=7)
    plan = plan_of(settings(), day(21))
    assert (plan.trial.until, plan.candidate.until) == (day(9), day(14))
    assert starts_of(settings(warm_start=True), day(21), plan) == Starts(None, None)
    decided(shop, 7)
    decided(shop, 14)
    for later in (21, 28):
        decided(shop, later, effective_from=day(8), sequence=1)
    assert starts_of(settings(warm_start=True), day(21), plan) == Starts("v7", "v14")
    assert starts_of(settings(), day(21), plan) == Starts(None, None)
    decided(shop, 14, verdict="rejected", model_version=None)
    assert starts_of(settings(warm_start=True), day(21), plan) == Starts("v7", "v7")


def test_a_candidate_never_meets_a_champion_that_knows_what_it_is_judged_on(shop):
    """As when an anchor every 7 days became one every 14: the model of day 21 learned from half of the judged days."""
    for anchor, version in ((7, "m7"), (14, "m14"), (21, "m21")):
        decided(shop, anchor, model_version=version)
    plans = {known: Plan(*[Rows(day(known), day(known))] * 5) for known in (14, 21)}

    def met(known: int) -> Decision | None:
        return opponent(shop.root, day(28), plans[known], champion_before(shop.root, day(28), day(28)))

    assert {known: met(known).model_version for known in plans} == {14: "m14", 21: "m21"}
    decided(shop, 21, verdict="withdrawn", model_version=None)
    assert met(14) is None  # nothing serves, so there is no place to take


def test_the_numbering_as_of_an_anchor_ignores_later_items(shop):
    empty = item_numbering(shop.root, day(7))
    shop.number_items(3)
    before = item_numbering(shop.root, day(7))
    shop.number_items(4, first_arrived=9)
    assert item_numbering(shop.root, day(7)) == before != empty
    assert item_numbering(shop.root, day(9)) != before


def test_the_hash_of_the_examples_follows_the_rows_and_not_their_order(shop, settings):
    def hash_of(known, now):
        shop.anchor(known, anchor=7, cut=4, inner=1)
        shop.anchor(now, anchor=14, cut=4, before=7)
        return examples_hash(settings(), plan_of(settings(), day(14)))

    before = hash_of(KNOWN, [*KNOWN, Interaction("b", 2, 8)])
    assert hash_of(KNOWN[::-1], [Interaction("b", 2, 8), *KNOWN]) == before
    others = hash_of(KNOWN[:-1], [*KNOWN, Interaction("b", 2, 8)]), hash_of(KNOWN, [*KNOWN, Interaction("b", 3, 8)])
    assert len({before, *others}) == 3
    told = training_rows(KNOWN, 7, 4)
    told[0]["attributes"] = [1, 0, 0]
    rows = [*training_rows(KNOWN, 7, 1), *told, *training_rows(KNOWN, 7, 7)]
    assert hash_of(KNOWN, [*KNOWN, Interaction("b", 2, 8)]) == before
    delta.overwrite_partition(shop.root, TRAINING_EXAMPLES, arrow_table(rows), day(7))
    assert examples_hash(settings(), plan_of(settings(), day(14))) != before


@pytest.mark.parametrize("read", ["text", "sentence"])
def test_the_hash_of_the_examples_follows_titles_where_a_model_reads_them(shop, settings, read):
    shop.anchor(KNOWN, anchor=7, cut=4, inner=1)
    plan, hashes = plan_of(settings(), day(7)), []
    for title in ("Linen thread", "Garden hose"):
        rows = [item_feature("i0", 0, ds=day(7), title=title)]
        delta.overwrite_partition(shop.root, ITEM_FEATURES, rows, day(7))
        hashes.append(examples_hash(settings(item_inputs=("id", read)), plan))
    assert (hashes[0] != hashes[1]) == (read == "sentence")
