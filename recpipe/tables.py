"""The contracts of every table: what a row is, its columns, its key, its partition, its checks.

A contract is plain data. `recpipe init` creates the tables from it, `conform` fits frames to it, the audit builds its
expectations from it. Column types are Spark SQL's names; array elements are never null.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date


@dataclass(frozen=True)
class Column:
    name: str
    type: str
    comment: str
    nullable: bool = False


@dataclass(frozen=True, eq=False)
class Table:
    """One table of the lake; its name is its address.

    ``ranges`` are inclusive and hold for every element of an array column; ``values`` are the allowed texts. Both
    become expectations of the audit, and (but for arrays) CHECK constraints of the table. The first column of
    ``partition`` is the day that one write replaces.
    """

    name: str
    comment: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    partition: tuple[str, ...]
    ranges: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    values: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    may_be_empty: bool = False
    prefers: str | None = None  # of lines with one key in one arrival, the one with the greatest value here is kept
    happened_at: str | None = None  # when a row happened; the audit asks whether an arrival's newest one is fresh
    filled: tuple[str, ...] = ()  # columns that the audit wants filled as often as in the arrivals before
    rows_a_group: int | None = None  # most rows in a row group of its files, which readers share by groups

    @property
    def day_column(self) -> str:
        return self.partition[0]

    @property
    def column_names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns)

    def column(self, name: str) -> Column:
        return next(column for column in self.columns if column.name == name)


MIN_DAY = date(1995, 1, 1)
"""No shop had a review page before; an earlier date is a wrong unit or a wrong field."""

MAX_INT = 2**31 - 1
KINDS = ("reviews", "events", "items", "users")
"""What a file holds; each kind has a folder in the landing folder and a table of the same name."""

PICTURES = "images"
"""A kind, too, but a file is one picture, of the item that its name tells; folder and table as for the others."""

PICTURE_FORMATS = ("jpeg", "png", "webp", "gif")

VERSIONED = ("items", "users")
"""Kinds whose newest arrival says how things are now; those of the others add to what happened."""

EVENT_TYPES = ("view", "cart", "purchase")
INTERACTION_TYPES = (*EVENT_TYPES, "review")
TYPE_CODES = {name: code for code, name in enumerate(INTERACTION_TYPES, start=1)}
"""Interaction types as the numbers that histories hold; 0 is padding. New types are added at the end."""

FIELDS = ("text", "category", "brand", "attribute")
"""What the vocabulary numbers: of an item's metadata, and attributes of users."""
CUTS = HAPPENED_AT, ARRIVED_ON = "happened_at", "arrived_on"
"""What tells a user's history from what is to be predicted."""

SOURCES = ("two_tower", "popular")
WARM, COLD, EVERYBODY = "warm users", "cold users", "all users"
"""Segments of table metrics: users with a history, users without one, and both."""

VERDICTS = ("promoted", "rejected", "skipped", "failed", "withdrawn")
ATTEMPT_STATES = ("running", "success", "failed", "superseded")
STRANGER = ""
"""The user_id under which `recommendations_current` keeps the list for visitors nobody knows; no real id is empty."""

_ARRIVED_ON = Column("arrived_on", "date", "Day folder in which the row's file lay.")
_DS = Column("ds", "date", "UTC day that the row is for: made only of what was known that day.")
_ANCHOR = Column("ds", "date", "Anchor day: the day whose model the row belongs to.")
_USER = Column("user_id", "string", "Who.")
_ITEM = Column("item_id", "string", "What.")
_ITEM_INDEX = Column("item_index", "int", "Dense number of the item, see table item_index.")
_ATTRIBUTES = Column("attributes", "array<int>", "Numbers of age, gender and occupation; 0 is unknown.")
_MODEL_VERSION = Column("model_version", "string", "Anchor day and content hash of the model.")

ERASED_USERS = Table(
    name="erased_users",
    comment="A user who is to be forgotten; readers leave the user's rows out of every table, ingest takes none in.",
    columns=(_USER, Column("erased_on", "date", "UTC day of the request.")),
    key=("user_id",),
    partition=(),
    may_be_empty=True,
)

