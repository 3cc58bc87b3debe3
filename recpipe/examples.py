"""The examples of an anchor day out of the lake: what its models and those of the next anchor learn from and are judged
on."""

from datetime import date
from itertools import pairwise

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from recpipe.anchors import cut_days
from recpipe.features import known_attributes, known_interactions, persisted
from recpipe.lake import Lake, Written
from recpipe.settings import Settings
from recpipe.tables import EVALUATION_EXAMPLES, ITEM_INDEX, TRAINING_EXAMPLES
from recpipe.transforms.core import core, each_until, left_out
from recpipe.transforms.evaluation_examples import cut_by_arrival, cut_by_happening
from recpipe.transforms.interactions import meetings, meetings_a_day
from recpipe.transforms.lines import union
from recpipe.transforms.training_examples import training_examples
from recpipe.transforms.user_attributes import with_attributes


def build_examples(
    lake: Lake, before: date | None, anchor: date, settings: Settings
) -> tuple[dict[str, Written], list[str]]:
    """The examples of an anchor day with ``before`` as the one before it, and what is to be said of them.

    The first anchor day has two cuts, one to choose epochs and one to judge. A later one has its cut for the anchor day
    after it, and is itself judged on what arrived since the one before.

    Attributes of users are those known on the anchor day, also before a cut by when things happened; for what it
    is judged on by arrival, those known on the anchor day before.
    """
    length, attributes = settings.history_length, _attributes(lake, anchor)
    with persisted(_known_meetings(lake, anchor, settings)) as known:
        cuts = cut_days(meetings_a_day(known), settings.validation_share, count=1 if before else 2)
        # Without a cut all is history: no example is left to judge on.
        blocks = pairwise([anchor, *(cuts or [anchor])])
        by_happening = [cut_by_happening(known, anchor, cut, until, length) for until, cut in blocks]
        judged = [with_attributes(union(by_happening), attributes)]
        if before:
            by_arrival = cut_by_arrival(_known_meetings(lake, before, settings), known, anchor, before, length)
            judged.append(with_attributes(by_arrival, _attributes(lake, before)))
        all_ = each_until(known, [anchor, *cuts])
        kept = core(all_, max(settings.k_core, settings.min_history), settings.k_core)
        learned = training_examples(kept, attributes, anchor, length, settings.seed)
        # Training examples come last: an anchor that has some is done.
        frames = ((EVALUATION_EXAMPLES, union(judged)), (TRAINING_EXAMPLES, learned))
        written = {table.name: lake.overwrite_partition(table, frame, anchor) for table, frame in frames}
        said = [f"anchor {anchor}: " + ", ".join(f"{table.rows:,} {name}" for name, table in written.items())]
        if kept is not all_:
            thinned = left_out(known, kept.filter(F.col("until") == F.lit(anchor)))
            said.append(f"k_core {settings.k_core} and min_history {settings.min_history} left out {thinned}")
        return written, said


def _known_meetings(lake: Lake, day: date, settings: Settings) -> DataFrame:
    happened, index = known_interactions(lake, day), lake.known(ITEM_INDEX, day)
    return meetings(happened, index, settings.target_events, settings.seed)


def _attributes(lake: Lake, day: date) -> DataFrame:
    return known_attributes(lake, day).select("user_id", "attributes")
