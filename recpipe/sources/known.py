"""Every format that recpipe reads. A new source is listed here."""

from recpipe.sources import amazon, movielens, yelp
from recpipe.sources.formats import Format

FORMATS: tuple[Format, ...] = (*amazon.FORMATS, *movielens.FORMATS, *yelp.FORMATS)
FORMAT_NAMES = tuple(dict.fromkeys(format_.name for format_ in FORMATS))