ARRIVALS = Table(
    name="arrivals",
    comment="A file taken in, with its counts; a day with rows here is sealed. The pictures of a day are one row of "
    "kind `images`; a day without files has one of kind `none`. lines_read = accepted + rejected + duplicates + "
    "erased.",
    columns=(
        _ARRIVED_ON,
        Column("kind", "string", "reviews, events, items, users, images, or none."),
        Column("file", "string", "Name of the file in its day folder; `images` for its pictures; empty for kind none."),
        Column("format", "string", "Format in which the file was read; empty for kinds images and none."),
        Column("origin", "string", "File that was landed, if another one was cut into days; else as file."),
        Column("sha256", "string", "Hash of the file, or of the pictures' names and hashes; empty for kind none."),
        Column("lines_read", "bigint", "Lines that are not blank, or pictures."),
        Column("accepted", "bigint", "Lines that became a row."),
        Column("rejected", "bigint", "Lines kept in rejected_rows with a reason."),
        Column("duplicates", "bigint", "Lines with the key of another line of that day, which was kept instead."),
        Column("erased", "bigint", "Lines of users who were erased by then, repeated ones included; they are no rows."),
        Column(
            "same_as",
            "string",
            "DAY/FILE that had the same bytes first; this file is not read again and counts no lines.",
            nullable=True,
        ),
    ),
    key=("arrived_on", "kind", "file"),
    partition=("arrived_on",),
    ranges=dict.fromkeys(("lines_read", "accepted", "rejected", "duplicates", "erased"), (0, 2**53)),
    values={"kind": (*KINDS, PICTURES, "none")},
)

REVIEWS = Table(
    name="reviews",
    comment="An accepted review. One review edited later is a row in a later arrival; readers take the newest.",
    columns=(
        _ARRIVED_ON,
        _USER,
        _ITEM,
        Column("reviewed_at", "timestamp", "When it was written, UTC."),
        Column("rating", "double", "Stars, 0.5 to 5, on the scale of the format."),
        Column("title", "string", "Headline.", nullable=True),
        Column("text", "string", "Body.", nullable=True),
        Column("vote", "int", "People who found it helpful.", nullable=True),
        Column("verified", "boolean", "Whether the shop saw a purchase.", nullable=True),
    ),
    key=("arrived_on", "user_id", "item_id", "reviewed_at"),
    partition=("arrived_on",),
    ranges={"rating": (0.5, 5), "vote": (0, MAX_INT)},
    may_be_empty=True,
    prefers="vote",
    happened_at="reviewed_at",
    filled=("text",),
)

EVENTS = Table(
    name="events",
    comment="An accepted behaviour event: a user viewed an item, put it into the cart, or bought it.",
    columns=(
        _ARRIVED_ON,
        _USER,
        _ITEM,
        Column("event_type", "string", "view, cart or purchase."),
        Column("occurred_at", "timestamp", "When, UTC."),
    ),
    key=("arrived_on", "user_id", "item_id", "event_type", "occurred_at"),
    partition=("arrived_on",),
    values={"event_type": EVENT_TYPES},
    may_be_empty=True,
    happened_at="occurred_at",
)

ITEMS = Table(
    name="items",
    comment="An accepted version of an item's metadata; the newest arrival as of a day is the item's.",
    columns=(
        _ARRIVED_ON,
        _ITEM,
        Column("title", "string", "Name, without markup.", nullable=True),
        Column("brand", "string", "Brand or shop.", nullable=True),
        Column("categories", "array<string>", "Path from the widest category to the narrowest; may be empty."),
        Column("price", "double", "Price in the shop's currency.", nullable=True),
        Column("description", "string", "Text, without markup.", nullable=True),
        Column("image_url", "string", "Address of the first picture.", nullable=True),
    ),
    key=("arrived_on", "item_id"),
    partition=("arrived_on",),
    ranges={"price": (0, 1e9)},
    may_be_empty=True,
    filled=("categories", "price", "image_url"),
)

USERS = Table(
    name="users",
    comment="An accepted version of what is known of a user; the newest arrival as of a day is the user's.",
    columns=(
        _ARRIVED_ON,
        _USER,
        Column("age", "int", "Years; where a shop gives a band, its lower end.", nullable=True),
        Column("gender", "string", "As the shop writes it.", nullable=True),
        Column("occupation", "string", "As the shop writes it.", nullable=True),
    ),
    key=("arrived_on", "user_id"),
    partition=("arrived_on",),
    ranges={"age": (0, 150)},
    may_be_empty=True,
)

