import gzip
import hashlib
from collections import Counter, defaultdict
from dataclasses import replace
from datetime import date, timedelta

import pytest

from recpipe.arriving import arriving_files
from recpipe.errors import UserError
from recpipe.landing import landed_files
from recpipe.sample import Sample, write_sample
from recpipe.sources.fields import DAY
from recpipe.sources.files import records_of
from recpipe.sources.formats import parse
from recpipe.sources.records import Reject

SAMPLE = Sample()


@pytest.fixture(scope="module")
def landing(tmp_path_factory):
    return tmp_path_factory.mktemp("sample")


@pytest.fixture(scope="module")
def planted(landing):
    return write_sample(landing, SAMPLE)


@pytest.fixture(scope="module")
def arrivals(landing, planted):
    """By kind and day of arrival: outcomes of the lines."""
    outcomes = defaultdict(list)
    for file in arriving_files(landing, set(), SAMPLE.last_day).files:
        decode = file.layout.decoder()
        outcomes[file.kind, file.arrived_on] = [
            parse(line.content, file.layout.format, decode, file.arrived_on)
            for line in records_of(file.path, file.layout)
        ]
    return outcomes


@pytest.fixture(scope="module")
def reviews(arrivals):
    """By day of arrival: accepted reviews."""
    return {
        day: [outcome.record for outcome in outcomes if not isinstance(outcome, Reject)]
        for (kind, day), outcomes in arrivals.items()
        if kind == "reviews"
    }


def test_ten_days_arrive_and_the_first_is_the_history(landing, planted, arrivals):
    days = [date(2024, 3, day) for day in range(1, 11)]
    assert sorted(arrivals) == sorted((kind, day) for kind in ("items", "reviews") for day in days)
    for kind in ("reviews", "items"):
        assert planted.lines(kind) == {day: len(arrivals[kind, day]) for day in days}
    assert planted.lines("reviews")[days[0]] > 10 * SAMPLE.users
    assert all(200 <= planted.lines("reviews")[day] <= 500 for day in days[1:])


def test_it_says_what_was_written(planted):
    assert str(planted).startswith(f"{planted.lines('reviews').total():,} lines of reviews and 980 of items, arriving")
    said = str(planted).partition("; among them ")[2].split(", ")
    assert said == [f"{count} {fault}" for fault, count in sorted(planted.faults.items())]
    assert {"late", "twice"} < planted.faults.keys()


def test_bad_lines_are_as_many_as_planted_and_few(planted, arrivals):
    outcomes = [outcome for lines in arrivals.values() for outcome in lines]
    reasons = Counter(outcome.reason for outcome in outcomes if isinstance(outcome, Reject))
    assert reasons == planted.total("reasons")
    assert reasons.total() > 50
    assert reasons.keys() == {"missing_user", "bad_rating", "dated_before_1995", "not_json"}
    for lines in arrivals.values():
        assert sum(isinstance(outcome, Reject) for outcome in lines) <= 0.005 * len(lines)
    assert not any(outcome.notes for outcome in outcomes if not isinstance(outcome, Reject))


def test_duplicates_edits_and_late_reviews_are_as_many_as_planted(planted, reviews):
    twice = edited = late = 0
    seen = set()
    for day in sorted(reviews):
        keys = [review[:3] for review in reviews[day]]
        twice += len(keys) - len(set(keys))
        edited += len(set(keys) & seen)
        if day > min(reviews):
            midnight = (day - date(1970, 1, 1)).days * DAY
            late += sum(key[2] < midnight for key in set(keys) - seen)
        seen |= set(keys)
    assert (twice, edited, late) == tuple(planted.faults[name] for name in ("twice", "edited", "late"))
    assert min(twice, edited, late) > 5


def test_new_users_and_new_items_come_every_day(arrivals, reviews):
    days = sorted(reviews)
    known = {review.user_id for review in reviews[days[0]]}
    for day in days[1:]:
        users = {review.user_id for review in reviews[day]}
        assert len(users - known) >= 3
        known |= users
        assert 1 <= len(arrivals["items", day]) <= 2
    assert len(known) == SAMPLE.users


def test_items_read_well_and_some_have_no_metadata(arrivals, reviews):
    items = [outcome.record for (kind, _), lines in arrivals.items() for outcome in lines if kind == "items"]
    assert len({item.item_id for item in items}) == len(items) == 0.98 * SAMPLE.items
    assert all(" No. " in item.title and len(item.categories) == 3 and item.price > 0 for item in items)
    reviewed = {review.item_id for day in reviews.values() for review in day}
    assert 0 < len(reviewed - {item.item_id for item in items}) <= 0.02 * SAMPLE.items


