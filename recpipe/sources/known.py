"""Every format that recpipe reads. A new source is listed here."""

from typing import TYPE_CHECKING

from recpipe.sources import amazon, movielens, yelp
from recpipe.sources.formats import Format
from recpipe.sources.mapped import mapped_formats

if TYPE_CHECKING:
    from recpipe.settings import Settings  # which looks here for names that are taken

FORMATS: tuple[Format, ...] = (*amazon.FORMATS, *movielens.FORMATS, *yelp.FORMATS)
FORMAT_NAMES = tuple(dict.fromkeys(format_.name for format_ in FORMATS))


def known_formats(settings: "Settings") -> tuple[Format, ...]:
    """The shop's own mappings first: who names fields knows them better than a guess by their look."""
    return (*mapped_formats(settings.sources), *FORMATS)
