"""Every format that recpipe reads. A new source is listed here."""

from recpipe.sources import amazon
from recpipe.sources.formats import Format

FORMATS: tuple[Format, ...] = amazon.FORMATS
FORMAT_NAMES = tuple(dict.fromkeys(format_.name for format_ in FORMATS))