IMAGES = Table(
    name=PICTURES,
    comment="An accepted picture of an item, one an item and arrival; the newest arrival as of a day is the item's.",
    columns=(
        _ARRIVED_ON,
        _ITEM,
        Column("file", "string", "Name of the file in its day folder."),
        Column("sha256", "string", "Hash of the file's bytes."),
        Column("format", "string", "jpeg, png, webp or gif, by its bytes and not by its name."),
        Column("width", "int", "Pixels of the first frame."),
        Column("height", "int", "Pixels of the first frame."),
        Column("bytes", "bigint", "Size of the file."),
    ),
    key=("arrived_on", "item_id"),
    partition=("arrived_on",),
    ranges={"width": (1, MAX_INT), "height": (1, MAX_INT), "bytes": (1, 2**53)},
    values={"format": PICTURE_FORMATS},
    may_be_empty=True,
)

REJECTED_ROWS = Table(
    name="rejected_rows",
    comment="A line or a picture that was not accepted, and why; never its text.",
    columns=(
        _ARRIVED_ON,
        Column("kind", "string", "reviews, events, items, users or images."),
        Column("file", "string", "Name of the file in its day folder."),
        Column("line_number", "bigint", "Line in that file, from 1; 1 for a picture."),
        Column("origin", "string", "File that was landed, if another one was cut into days; else as file."),
        Column("origin_line", "bigint", "Line in the origin, from 1."),
        Column("reason", "string", "Why, as one word such as missing_user."),
        Column("line_hash", "string", "SHA-256 of the line, or of the picture's file."),
    ),
    key=("arrived_on", "kind", "file", "line_number"),
    partition=("arrived_on",),
    ranges={"line_number": (1, 2**53), "origin_line": (1, 2**53)},
    values={"kind": (*KINDS, PICTURES)},
    may_be_empty=True,
)

ITEM_INDEX = Table(
    name="item_index",
    comment="An item and its dense number: append-only, arrivals in order, by item_id within an arrival.",
    columns=(Column("first_arrived_on", "date", "Arrival that first named the item."), _ITEM, _ITEM_INDEX),
    key=("item_id",),
    partition=("first_arrived_on",),
    ranges={"item_index": (0, MAX_INT)},
    may_be_empty=True,
)

VOCABULARY = Table(
    name="vocabulary",
    comment="A word, a category path, a brand or a user's attribute and its number. Append-only: an anchor day numbers "
    "what is new, and a number never changes its meaning; what day D knows are the rows with ds up to D.",
    columns=(
        _ANCHOR,
        Column("field", "string", "text, category, brand or attribute; each numbers for itself."),
        Column(
            "token",
            "string",
            "The word, the path from the widest category on, the brand, or an attribute such as `age 25`.",
        ),
        Column("token_id", "int", "From 1; 0 is unknown and padding."),
        Column("items", "bigint", "Items, or users, that had it on the anchor day."),
    ),
    key=("field", "token"),
    partition=("ds",),
    ranges={"token_id": (1, MAX_INT), "items": (1, 2**53)},
    values={"field": FIELDS},
    may_be_empty=True,
)

USER_FEATURES = Table(
    name="user_features",
    comment="A user as of ds. History: the last meetings with an item, oldest first. A user meets an item when first "
    "viewing it, putting it into the cart, or having it.",
    columns=(
        _DS,
        _USER,
        Column("history", "array<int>", "Item numbers, oldest first, at most history_length."),
        Column("history_days", "array<int>", "Day of each, in days since 1970-01-01."),
        Column("history_types", "array<int>", "What each was: 1 view, 2 cart, 3 purchase, 4 review."),
        Column("seen", "array<int>", "Numbers of all items that the user has, ascending; not recommended again."),
        Column("interaction_count", "bigint", "Reviews and events, repeated ones included."),
        Column("review_count", "bigint", "Reviews."),
        Column("purchase_count", "bigint", "Purchases."),
        Column("cart_count", "bigint", "Times that an item was put into the cart."),
        Column("view_count", "bigint", "Views."),
        Column("rating_mean", "double", "Mean stars; null without a review.", nullable=True),
        Column("rating_variance", "double", "Mean squared distance of the stars from their mean.", nullable=True),
        Column("first_on", "date", "Day of the first interaction."),
        Column("last_on", "date", "Day of the last interaction."),
        Column("active_days", "int", "Days with an interaction."),
        Column(
            "favourite_categories",
            "array<string>",
            "Widest categories of the items in history and seen, the most frequent first, at most 5.",
        ),
        Column("age", "int", "As table users tells it.", nullable=True),
        Column("gender", "string", "As table users tells it.", nullable=True),
        Column("occupation", "string", "As table users tells it.", nullable=True),
        _ATTRIBUTES,
    ),
    key=("ds", "user_id"),
    partition=("ds",),
    ranges={
        "history": (0, MAX_INT),
        "history_types": (1, len(TYPE_CODES)),
        "seen": (0, MAX_INT),
        "interaction_count": (1, 2**53),
        "review_count": (0, 2**53),
        "purchase_count": (0, 2**53),
        "cart_count": (0, 2**53),
        "view_count": (0, 2**53),
        "rating_mean": (0.5, 5),
        "rating_variance": (0, 25),
        "active_days": (1, MAX_INT),
        "attributes": (0, MAX_INT),
    },
)

