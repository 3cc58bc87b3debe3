"""MovieLens ratings, movies and users as GroupLens publishes them: 100K, 1M, and the CSV files of ml-latest.

Source: https://grouplens.org/datasets/movielens and the README of each archive. The CSV files are alike in 20M, 25M,
32M, ml-latest and ml-latest-small. Ids are numbers in all of them; anything else is a header or a broken line.
"""

import re
from collections.abc import Callable
from datetime import date
from functools import partial

from recpipe.sources import values
from recpipe.sources.delimited import split_decoder
from recpipe.sources.fields import (
    HALF_STARS,
    SECOND,
    WHOLE_STARS,
    epoch,
    id_of,
    not_before_1995_nor_after,
    noted,
    plain,
    plain_texts,
    rating,
)
from recpipe.sources.formats import CSV, Format
from recpipe.sources.records import Fields, Item, RejectError, Review, User

GENRES_100K = ("unknown", "Action", "Adventure", "Animation", "Children's", "Comedy", "Crime", "Documentary", "Drama")
GENRES_100K += ("Fantasy", "Film-Noir", "Horror", "Musical", "Mystery", "Romance", "Sci-Fi", "Thriller", "War")
GENRES_100K += ("Western",)
"""In the order of the flags in u.item."""

AGES_1M = {"1": 0, "18": 18, "25": 25, "35": 35, "45": 45, "50": 50, "56": 56}
"""Code of a band to its lower end; 1 is "Under 18"."""

OCCUPATIONS_1M = ("other", "academic/educator", "artist", "clerical/admin", "college/grad student", "customer service")
OCCUPATIONS_1M += ("doctor/health care", "executive/managerial", "farmer", "homemaker", "K-12 student", "lawyer")
OCCUPATIONS_1M += ("programmer", "retired", "sales/marketing", "scientist", "self-employed", "technician/engineer")
OCCUPATIONS_1M += ("tradesman/craftsman", "unemployed", "writer")
"""By their codes, which start at 0."""

_NO_GENRE = {"unknown", "(no genres listed)"}
_LATIN_1 = "latin-1"
_ID, _TIME, _FLAG = r"\d{1,9}", r"\d{9,13}", "[01]"


def _time(fields: Fields) -> int:
    return epoch(fields.get("timestamp"), SECOND)


def _review(fields: Fields, _: list[str], arrived_on: date, scale: frozenset[float]) -> Review:
    return Review(
        user_id=_number_id(fields, "userId", "user"),
        item_id=_number_id(fields, "movieId", "item"),
        reviewed_at=not_before_1995_nor_after(_time(fields), arrived_on),
        rating=rating(fields, "rating", scale),
        title=None,
        text=None,
        vote=None,
        verified=None,
    )


def _movie(fields: Fields, notes: list[str], _: date) -> Item:
    return _item(fields, (fields.get("genres") or "").split("|"), notes)


def _movie_100k(fields: Fields, notes: list[str], _: date) -> Item:
    if any(fields[genre] not in ("0", "1") for genre in GENRES_100K):
        notes.append("unreadable_genres")
    return _item(fields, [genre for genre in GENRES_100K if fields[genre] == "1"], notes)


def _item(fields: Fields, genres: list[str], notes: list[str]) -> Item:
    return Item(
        item_id=_number_id(fields, "movieId", "item"),
        title=plain(fields, "title", notes),
        brand=None,
        categories=plain_texts([genre for genre in genres if genre not in _NO_GENRE], "genres", notes),
        price=None,
        description=None,
        image_url=None,
    )


def _user_100k(fields: Fields, notes: list[str], _: date) -> User:
    return User(
        user_id=_number_id(fields, "userId", "user"),
        age=noted(values.age, fields, "age", notes),
        gender=plain(fields, "gender", notes),
        occupation=plain(fields, "occupation", notes),
    )


def _user_1m(fields: Fields, notes: list[str], _: date) -> User:
    return User(
        user_id=_number_id(fields, "userId", "user"),
        age=noted(AGES_1M.get, fields, "age", notes),
        gender=plain(fields, "gender", notes),
        occupation=noted(_occupation, fields, "occupation", notes),
    )


