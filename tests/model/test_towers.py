import numpy as np
import pytest
import torch
import torch.nn.functional as F

from recpipe.model.content import Catalogue
from recpipe.model.item_encoders import ENCODERS, TEXT_ENCODERS
from recpipe.model.item_tower import FUSIONS, ItemTower
from recpipe.model.items import Items
from recpipe.model.training import vectors
from recpipe.model.user_towers import GAP_BUCKETS, USER_TOWERS, causal, gap_buckets
from tests.model.small_models import INPUTS, config, content, inputs, model, of_strangers

ITEMS, LENGTH = 7, 5
ONE = torch.tensor([[ITEMS, ITEMS, 3, 1, 4]])
DAYS = torch.tensor([[0, 0, 100, 101, 150]])
TYPES = torch.tensor([[0, 0, 1, 4, 3]])
ATTRIBUTES = torch.tensor([[3, 0, 1]])

every_user_tower = pytest.mark.parametrize("kind", USER_TOWERS)


def users(two_tower, rows=ONE, days=DAYS, types=TYPES, attributes=ATTRIBUTES):
    return two_tower.users(two_tower.catalogue(inputs(ITEMS)), rows, days, types, attributes)


@every_user_tower
def test_a_place_knows_nothing_of_later_items(kind):
    two_tower, changed = model(config(ITEMS, kind=kind)), ONE.clone()
    changed[0, -1] = 6
    before, after = users(two_tower), users(two_tower, changed)
    torch.testing.assert_close(before[:, :-1], after[:, :-1])
    assert not torch.allclose(before[:, -1], after[:, -1])


@every_user_tower
def test_padding_changes_nothing(kind):
    two_tower = model(config(ITEMS, kind=kind))
    short = users(two_tower, ONE[:, 2:], DAYS[:, 2:], TYPES[:, 2:])
    torch.testing.assert_close(users(two_tower)[:, 2:], short)


@every_user_tower
def test_the_order_of_the_history_counts(kind):
    two_tower, swapped = model(config(ITEMS, kind=kind)), torch.tensor([[ITEMS, ITEMS, 1, 3, 4]])
    assert not torch.allclose(users(two_tower)[:, -1], users(two_tower, swapped)[:, -1])


@every_user_tower
def test_time_gaps_count_if_wanted_and_the_calendar_never_does(kind):
    for wanted in (True, False):
        two_tower = model(config(ITEMS, kind=kind, time_gaps=wanted))
        torch.testing.assert_close(users(two_tower, days=DAYS + 1000)[:, 2:], users(two_tower)[:, 2:])
        at_once = users(two_tower, days=torch.zeros_like(DAYS))
        assert torch.allclose(users(two_tower)[:, -1], at_once[:, -1]) != wanted


def test_event_types_count_if_wanted():
    for wanted in (True, False):
        two_tower = model(config(ITEMS, event_types=wanted))
        viewed = users(two_tower, types=(TYPES > 0).long())
        assert torch.allclose(users(two_tower)[:, -1], viewed[:, -1]) != wanted


def test_attributes_count_if_wanted_whatever_their_order_and_padding():
    for wanted in (0, 4):
        two_tower = model(config(ITEMS, attributes=wanted))
        before = users(two_tower)
        assert torch.allclose(before, users(two_tower, attributes=torch.tensor([[3, 0, 2]]))) != bool(wanted)
        for same in ([[1, 3]], [[0, 1, 0, 3, 0]], [[3, 9, 1]]):  # 9 was given after the training
            torch.testing.assert_close(users(two_tower, attributes=torch.tensor(same)), before)


def test_a_user_of_whom_no_attribute_is_known_is_one_of_the_tower_without_them():
    two_tower = model(config(ITEMS, attributes=4))
    told, untold = (users(two_tower, attributes=torch.tensor(one)) for one in ([[1, 2]], [[0, 9]]))
    two_tower.attributes = None
    torch.testing.assert_close(users(two_tower), untold, rtol=0, atol=0)
    assert not torch.allclose(users(two_tower), told)


