"""A night whose candidate is broken, run to its end: the gate refuses it, and the champion's lists are served.

The anchor day's candidate is trained and then broken; each way to break it starts from a copy of the shop. In one more
copy the lists lack a third of the users. Run by `make test-slow`.
"""

import shutil
import subprocess
from datetime import timedelta
from pathlib import Path

import pytest

from recpipe import delta
from recpipe.environments import JOBS, environment_python
from recpipe.sample import write_sample
from recpipe.settings import CHECKOUT
from recpipe.tables import RECOMMENDATIONS
from tests.end_to_end.shop import ANCHORS, SAMPLE, SMALL, Shop

FIRST, ANCHOR = ANCHORS
KINDS = ("shuffled", "constant", "not finite", "without tail")
"""Of `tests/model/broken_candidates.py`. A stale one is as good as the champion in a shop whose tastes stay."""
JUDGING = list(JOBS)[list(JOBS).index("promote_model") :]
SERVED = "from recommendations_current order by user_id, rank"


@pytest.fixture(scope="module")
def unjudged(tmp_path_factory) -> Shop:
    """The lists of the night before are the champion's; the next one stands before its gate."""
    shop = Shop(tmp_path_factory.mktemp("unjudged"), SMALL)
    write_sample(shop.home / "landing", SAMPLE)
    shop.recpipe("init")
    shop.night(ANCHOR - timedelta(days=1))
    assert served_models(shop) == champion_of(shop) != []
    run(shop, [job for job in JOBS if job not in JUDGING])
    return shop


@pytest.fixture
def shop(unjudged, tmp_path) -> Shop:
    return Shop(Path(shutil.copytree(unjudged.home, tmp_path / "shop")), SMALL)


def run(shop: Shop, jobs: list[str]) -> None:
    for job in jobs:
        shop.recpipe("run", job, "--ds", str(ANCHOR))


def champion_of(shop: Shop) -> list[tuple]:
    return shop.rows(f"select model_version from model_verdicts where verdict = 'promoted' and ds = '{FIRST}'")


def served_models(shop: Shop) -> list[tuple]:
    return shop.rows("select distinct model_version from recommendations_current where source = 'two_tower'")


def break_candidate(shop: Shop, kind: str) -> None:
    command = [str(environment_python("train")), "-m", "tests.model.broken_candidates", str(ANCHOR), kind]
    subprocess.run(command, cwd=CHECKOUT, env=shop.variables, check=True)


@pytest.fixture(scope="module")
def champions(unjudged, tmp_path_factory) -> list[tuple]:
    """What the night serves with the champion: its candidate is judged by a gate that lets nobody in."""
    home = shutil.copytree(unjudged.home, tmp_path_factory.mktemp("champions") / "shop")
    shop = Shop(Path(home), (*SMALL, ("RECPIPE_GATE__LEAST_USERS", "1000000")))
    run(shop, JUDGING)
    return shop.rows(f"select * {SERVED}")


@pytest.mark.parametrize("kind", KINDS)
def test_a_broken_candidate_is_refused_and_what_is_served_is_the_champions(shop, champions, kind):
    break_candidate(shop, kind)
    run(shop, JUDGING)
    [(verdict, reason)] = shop.rows(f"select verdict, reason from model_verdicts where ds = '{ANCHOR}'")
    print(f"{kind}: {verdict}: {reason}")
    assert verdict == "rejected"
    assert served_models(shop) == champion_of(shop)
    assert shop.rows(f"select * {SERVED}") == champions


def test_the_whole_candidate_is_served(shop, champions):
    run(shop, JUDGING)
    assert served_models(shop) == shop.rows(f"select model_version from model_verdicts where ds = '{ANCHOR}'")
    assert served_models(shop) != champion_of(shop)
    assert shop.rows(f"select * {SERVED}") != champions


def test_lists_that_lack_a_third_of_the_users_leave_what_is_served(shop):
    before = shop.rows(f"select * {SERVED}")
    run(shop, JUDGING[:-1])
    lost = " or ".join(f"user_id like '%{digit}'" for digit in (0, 4, 8))
    delta.open_table(shop.lake, RECOMMENDATIONS).delete(f"ds = '{ANCHOR}' and ({lost})")
    assert "users served" in shop.refused("run", "publish", "--ds", str(ANCHOR))
    assert shop.rows(f"select * {SERVED}") == before
