"""The tokens of an item's metadata: words, category paths, the brand. Plain Python; Spark stays outside."""

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

METADATA = ("title", "categories", "description", "brand")
"""Columns of items that have tokens."""
LONGEST_WORD = 40
"""Characters of a word; a longer one is an address or a code that tells nothing."""
LONGEST_NAME = 200
"""Characters of a category or a brand that count."""
MOST_LEVELS = 10
"""Levels of a category path that count. Every beginning of a path is a token, so an endless one would be endless."""

_UNSPACED = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff"  # kana and ideographs stand without spaces: each is a word
_WORD = re.compile(rf"[{_UNSPACED}]|[^\W_{_UNSPACED}]+")


def words(text: str) -> Iterator[str]:
    """The runs of letters and digits of any script, in lower case and composed form, in order."""
    # Composed once more, since lower case takes some letters apart.
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).lower())
    return (found[0] for found in _WORD.finditer(folded) if len(found[0]) <= LONGEST_WORD)


def category_paths(categories: Sequence[str]) -> list[str]:
    """Each beginning of a path, the widest first: `Toys`, `Toys > Cars`. Cars of Toys differ from those of Books."""
    names = [name[:LONGEST_NAME] for name in categories[:MOST_LEVELS]]
    return [" > ".join(names[: level + 1]) for level in range(len(names))]


def tokens(item: Mapping[str, Any]) -> dict[str, Iterator[str]]:
    """The tokens of an item with title, categories, description and brand, by field of the vocabulary, in order."""
    texts = (item["title"], *item["categories"][:MOST_LEVELS], item["description"])
    brand = " ".join((item["brand"] or "").casefold().split())[:LONGEST_NAME]
    return {
        "text": (word for text in texts if text for word in words(text)),
        "category": iter(category_paths(item["categories"])),
        "brand": iter([brand] if brand else []),
    }