@every_user_tower
def test_an_empty_history_is_finite(kind):
    nothing = torch.full((2, LENGTH), ITEMS)
    empty = torch.zeros_like(nothing)
    assert torch.isfinite(users(model(config(ITEMS, kind=kind)), nothing, empty, empty)).all()


def test_stored_vectors_give_the_score_as_a_plain_dot_product():
    two_tower = model(config(ITEMS, inputs=INPUTS, edges=3))
    items = inputs(ITEMS)
    table = two_tower.catalogue(items)
    scores = users(two_tower)[:, -1] @ two_tower.candidates(table).T + two_tower.bias(items)  # (1, items)
    stored = two_tower.user_vectors(table, ONE, DAYS, TYPES, ATTRIBUTES), two_tower.item_vectors(table, items)
    torch.testing.assert_close(stored[0] @ stored[1].T, scores)
    assert [tuple(part.shape) for part in stored] == [(1, 9), (ITEMS, 9)]


def test_the_score_is_the_cosine_over_the_temperature_plus_the_bias():
    two_tower, items = model(config(ITEMS)), inputs(ITEMS)
    user, item = users(two_tower)[:, -1], two_tower.candidates(two_tower.catalogue(items))
    torch.testing.assert_close(item.norm(dim=-1), torch.ones(ITEMS))
    assert ((user @ item.T) / two_tower.log_scale.exp()).abs().max() <= 1 + 1e-6
    lengths = user.norm(dim=-1)
    torch.testing.assert_close(lengths, torch.full_like(lengths, two_tower.log_scale.exp().item()))


def test_gaps_fall_into_buckets_by_powers_of_two():
    days = torch.tensor([[0, 1, 4, 10_000]])
    assert gap_buckets(days)[0].tolist() == [
        [0, 0, 0, 0],
        [1, 0, 0, 0],
        [3, 2, 0, 0],
        [GAP_BUCKETS - 1] * 3 + [0],
    ]


@pytest.mark.parametrize("fusion", FUSIONS)
@pytest.mark.parametrize("text_encoder", TEXT_ENCODERS)
def test_each_input_moves_the_vector_of_its_item_alone(fusion, text_encoder):
    tower = model(config(ITEMS, inputs=INPUTS, fusion=fusion, text_encoder=text_encoder)).item_tower
    items = inputs(ITEMS)
    before = tower(items)
    assert before.shape == (ITEMS, 8)
    fields = {"ids": 5, "categories": 4, "brand": 3, "price": 5, "text": 6, "sentence": 4, "image": 5}
    for field, value in fields.items():
        changed = getattr(items, field).clone()
        changed[0] = value
        moved = (tower(items._replace(**{field: changed})) - before).abs().sum(dim=1) > 1e-7
        assert moved.tolist() == [True] + [False] * (ITEMS - 1), field


@pytest.mark.parametrize("fusion", FUSIONS)
@pytest.mark.parametrize("missing", [*ENCODERS, "id"])
def test_what_is_missing_or_unheard_of_weighs_nothing(fusion, missing):
    field = "ids" if missing == "id" else missing
    two_tower = model(config(ITEMS, inputs=INPUTS, fusion=fusion))
    items = inputs(ITEMS)
    absent = torch.full_like(getattr(items, field), ITEMS if missing == "id" else 0)
    without = two_tower.item_tower(items._replace(**{field: absent}))
    if missing not in ("id", "sentence", "image"):  # numbers that the vocabulary gave after the training
        torch.testing.assert_close(two_tower.item_tower(items._replace(**{field: absent + 1000})), without)
    encoder = two_tower.item_tower.ids if missing == "id" else two_tower.item_tower.encoders[missing]
    with torch.no_grad():
        for name, parameter in encoder.named_parameters():
            if not name.endswith("embedding.weight") and missing != "id":
                parameter.add_(1.0)
    torch.testing.assert_close(two_tower.item_tower(items._replace(**{field: absent})), without)


