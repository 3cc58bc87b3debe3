"""Every setting, frozen, explained under its field.

A value comes from the environment (`RECPIPE_K=20`, `RECPIPE_MODEL__EMBEDDING_SIZE=64`), else from
`$RECPIPE_HOME/settings.toml`, else from here. A job reads the settings once and passes values down.
"""

import hashlib
import os
from datetime import date
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

from recpipe.errors import UserError
from recpipe.model_settings import ModelSettings
from recpipe.setting_variables import PREFIX, check_variables, shown
from recpipe.source_settings import Section, Source
from recpipe.sources.known import FORMAT_NAMES
from recpipe.tables import INTERACTION_TYPES

CHECKOUT = Path(__file__).resolve().parent.parent


class SparkSettings(Section):
    master: Annotated[str, Field(pattern=r"^(local\[[0-9*]+\]|(spark|k8s)://[\w.:/-]+|yarn)$")] = "local[2]"
    """Where Spark runs: `local[N]`, or the address of a cluster."""
    driver_memory: Annotated[str, Field(pattern=r"^[1-9][0-9]*[mg]$")] = "2g"
    """Heap of the driver; in local mode, of everything."""
    shuffle_partitions: Annotated[int, Field(ge=1, le=10_000)] = 4
    """Parts of a shuffle. Few for a small shop: an empty part still costs a task."""
    java_options: Annotated[str, Field(pattern=r"^(-XX:[\w+=:-]+ ?)*$")] = (
        "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC -XX:ReservedCodeCacheSize=256m"
    )
    """Options of the driver's JVM. These make it start fast, which is most of a small shop's night (42 instead of 77
    seconds of CPU for 30,000 reviews); without the last one, the compiler stops once it has filled 48 MB. Empty, they
    make long work faster."""


class AuditSettings(Section):
    freshness: Literal["warn", "stop"] = "warn"
    """What an arrival does whose newest review or event is old: the run says so, or stops."""
    max_age_days: Annotated[int, Field(ge=0, le=36_500)] = 7
    """Days from the newest review or event of an arrival to the arrival, at most, for it to be fresh."""
    fill_rates: Literal["warn", "stop"] = "warn"
    """What an arrival does in which a column is filled less often than before: the run says so, or stops."""
    max_fill_drop: Annotated[float, Field(ge=0, le=1)] = 0.1
    """How far a column's share of filled rows may lie under the mean of the arrivals before."""
    compared_arrivals: Annotated[int, Field(ge=0, le=1000)] = 7
    """How many arrivals before are compared with, the last ones that have rows; 0: none."""
    kept_runs: Annotated[int, Field(ge=1, le=1_000_000)] = 300
    """Runs whose audit results and pages are kept; older folders are removed."""


class GateSettings(Section):
    """What a candidate must show before it takes the champion's place."""

    margin: Annotated[float, Field(ge=0, le=1)] = 0.05
    """Share of the champion's NDCG@10 by which a candidate may be worse."""
    segment_margin: Annotated[float, Field(ge=0, le=1)] = 0.2
    """Share of a segment's NDCG@10 by which a candidate may be worse than the champion, or without one than the best
    baseline, there."""
    least_users: Annotated[int, Field(ge=1, le=1_000_000)] = 30
    """Users with targets below whom nothing is concluded: a model is not promoted on fewer, and a segment of fewer is
    passed over."""
    least_served: Annotated[float, Field(ge=0, le=1)] = 0.95
    """Share of the users that a model is judged on, but those who have every item, who must get a list; of a
    candidate, by the model itself."""
    least_fill: Annotated[float, Field(ge=0, le=1)] = 0.5
    """Share of the lists' places that must hold an item, of as many as there are items that the user has not."""
    least_coverage: Annotated[float, Field(ge=0, le=1)] = 0.001
    """Share of the items that must stand in some list; where the lists have fewer places, share of these."""
    most_popular: Annotated[float, Field(ge=0, le=1)] = 0.9
    """Share of the lists' places that the most owned hundredth of the items may take."""