def test_about_twelve_reviews_a_user_with_a_long_tail(reviews):
    counts = Counter(key[0] for key in {review[:3] for day in reviews.values() for review in day})
    per_user = sorted(counts.values())
    assert 11 <= sum(per_user) / len(per_user) <= 13
    assert per_user[len(per_user) // 2] <= 10
    assert per_user[-1] >= 50


def test_the_last_purchase_tells_the_next_and_popularity_does_not(arrivals, reviews):
    """What is planted: of each user's later purchases, how many are among ten items further along the user's chains."""
    titles = {
        outcome.record.item_id: outcome.record
        for (kind, _), lines in arrivals.items()
        for outcome in lines
        if kind == "items"
    }
    chains = defaultdict(dict)
    for item in titles.values():
        chains[item.categories[1]][int(item.title.rsplit(" ", 1)[1])] = item.item_id
    histories = defaultdict(list)
    for user_id, item_id, at in sorted(
        {review[:3] for day in reviews.values() for review in day}, key=lambda key: key[2]
    ):
        if item_id in titles:
            histories[user_id].append((at, item_id))
    cut = (date(2024, 2, 20) - date(1970, 1, 1)).days * DAY
    popular = [
        item for item, _ in Counter(item for past in histories.values() for at, item in past if at < cut).most_common()
    ]
    of_chain, of_popularity = [], []
    for history in histories.values():
        past, later = [item for at, item in history if at < cut], {item for at, item in history if at >= cut}
        if past and later:
            of_chain.append(len(later & set(further(past, chains, titles))) / len(later))
            of_popularity.append(len(later & set([item for item in popular if item not in past][:10])) / len(later))
    assert len(of_chain) > 1000
    assert sum(of_chain) / len(of_chain) > 0.5
    assert 0.01 < sum(of_popularity) / len(of_popularity) < 0.1


def further(past, chains, titles):
    """Seven items of the user's main taste and three of the other, after the last one of each."""
    tastes = Counter(titles[item].categories[1] for item in past).most_common(2)
    found = []
    for (taste, _), many in zip(tastes, (7, 3), strict=False):
        last = next(item for item in reversed(past) if titles[item].categories[1] == taste)
        step = int(titles[last].title.rsplit(" ", 1)[1])
        chain = sorted(chains[taste].items(), key=lambda place: (place[0] <= step, place[0]))
        found += [item for _, item in chain if item not in past][:many]
    return found


def digest(landing):
    files = landed_files(landing)
    assert files
    return hashlib.sha256(b"".join(file.path.name.encode() + file.path.read_bytes() for file in files)).hexdigest()


def test_equal_samples_give_equal_bytes_and_others_do_not(tmp_path):
    small = replace(SAMPLE, users=200, items=150, days=3)
    for name, sample in (("a", small), ("b", small), ("c", replace(small, seed=8))):
        write_sample(tmp_path / name, sample)
    assert digest(tmp_path / "a") == digest(tmp_path / "b") != digest(tmp_path / "c")


def test_the_default_shop_is_what_it_always_was(landing, planted):
    """Its bytes as they were before there was any other format; the demo's lists and figures rest on them."""
    contents = hashlib.sha256()
    for file in landed_files(landing):
        content = file.path.read_bytes()
        contents.update(f"{file.kind}/{file.arrived_on}/{file.path.name}\n".encode())
        # Not the compressed bytes: another zlib may compress otherwise.
        contents.update(gzip.decompress(content) if file.path.suffix == ".gz" else content)
    assert contents.hexdigest() == "b19125b1f04260905193e59eef1e082638536cf40513b15516b229b9dfd0fac8"


def test_the_last_day_is_moved_at_will(tmp_path):
    write_sample(tmp_path, replace(SAMPLE, users=100, items=100, days=2, last_day=date(2020, 1, 1)))
    assert {file.arrived_on for file in landed_files(tmp_path)} == {
        date(2020, 1, 1) - timedelta(days=n) for n in (0, 1)
    }


def test_a_shop_that_is_too_small_is_refused(tmp_path):
    for small in ({"users": 10}, {"items": 10}, {"days": 0}):
        with pytest.raises(UserError, match="expected at least 100 users"):
            write_sample(tmp_path, replace(SAMPLE, **small))