@pytest.mark.parametrize("text_encoder", TEXT_ENCODERS)
def test_a_text_says_the_same_beside_a_longer_one(text_encoder):
    tower = model(config(ITEMS, inputs=("text",), text_encoder=text_encoder)).item_tower
    items = inputs(2)._replace(text=torch.tensor([[1, 5, 0, 0], [3, 4, 5, 6]]))
    alone, beside = (tower(items.take(torch.tensor(rows)))[0] for rows in ([0], [0, 1]))
    torch.testing.assert_close(alone, beside)


@pytest.mark.parametrize("text_encoder", TEXT_ENCODERS)
def test_words_behind_an_unheard_of_one_count_whatever_the_other_items_are(text_encoder):
    tower, items = model(config(ITEMS, inputs=("text",), text_encoder=text_encoder)).item_tower, inputs(2)
    with_unheard_of = items._replace(text=torch.tensor([[1, 1000, 2, 0], [3, 4, 5, 6]]))
    alone, beside = (tower(with_unheard_of.take(torch.tensor(rows)))[0] for rows in ([0], [0, 1]))
    torch.testing.assert_close(alone, beside)


@pytest.mark.parametrize("fusion", FUSIONS)
def test_an_item_of_which_nothing_is_known_is_zero(fusion):
    tower = model(config(ITEMS, inputs=INPUTS[1:], fusion=fusion)).item_tower
    assert tower(inputs(ITEMS))[-1].tolist() == [0.0] * 8


def test_ids_are_dropped_in_training_where_content_can_stand_for_them_and_on_average_nothing_changes():
    shape = config(ITEMS, inputs=("id", "brand"), id_dropout=0.75)
    tower, items = model(shape).item_tower.train(), inputs(ITEMS)
    torch.manual_seed(1)
    drawn = torch.stack([tower(items) for _ in range(2000)])  # (draws, items, size)
    by_content, _ = tower.encoders["brand"](items)
    shares = ((drawn - by_content).abs().sum(dim=2) > 1e-5).float().mean(dim=0)
    assert shares[-1] == 1  # nothing else is known of it
    torch.testing.assert_close(shares[:-1], torch.full_like(shares[:-1], 0.25), rtol=0, atol=0.05)
    torch.testing.assert_close(drawn.mean(dim=0), model(shape).item_tower(items), rtol=0, atol=0.05)


def test_an_item_without_an_id_is_ranked_by_its_content():
    two_tower = model(config(3, inputs=("id", "brand"), edges=2))
    known = np.array([2, 5, 9], dtype=np.int32)
    catalogue = Catalogue(np.array([2, 5, 7, 9], dtype=np.int32), content(5).take(np.array([0, 1, 2, 3])))
    history = of_strangers(*(np.array([[pad, value]]) for pad, value in ((-1, 7), (0, 19_000), (0, 4))))
    user, items = vectors(two_tower, known, history, catalogue)
    alone = ItemTower(two_tower.config.item)
    alone.load_state_dict(two_tower.item_tower.state_dict())
    cold = alone.eval()(Items.of(np.array([3]), catalogue.content.take(np.array([2]))))[0].detach()
    np.testing.assert_allclose(items[2, :-1], torch.nn.functional.normalize(cold, dim=0).numpy(), rtol=1e-5)
    assert items[2, -1] == items[[0, 1, 3], -1].min()
    assert np.isfinite(user).all()
    nobody = of_strangers(*(np.array([[pad, value]]) for pad, value in ((-1, 6), (0, 19_000), (0, 4))))
    assert not np.allclose(vectors(two_tower, known, nobody, catalogue)[0], user)