Level = Annotated[float, Field(gt=0, le=1e6)]


class DriftSettings(Section):
    """How much a night may differ from an earlier one. From a warning level on the run says so; from a stop level on
    its lists are not put up."""

    compared_days: Annotated[int, Field(ge=1, le=3650)] = 30
    """Days back to which an earlier night is looked for that a night is compared with, where none is served."""
    least_rows: Annotated[int, Field(ge=1, le=1_000_000)] = 100
    """Users, items or places in lists that both nights must have for a figure of them; fewer tell nothing."""
    psi_warns_from: Level = 0.2
    """Population stability index of a feature, of vectors' norms or of scores from which on the run says so."""
    psi_stops_from: Level | None = None
    """The same from which on the lists are not put up; unset: none stops."""
    churn_warns_from: Level = 0.5
    """Mean share of a user's list that is new from which on the run says so. A new model may change half of it."""
    churn_stops_from: Level | None = None
    """The same from which on the lists are not put up; unset: none stops."""
    popularity_warns_from: Level = 0.25
    """How many times more or less popular recommended items are, less one, from which on the run says so: 0.25 is a
    quarter more, or a fifth less."""
    popularity_stops_from: Level | None = None
    """The same from which on the lists are not put up; unset: none stops."""
    source_warns_from: Level = 0.1
    """Share of the lists' places that another source fills, model or popularity, from which on the run says so."""
    source_stops_from: Level | None = None
    """The same from which on the lists are not put up; unset: none stops."""


class AirflowSettings(Section):
    port: Annotated[int, Field(ge=1024, le=65_535)] = 8080
    """Port of Airflow's page on 127.0.0.1; the next free one is taken when it is busy."""


class ImageSettings(Section):
    max_bytes: Annotated[int, Field(ge=1, le=2**30)] = 10 * 2**20
    """Bytes of the largest picture that is taken in or fetched."""
    max_pixels: Annotated[int, Field(ge=1, le=10**9)] = 40_000_000
    """Pixels of the largest picture that is decoded, by its header. Decoding one takes up to 16 bytes of memory a
    pixel."""
    most_fetched: Annotated[int, Field(ge=1, le=10_000_000)] = 1000
    """Pictures that one `recpipe fetch-images` asks for when it is given no limit."""
    connections: Annotated[int, Field(ge=1, le=64)] = 8
    """Requests under way at once."""
    connections_a_host: Annotated[int, Field(ge=1, le=16)] = 2
    """Requests under way at once to one host."""
    delay_seconds: Annotated[float, Field(ge=0, le=600)] = 0.2
    """Seconds between the starts of two requests to one host."""
    picture_seconds: Annotated[float, Field(gt=0, le=3600)] = 30.0
    """Seconds that one request may take from the look-up of its host to the last byte."""
    total_seconds: Annotated[float, Field(gt=0, le=1e6)] = 3600.0
    """Seconds after which a fetch asks for nothing more."""
    redirects: Annotated[int, Field(ge=0, le=10)] = 3
    """Redirects that are followed for one picture."""
    retries: Annotated[int, Field(ge=0, le=10)] = 2
    """Times that a picture is asked for again in one fetch when its host is busy, failing or silent."""
    longest_wait_seconds: Annotated[float, Field(ge=0, le=3600)] = 60.0
    """Longest wait for a host within a fetch; one that asks for more is left for the next fetch."""
    allowed_hosts: tuple[Annotated[str, Field(pattern=r"^[a-z0-9.:_-]+$")], ...] = ()
    """Hosts that may be asked at any address and port, as JSON such as `["cdn.intranet"]`. Others are asked at public
    addresses and ports 80 and 443 alone, since an address in metadata must not reach into the own network."""
    contact: Annotated[str, Field(pattern=r"^[ -~]{0,200}$")] = ""
    """Address or mailbox that a fetch tells hosts after its name, for those who have something against it."""

    def deciding(self) -> dict[str, int]:
        """Those that decide rows; how pictures are fetched decides only what arrives."""
        return {"max_bytes": self.max_bytes, "max_pixels": self.max_pixels}