ITEM_FEATURES = Table(
    name="item_features",
    comment="An item as of ds, with metadata or without. Popularity counts the interactions of the target events.",
    columns=(
        _DS,
        _ITEM,
        _ITEM_INDEX,
        Column("title", "string", "Name.", nullable=True),
        Column("tokens", "array<int>", "Words of title, categories and description that have a number, in order."),
        Column("categories", "array<int>", "Numbers of the path's beginnings, the widest first."),
        Column("brand", "int", "Number of the brand; 0 unknown."),
        Column("price", "double", "Price in the shop's currency.", nullable=True),
        Column("price_band", "int", "Place of the price among 1, 2, 5, 10, 20, 50, …; 0 unknown."),
        Column("has_image", "boolean", "Whether table images has a picture of it."),
        Column("popularity", "bigint", "Interactions, all time."),
        Column("popularity_1d", "bigint", "Interactions that happened on ds."),
        Column("popularity_7d", "bigint", "Interactions of the 7 days up to ds."),
        Column("popularity_30d", "bigint", "Interactions of the 30 days up to ds."),
        Column("popularity_365d", "bigint", "Interactions of the 365 days up to ds."),
        Column("trend", "double", "Logarithm of the daily rate of 7 days over that of 30; 0 is steady."),
        Column("review_count", "bigint", "Reviews, all time."),
        Column("half_stars", "bigint", "Sum of the reviews' stars, times two."),
        Column("rating_mean", "double", "Mean stars; null without a review.", nullable=True),
        Column("rating_shrunk", "double", "Mean stars, few reviews drawn to the shop's mean.", nullable=True),
    ),
    key=("ds", "item_id"),
    partition=("ds",),
    ranges={
        "item_index": (0, MAX_INT),
        "tokens": (1, MAX_INT),
        "categories": (1, MAX_INT),
        "brand": (0, MAX_INT),
        "price": (0, 1e9),
        "price_band": (0, 100),
        "popularity": (0, 2**53),
        "popularity_1d": (0, 2**53),
        "popularity_7d": (0, 2**53),
        "popularity_30d": (0, 2**53),
        "popularity_365d": (0, 2**53),
        "trend": (-20, 20),
        "review_count": (0, 2**53),
        "half_stars": (0, 2**53),
        "rating_mean": (0.5, 5),
        "rating_shrunk": (0.5, 5),
    },
)

TRAINING_EXAMPLES = Table(
    name="training_examples",
    comment="A user's last history_length + 1 interactions up to the end of day `until`, padded on the left, in "
    "shuffled order: of all that was known on day ds. `until` is ds, or a cut before it.",
    columns=(
        _ANCHOR,
        Column("until", "date", "Last day whose interactions are in the row."),
        Column("items", "array<int>", "history_length + 1 item numbers, oldest first; padding is -1."),
        Column("days", "array<int>", "Day of each, in days since 1970-01-01; padding is 0."),
        Column("types", "array<int>", "Type of each: 1 view, 2 cart, 3 purchase, 4 review; padding is 0."),
        Column("length", "int", "Interactions that are not padding."),
        _ATTRIBUTES,
        Column("shuffle_key", "bigint", "Seeded hash of the user, by which rows are sorted; stands for the user."),
    ),
    key=("ds", "until", "shuffle_key"),
    partition=("ds", "until"),
    ranges={
        "items": (-1, MAX_INT),
        "days": (-MAX_INT, MAX_INT),
        "types": (0, len(TYPE_CODES)),
        "length": (1, MAX_INT),
        "attributes": (0, MAX_INT),
    },
    may_be_empty=True,
    rows_a_group=1000,  # so 100,000 users are enough for 25 ranks of four each; a group costs 20 ms an epoch
)