def _number_id(fields: Fields, name: str, whose: str) -> str:
    found = id_of(fields, name, whose)
    if not (found.isascii() and found.isdigit()):
        raise RejectError(f"bad_{whose}")
    return found


def _occupation(code: str) -> str | None:
    found = values.count(code)
    return OCCUPATIONS_1M[found] if found is not None and found < len(OCCUPATIONS_1M) else None


def _like(**patterns: str) -> Callable[[Fields], bool]:
    """Tells fields whose texts match as a whole, since any text can be split at a delimiter."""
    compiled = {name: re.compile(pattern, re.ASCII) for name, pattern in patterns.items()}

    def is_like(fields: Fields) -> bool:
        return all(pattern.fullmatch(fields.get(name) or "") for name, pattern in compiled.items())

    return is_like


def _has_rating_columns(fields: Fields) -> bool:
    return fields.keys() >= {"userId", "movieId", "rating", "timestamp"}


def _has_movie_columns(fields: Fields) -> bool:
    return fields.keys() >= {"movieId", "title", "genres"} and not _has_rating_columns(fields)


_RATING = ("userId", "movieId", "rating", "timestamp")
_MOVIE_100K = ("movieId", "title", "released", "video_released", "address", *GENRES_100K)
_like_rating = _like(userId=_ID, movieId=_ID, rating="[1-5]", timestamp=_TIME)
_like_movie_100k = _like(movieId=_ID, released=r"(\d\d?-\w{3}-\d{4})?", **dict.fromkeys(GENRES_100K, _FLAG))
_whole_stars, _half_stars = partial(_review, scale=WHOLE_STARS), partial(_review, scale=HALF_STARS)

RATINGS_100K = Format(
    "movielens-100k",
    "reviews",
    _whole_stars,
    _like_rating,
    _time,
    decode=split_decoder(_RATING, "\t", _LATIN_1),
    opening=b"",
    members=("u.data",),
)
MOVIES_100K = Format(
    "movielens-100k",
    "items",
    _movie_100k,
    _like_movie_100k,
    decode=split_decoder(_MOVIE_100K, "|", _LATIN_1),
    opening=b"",
    members=("u.item",),
)
USERS_100K = Format(
    "movielens-100k",
    "users",
    _user_100k,
    _like(userId=_ID, age=r"\d{1,3}", gender="[MF]", occupation="[a-z]+"),
    decode=split_decoder(("userId", "age", "gender", "occupation", "zip"), "|", _LATIN_1),
    opening=b"",
    members=("u.user",),
)
RATINGS_1M = Format(
    "movielens-1m",
    "reviews",
    _whole_stars,
    _like_rating,
    _time,
    decode=split_decoder(_RATING, "::", _LATIN_1),
    opening=b"",
    members=("ratings.dat",),
)
MOVIES_1M = Format(
    "movielens-1m",
    "items",
    _movie,
    _like(movieId=_ID, title=r".+ \(\d{4}\)", genres=r"[\w|' -]+"),
    decode=split_decoder(("movieId", "title", "genres"), "::", _LATIN_1),
    opening=b"",
    members=("movies.dat",),
)
USERS_1M = Format(
    "movielens-1m",
    "users",
    _user_1m,
    _like(userId=_ID, gender="[MF]", age="|".join(AGES_1M), occupation=r"\d{1,2}"),
    decode=split_decoder(("userId", "gender", "age", "occupation", "zip"), "::", _LATIN_1),
    opening=b"",
    members=("users.dat",),
)
RATINGS_LATEST = Format(
    "movielens-latest", "reviews", _half_stars, _has_rating_columns, _time, framing=CSV, members=("ratings.csv",)
)
MOVIES_LATEST = Format("movielens-latest", "items", _movie, _has_movie_columns, framing=CSV, members=("movies.csv",))

FORMATS = (RATINGS_100K, MOVIES_100K, USERS_100K, RATINGS_1M, MOVIES_1M, USERS_1M, RATINGS_LATEST, MOVIES_LATEST)
