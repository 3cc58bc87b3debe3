"""The demo: a sample shop, three nights by Airflow, and what came out of them."""

import time
from collections.abc import Callable
from contextlib import suppress
from datetime import date, timedelta
from itertools import zip_longest
from pathlib import Path

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table as Grid
from rich.text import Text

from recpipe import airflow_backfill, delta, landing, reader
from recpipe.errors import UserError
from recpipe.sample import Sample, write_sample
from recpipe.settings import Settings
from recpipe.tables import ARRIVALS, KINDS, PICTURES

LAST_DAY = date(2024, 3, 10)
NIGHTS = 3
_MARK = "demo"


def run(settings: Settings, keep_up: bool, say: Callable[[str], None] = print) -> None:
    """Write the sample unless it is there, run its last nights and print lists, figures and what to try next.

    Raises:
        UserError: RECPIPE_HOME holds another shop, or a night failed.
    """
    started = time.monotonic()
    claim(settings)
    created = delta.create_tables(settings.lake)
    say(f"{len(created)} tables created in {settings.lake}" if created else f"Tables are in {settings.lake}")
    if not delta.days(settings.lake, ARRIVALS):  # also after a demo that was stopped while it wrote
        say(f"A sample shop in {settings.landing}: {write_sample(settings.landing, Sample(last_day=LAST_DAY))}")
    first = LAST_DAY - timedelta(days=NIGHTS - 1)
    say(f"Airflow, to run the nights {first} to {LAST_DAY}")
    code = airflow_backfill.backfill(settings, first, LAST_DAY, keep_up=keep_up, say=say)
    if code:
        raise UserError(f"expected {NIGHTS} good nights, found a failed one; its log is named above")
    _print_result(settings, Console(highlight=False))
    say(f"The demo took {(time.monotonic() - started) / 60:.1f} minutes.")


def claim(settings: Settings) -> None:
    """Make this the place of a made-up shop, where no real lines land.

    Raises:
        UserError: there are files of another shop.
    """
    mark = settings.home / _MARK
    if mark.exists():
        return
    found = f"files in {settings.landing}" if landing.landed_files(settings.landing, (*KINDS, PICTURES)) else None
    with suppress(UserError):  # there may be no lake yet
        found = found or (delta.days(settings.lake, ARRIVALS) and f"days taken in, in {settings.lake}")
    if found:
        raise UserError(
            f"expected a new place for a made-up shop, found {found}; name another place: export RECPIPE_HOME=.demo"
        )
    mark.parent.mkdir(parents=True, exist_ok=True)
    mark.write_text("This place holds a made-up shop. Delete it all to start over.\n")


def require_no_made_up_shop(home: Path) -> None:
    """Raises:
    UserError: a made-up shop is in ``home``, and real lines are not to be mixed with it.
    """
    if (home / _MARK).exists():
        raise UserError(
            f"expected a place of your own, found a made-up shop in {home}; "
            "name another place: export RECPIPE_HOME=~/shop"
        )


def _print_result(settings: Settings, console: Console) -> None:
    user_id = _a_user(settings)
    page = reader.show(settings.lake, user_id)
    console.print(f"\n{user_id}'s latest reviews, newest first, beside what recpipe recommends, best first:")
    console.print(_side_by_side(page))
    _print_figures(settings, console)
    commands = (
        f"show {user_id} --ds {LAST_DAY - timedelta(days=1)}",
        'query "select source, count(*) from recommendations_current group by 1"',
        "status",
    )
    console.print("\nTry next:")
    for command in commands:
        console.print(f"  .venvs/reader/bin/recpipe {command}", soft_wrap=True)


def _side_by_side(page: reader.UserPage) -> Grid:
    grid = Grid(box=SIMPLE)
    for name in ("day", "reviewed", "rank", "recommended"):
        grid.add_column(name, no_wrap=True, overflow="ellipsis", max_width=29)
    for seen, best in zip_longest(page.history, page.recommendations):
        left = (str(seen["happened_on"]), Text(seen["title"] or seen["item_id"])) if seen else ("", "")
        right = (str(best["rank"]), Text(best["title"] or best["item_id"])) if best else ("", "")
        grid.add_row(*left, *right)
    return grid


def _a_user(settings: Settings) -> str:
    """The first user with a full history to show whose list the model made."""
    users = delta.connect(settings.lake).sql(
        """select user_id from recommendations_current join user_features using (ds, user_id)
           where rank = 1 and source = 'two_tower' and review_count between 8 and 12 order by user_id limit 1"""
    )
    found = users.fetchall()
    if not found:
        raise UserError(
            "expected lists made by the model, found none: it did not beat the baselines; see `recpipe status`"
        )
    return found[0][0]


def _print_figures(settings: Settings, console: Console) -> None:
    model = next(model for model in reader.model_figures(settings.lake) if model["metrics"])
    figures = Grid("model", "Recall@10", "NDCG@10", title=f"Judged on {model['users']} users, by what they got since")
    for name, metrics in sorted(model["metrics"].items(), key=lambda found: -found[1]["ndcg_at_10"]):
        figures.add_row(name, f"{metrics['recall_at_10']:.4f}", f"{metrics['ndcg_at_10']:.4f}")
    console.print(figures)
    ndcg = {name: metrics["ndcg_at_10"] for name, metrics in model["metrics"].items()}
    best = max(ndcg.keys() - {"two_tower", "champion"}, key=lambda name: (ndcg[name], name))
    times = {name: ndcg["two_tower"] / ndcg[name] for name in ("popular_all_time", best)}
    console.print(
        f"NDCG@10 of the two-tower is {times['popular_all_time']:.1f} times that of the most popular items, and "
        f"{times[best]:.2f} times that of {best}, the best baseline ({model['verdict']} {model['anchor']})."
    )