EVALUATION_EXAMPLES = Table(
    name="evaluation_examples",
    comment="A user with a history up to day `cut` and the items got after it, up to day `until`. What lies up to the "
    "cut, `cut_by` tells: what had happened by then, or what had arrived.",
    columns=(
        _ANCHOR,
        Column("cut", "date", "Last day of the history."),
        Column("until", "date", "Last day of the targets."),
        Column(
            "cut_by",
            "string",
            "happened_at: history and targets are told apart by when they happened, among what was known on ds; "
            "arrived_on: the history is what was known on the day of the cut.",
        ),
        _USER,
        Column("items", "array<int>", "history_length item numbers up to the cut, oldest first; padding is -1."),
        Column("days", "array<int>", "Day of each, in days since 1970-01-01; padding is 0."),
        Column("types", "array<int>", "Type of each: 1 view, 2 cart, 3 purchase, 4 review; padding is 0."),
        Column("length", "int", "Interactions that are not padding; 0 for a user unknown at the cut."),
        _ATTRIBUTES,
        Column("seen", "array<int>", "Numbers of every item that the user had at the cut, ascending."),
        Column("targets", "array<int>", "Numbers of the items that the user got after the cut, ascending."),
    ),
    key=("ds", "cut", "cut_by", "user_id"),
    partition=("ds",),
    ranges={
        "items": (-1, MAX_INT),
        "days": (-MAX_INT, MAX_INT),
        "types": (0, len(TYPE_CODES)),
        "length": (0, MAX_INT),
        "attributes": (0, MAX_INT),
        "seen": (0, MAX_INT),
        "targets": (0, MAX_INT),
    },
    values={"cut_by": CUTS},
    may_be_empty=True,
)

METRICS = Table(
    name="metrics",
    comment="A figure of a candidate, a baseline or the champion, measured on an anchor's evaluation examples.",
    columns=(
        _ANCHOR,
        Column("model", "string", "two_tower, champion, or the baseline's name."),
        _MODEL_VERSION,
        Column(
            "segment",
            "string",
            "warm users, on whom models are judged; cold users, who have no history and get popular items; all users; "
            "or a part: of warm users by history, of what they got by the items' popularity or category.",
        ),
        Column("metric", "string", "Name of the metric, such as ndcg_at_10."),
        Column("value", "double", "Mean over users."),
        Column("lower", "double", "Lower end of its 95 % interval over users, for ndcg_at_10.", nullable=True),
        Column("upper", "double", "Upper end of it.", nullable=True),
        Column("users", "bigint", "Users over whom the mean is."),
    ),
    key=("ds", "model", "segment", "metric"),
    partition=("ds",),
    ranges={"users": (0, 2**53)},
    may_be_empty=True,
)

MODEL_VERDICTS = Table(
    name="model_verdicts",
    comment="A decision about an anchor's model: the gate's, of sequence 0, and people's after it; immutable. Day D "
    "uses the model of the decision with the greatest (effective_from, sequence) up to D.",
    columns=(
        _ANCHOR,
        Column("verdict", "string", "promoted, rejected, skipped, failed, or withdrawn: popular items serve."),
        Column("reason", "string", "Why, with the figures; what people gave as theirs."),
        Column("model_version", "string", "Anchor day and content hash of the model promoted.", nullable=True),
        Column("effective_from", "date", "First day that the decision counts for."),
        Column("sequence", "bigint", "Order of decisions effective from the same day."),
    ),
    key=("ds", "sequence"),
    partition=("ds",),
    values={"verdict": VERDICTS},
    may_be_empty=True,
)

USER_EMBEDDINGS = Table(
    name="user_embeddings",
    comment="A user's vector as of ds. Users none of whose items has a vector have none.",
    columns=(_DS, _USER, Column("embedding", "array<float>", "The user tower's vector."), _MODEL_VERSION),
    key=("ds", "user_id"),
    partition=("ds",),
    may_be_empty=True,
)

ITEM_EMBEDDINGS = Table(
    name="item_embeddings",
    comment="An item's vector as of ds. One that nobody had yet has one if its content is known, else none.",
    columns=(_DS, _ITEM, _ITEM_INDEX, Column("embedding", "array<float>", "The item tower's vector."), _MODEL_VERSION),
    key=("ds", "item_id"),
    partition=("ds",),
    may_be_empty=True,
)