def test_the_bias_of_an_item_without_an_id_is_low_but_no_outlier():
    two_tower = model(config(100))
    with torch.no_grad():
        two_tower.item_bias.copy_(torch.arange(100.0).roll(7))
        two_tower.item_bias[3] = -1000
    known = sorted(two_tower.item_bias.tolist())
    without = two_tower.bias(Items.of(np.array([3, 100]), content(2)))
    assert without.tolist() == [-1000, known[4]]


def test_attention_is_the_librarys_with_recency_as_its_bias():
    tower = model(config(ITEMS, heads=2)).user_tower
    attention, x = tower.blocks[0].attention, torch.randn(3, LENGTH, 8)
    allowed = causal(torch.tensor([[False, False, True, True, True]]).expand(3, -1))
    gaps = gap_buckets(DAYS.expand(3, -1))
    with torch.no_grad():
        parts = attention.query_key_value(x).unflatten(2, (3, 2, 4)).permute(2, 0, 3, 1, 4)
        bias = attention.recency(gaps, LENGTH).masked_fill(~allowed[:, None], -torch.inf)
        expected = F.scaled_dot_product_attention(*parts, attn_mask=bias)
        found = attention(x, gaps, allowed)
    torch.testing.assert_close(found, attention.out(expected.transpose(1, 2).flatten(2)))


def zeros_of_a_training(name, **changes):
    """The share of zeros in what goes into a module in training, and of users x places that are zero throughout."""
    two_tower, seen = model(config(ITEMS, **{"dropout": 0.0, "item_dropout": 0.0} | changes)).train(), []
    two_tower.get_submodule(name).register_forward_pre_hook(lambda _, given: seen.append(given[0][:, 2:]))
    users(two_tower, ONE.expand(200, -1), DAYS.expand(200, -1), TYPES.expand(200, -1), ATTRIBUTES.expand(200, -1))
    is_zero = (seen[0] == 0).flatten(2)
    return is_zero.float().mean().item(), is_zero.all(dim=2).float().mean().item()


def test_items_of_a_history_are_dropped_whole():
    assert zeros_of_a_training("user_tower") == (0, 0)
    assert zeros_of_a_training("user_tower", item_dropout=0.25)[1] == pytest.approx(0.25, abs=0.06)


@every_user_tower
def test_numbers_are_dropped_on_the_way_into_every_tower(kind):
    alone, whole = zeros_of_a_training("user_tower", kind=kind, dropout=0.5)
    assert alone == pytest.approx(0.5, abs=0.05)
    assert whole < 0.05


@pytest.mark.parametrize("name", ["attention.dropout", "dropout"])
def test_attention_drops_weights_and_what_a_block_adds(name):
    torch.manual_seed(0)
    block, x = model(config(ITEMS, dropout=0.5)).train().user_tower.blocks[0], torch.randn(200, LENGTH, 8)
    made = []
    block.get_submodule(name).register_forward_hook(lambda *given: made.append(given[2]))
    block(x, gap_buckets(DAYS.expand(200, -1)), causal(torch.ones(200, LENGTH, dtype=torch.bool)))
    kept = made[0][made[0] != 0]
    assert len(kept) == pytest.approx(0.5 * (15 / 25 if "attention" in name else 1) * made[0].numel(), rel=0.1)


def test_without_layers_a_user_is_the_mean_of_the_history_weighted_by_recency():
    two_tower = model(config(ITEMS, kind="mlp", blocks=0))
    assert set(dict(two_tower.user_tower.named_parameters())) == {"recency.position", "recency.gap"}
    x, known = torch.randn(1, LENGTH, 8), torch.tensor([[False, False, True, True, True]])
    with torch.no_grad():
        two_tower.user_tower.recency.gap.zero_()
        two_tower.user_tower.recency.position[0, :3] = torch.tensor([3.0, 2.0, 1.0]).log()  # by places from the last
        found = two_tower.user_tower(x, DAYS, known)
    torch.testing.assert_close(found[0, -1], (3 * x[0, 4] + 2 * x[0, 3] + x[0, 2]) / 6)
    torch.testing.assert_close(found[0, 2], x[0, 2])
