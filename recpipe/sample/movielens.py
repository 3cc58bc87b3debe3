"""MovieLens 100K, 1M and latest: ratings, films and users as GroupLens writes them."""

from recpipe.sample.shop import Item, Review, User
from recpipe.sample.words import DEPARTMENTS, OCCUPATIONS
from recpipe.sample.writers import CSV, SPLIT, Line, Writer, csv_encode, csv_line, roles, seconds, split_encode
from recpipe.sources.movielens import GENRES_100K

_AGES = (1, 18, 25, 35, 45, 50, 56)
"""Lower ends of the bands of 1M."""


def _title(item: Item) -> str:
    name = item.thing.title
    if item.thing.number % 5 == 0:
        name = f"Château {name}, The"
    return f"{name} ({1950 + item.thing.number % 48})"


def _genres(item: Item) -> list[str]:
    """One for the department, one for the taste."""
    tastes = [taste for tastes in DEPARTMENTS.values() for taste in tastes]
    department = 1 + list(DEPARTMENTS).index(item.thing.department)
    return [GENRES_100K[department], GENRES_100K[7 + tastes.index(item.thing.taste) % 12]]


def _rating(review: Review) -> Line:
    return {
        "userId": review.user + 1,
        "movieId": review.thing.number,
        "rating": review.stars,
        "timestamp": seconds(review.moment),
    }


def _rating_latest(review: Review) -> Line:
    line = _rating(review)
    return {**line, "rating": review.stars - (0.5 if review.votes % 2 else 0.0)}


def _film_100k(item: Item) -> Line:
    line: Line = {"id": item.thing.number, "title": _title(item), "date": "01-Jan-1995", "video": ""}
    line["url"] = f"http://us.imdb.com/M/title-exact?{item.thing.number}"
    return line | {genre: int(genre in _genres(item)) for genre in GENRES_100K}


def _film(item: Item) -> Line:
    return {"movieId": item.thing.number, "title": _title(item), "genres": "|".join(_genres(item))}


def _user_100k(user: User) -> Line:
    line = {"id": user.user + 1, "age": user.age, "gender": user.gender, "occupation": user.occupation}
    return {**line, "zip": _zip(user)}


def _user_1m(user: User) -> Line:
    band = max(age for age in _AGES if age <= user.age)
    line = {"id": user.user + 1, "gender": user.gender, "age": band, "occupation": OCCUPATIONS.index(user.occupation)}
    return {**line, "zip": _zip(user)}


def _zip(user: User) -> str:
    return f"{10_000 + user.user * 7919 % 90_000}"


_RATING_ROLES = roles(user="userId", item="movieId", rating="rating", date="timestamp")
_FILM_ROLES = roles(item="movieId", title="title", text="title")

WRITERS_100K = (
    Writer(
        "movielens-100k", "reviews", "u.data", _rating, SPLIT, split_encode("\t"), _RATING_ROLES, seconds
    ),
    Writer(
        "movielens-100k", "items", "u.item", _film_100k, SPLIT, split_encode("|"),
        {**_FILM_ROLES, **roles(item="id", flag="unknown")},
    ),
    Writer("movielens-100k", "users", "u.user", _user_100k, SPLIT, split_encode("|"), roles(user="id", age="age")),
)  # fmt: skip
WRITERS_1M = (
    Writer("movielens-1m", "reviews", "ratings.dat", _rating, SPLIT, split_encode("::"), _RATING_ROLES, seconds),
    Writer("movielens-1m", "items", "movies.dat", _film, SPLIT, split_encode("::"), _FILM_ROLES),
    Writer("movielens-1m", "users", "users.dat", _user_1m, SPLIT, split_encode("::"), roles(user="id", age="age")),
)
WRITERS_LATEST = (
    Writer(
        "movielens-latest", "reviews", "ratings.csv", _rating_latest, CSV, csv_encode("\r\n"), _RATING_ROLES, seconds,
        csv_line(("userId", "movieId", "rating", "timestamp"), "\r\n"),
    ),
    Writer(
        "movielens-latest", "items", "movies.csv", _film, CSV, csv_encode("\r\n"), _FILM_ROLES,
        header=csv_line(("movieId", "title", "genres"), "\r\n"),
    ),
)  # fmt: skip