_RECOMMENDATION = (
    _DS,
    _USER,
    Column("rank", "int", "From 1, the best."),
    _ITEM,
    Column("score", "double", "Dot product of the two towers; for popular, popularity_30d of the item."),
    Column("source", "string", "two_tower or popular."),
    Column("model_version", "string", "Anchor day and content hash of the model.", nullable=True),
)

RECOMMENDATIONS = Table(
    name="recommendations",
    comment="A user's k best unseen items as of ds; fewer where fewer are left. The empty user_id is for strangers.",
    columns=_RECOMMENDATION,
    key=("ds", "user_id", "rank"),
    partition=("ds",),
    ranges={"rank": (1, 1000), "score": (-1e9, 1e9)},
    values={"source": SOURCES},
)

RECOMMENDATIONS_CURRENT = Table(
    name="recommendations_current",
    comment="The recommendations that are served: those of one ds, replaced in one commit.",
    columns=_RECOMMENDATION,
    key=("user_id", "rank"),
    partition=(),
    ranges={"rank": (1, 1000), "score": (-1e9, 1e9)},
    values={"source": SOURCES},
)

LIST_ROLLBACKS = Table(
    name="list_rollbacks",
    comment="A withdrawal of served lists by people, or the end of one; the last by sequence counts.",
    columns=(
        Column("ds", "date", "Day whose lists are served from then on."),
        Column("sequence", "bigint", "Order, from 1."),
        Column(
            "withdrawn",
            "date",
            "Newest day whose lists are not to be served; newer ones are. Null: any may be again.",
            nullable=True,
        ),
        Column("reason", "string", "What people gave as theirs."),
    ),
    key=("sequence",),
    partition=("ds",),
    ranges={"sequence": (1, 2**53)},
    may_be_empty=True,
)

RUNS = Table(
    name="runs",
    comment="An attempt at a job for a day, from its start on; a killed one stays `running` until the next begins.",
    columns=(
        _DS,
        Column("job", "string", "Name of the job."),
        Column("attempt", "int", "From 1, by day and job; only the newest may write."),
        Column("run_id", "string", "Airflow's run, or manual."),
        Column("started_at", "timestamp", "UTC."),
        Column("ended_at", "timestamp", "UTC; empty while it runs and when nobody saw its end.", nullable=True),
        Column("status", "string", "running, success, failed, or superseded by a newer attempt."),
        Column("message", "string", "What the job said, or why it failed."),
        Column("rows_in", "string", "JSON: rows read, by table."),
        Column("rows_out", "string", "JSON: rows written, by table."),
        Column("versions", "string", "JSON: version written, by table."),
        Column("inputs", "string", "JSON: version of every table at the start, by table."),
        Column("code_hash", "string", "Hash of recpipe's code."),
        Column("settings_hash", "string", "Hash of the settings that decide rows."),
    ),
    key=("ds", "job", "attempt"),
    partition=("ds",),
    ranges={"attempt": (1, MAX_INT)},
    values={"status": ATTEMPT_STATES},
    may_be_empty=True,
)

TABLES = (
    ERASED_USERS,
    ARRIVALS,
    REVIEWS,
    EVENTS,
    ITEMS,
    USERS,
    IMAGES,
    REJECTED_ROWS,
    ITEM_INDEX,
    VOCABULARY,
    USER_FEATURES,
    ITEM_FEATURES,
    TRAINING_EXAMPLES,
    EVALUATION_EXAMPLES,
    METRICS,
    MODEL_VERDICTS,
    USER_EMBEDDINGS,
    ITEM_EMBEDDINGS,
    RECOMMENDATIONS,
    RECOMMENDATIONS_CURRENT,
    LIST_ROLLBACKS,
    RUNS,
)
"""Every table, in the order of the flow."""

OF_USERS = tuple(table for table in TABLES if _USER in table.columns and table is not ERASED_USERS)
"""Those whose rows are each a user's; who reads them leaves out erased users, see `Lake.known` and `delta.connect`."""

OF_KINDS = tuple(table for table in TABLES if table.name in (*KINDS, PICTURES))
"""The tables that landed lines and pictures become."""

NAMING = (REVIEWS, EVENTS, ITEMS)
"""Those whose rows make an item known; a picture alone makes none."""