SourceName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,40}$")]


class Settings(BaseSettings):
    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_nested_delimiter="__",
        frozen=True,
        extra="forbid",
        use_attribute_docstrings=True,
    )

    home: Path = Path(".recpipe")
    """The one place for landing files, lake, registry, Airflow home and reports."""
    k: Annotated[int, Field(ge=1, le=1000)] = 10
    """Recommendations a user gets a night."""
    history_length: Annotated[int, Field(ge=1, le=1000)] = 50
    """Most recent items of a user that the model sees."""
    text_length: Annotated[int, Field(ge=1, le=512)] = 32
    """Words of an item's text that the model sees, at most."""
    vocabulary_size: Annotated[int, Field(ge=1, le=10_000_000)] = 50_000
    """Words that are numbered at most, and as many category paths, brands and attributes of users."""
    vocabulary_min_items: Annotated[int, Field(ge=1, le=1_000_000)] = 2
    """Items that must have a word, and users an attribute, before it is numbered; an attribute is of two at least."""
    full_refresh: bool = False
    """Whether `build_features` computes every row anew instead of carrying yesterday's on. The rows are the same."""
    carry_from: Annotated[int, Field(ge=0)] = 500_000
    """Reviews and events from which on features are carried on from the day before; with fewer, computing them from all
    that was known is quicker. Rows are equal."""
    anchor_every_days: Annotated[int, Field(ge=1, le=365)] = 7
    """Days from one training (anchor day) to the next. Choose it before the first night: after a change, the next
    night trains a model for every past anchor day of the new rhythm."""
    target_events: Annotated[tuple[Literal[INTERACTION_TYPES], ...], Field(min_length=1)] = ("purchase", "review")
    """What a recommendation aims at, as JSON: an item with one of these event types is the user's and is not
    recommended again. Event types: view, cart, purchase, review."""
    validation_share: Annotated[float, Field(gt=0, lt=0.5)] = 0.1
    """Share of the latest interactions, at least, that lie after a cut in time: they choose a model's epochs and, on
    the first anchor day, judge it."""
    k_core: Annotated[int, Field(ge=1, le=1000)] = 1
    """Different items that a user, and different users that an item, must have to be trained on, within what is left;
    1: all are. Whom a model is judged on does not change."""
    min_history: Annotated[int, Field(ge=1, le=1000)] = 1
    """Different items that a user must have to be trained on."""
    max_rejected_share: Annotated[float, Field(ge=0, le=1)] = 0.01
    """Share of a day's lines that may be rejected before the run stops."""
    max_empty_days: Annotated[int, Field(ge=1)] = 31
    """Days in a row, up to the last, that one run seals though nothing arrived on them. A day that was named by mistake
    would else close all days up to it."""
    seed: Annotated[int, Field(ge=0, le=2**31 - 1)] = 7
    """Seed of every random choice: ties in time, shuffles, weights."""
    schedule_from: date = date(1995, 1, 1)
    """First day that the nightly DAG may be run for."""
    schedule_until: date | None = None
    """Last day of the nightly schedule; unset: for ever. Set it for a historical lake, so that unpausing the DAG
    starts no run for today."""
    audit: AuditSettings = AuditSettings()
    spark: SparkSettings = SparkSettings()
    model: ModelSettings = ModelSettings()
    gate: GateSettings = GateSettings()
    drift: DriftSettings = DriftSettings()
    airflow: AirflowSettings = AirflowSettings()
    images: ImageSettings = ImageSettings()
    sources: dict[SourceName, Source] = {}
    """Mappings of a shop's own files, by the name that `--format` gives."""

    @field_validator("sources")
    @classmethod
    def _names_are_not_taken(cls, sources: dict[str, Source]) -> dict[str, Source]:
        if taken := sorted(sources.keys() & set(FORMAT_NAMES)):
            raise ValueError(f"{taken[0]} is the name of a built-in format; take another")
        return sources

    @property
    def landing(self) -> Path:
        return self.home / "landing"

    @property
    def lake(self) -> Path:
        return self.home / "lake"

    @property
    def registry(self) -> Path:
        return self.home / "registry"

    @property
    def reports(self) -> Path:
        return self.home / "reports"

    @property
    def nights(self) -> Path:
        return self.reports / "nights"

    @property
    def airflow_home(self) -> Path:
        return self.home / "airflow"

    def result_hash(self) -> str:
        """Hash of the settings that decide the rows of a day that is run again.

        Left out is where and how fast it runs, what stops a night or a model, and what decides only days to come, since
        arrivals are sealed and verdicts final: mappings, the gate, and the model but for how its vectors are computed.
        """
        deciding = self.model_dump_json(
            exclude={
                *("home", "audit", "spark", "airflow", "images", "drift", "gate", "sources", "model"),
                *("full_refresh", "carry_from", "schedule_from", "schedule_until"),
                *("max_rejected_share", "max_empty_days"),
            }
        )
        parts = f"{deciding} {self.images.deciding()} {self.model.threads}"
        return hashlib.sha256(parts.encode()).hexdigest()[:12]

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        file = TomlConfigSettingsSource(settings_cls, toml_file=home_folder() / "settings.toml")
        if "home" in file.toml_data:
            raise UserError(
                f"expected no home in {home_folder() / 'settings.toml'}, which lies in it, found "
                f"{shown(file.toml_data['home'])}; set RECPIPE_HOME instead"
            )
        return init_settings, env_settings, file


def home_folder() -> Path:
    """Raises:
    UserError: its path has what a reader or writer takes for more than a letter: Delta Lake's takes `[]%*?` for
    patterns and escapes and turns a backslash round, DuckDB makes a column of every folder `name=value`,
    Petastorm's address of a file ends at `#`, and Spark makes several folders of one with a comma.
    """
    home = Path(os.environ.get("RECPIPE_HOME", ".recpipe")).expanduser().absolute()
    if found := set("[]%*?=\\#,") & set(str(home)):
        raise UserError(f"expected a RECPIPE_HOME without {' '.join(sorted(found))}, found {home}; name another folder")
    if not is_utf8(str(home)):
        raise UserError(f"expected a RECPIPE_HOME in UTF-8, found {str(home)!r}; name another folder")
    return home


def is_utf8(text: str) -> bool:
    """Whether what came from outside was UTF-8: Python stands in surrogates for bytes that are not."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def read_settings() -> Settings:
    """The settings of this process.

    Raises:
        UserError: a value is not allowed, or a variable names no setting; names the setting, the rule and the value.
    """
    check_variables(os.environ, Settings)
    try:
        return Settings(home=home_folder())
    except ValidationError as error:
        first = error.errors()[0]
        name = PREFIX + "__".join(str(part).upper() for part in first["loc"] if part != "[key]")
        raise UserError(
            f"setting {name}: {first['msg'].removeprefix('Value error, ')}, found {shown(first['input'])}; "
            f"change it in the environment or in {home_folder() / 'settings.toml'}"
        ) from None
    except ValueError as error:  # a settings.toml that is not TOML
        raise UserError(f"{home_folder() / 'settings.toml'}: expected TOML, found: {error}") from None


def code_hash() -> str:
    """Hash of every module of `recpipe/` and `jobs/`: which of them decide a day's rows is not told apart."""
    digest = hashlib.sha256()
    for path in sorted([*(CHECKOUT / "recpipe").rglob("*.py"), *(CHECKOUT / "jobs").glob("*.py")]):
        digest.update(path.relative_to(CHECKOUT).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:12]
