"""How files are to be read, as the user who lands them says it."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from recpipe.archives import Contents, contents_of, is_zip, unpack
from recpipe.errors import UserError
from recpipe.sources.files import layout_of
from recpipe.sources.formats import Format, Layout
from recpipe.sources.known import FORMATS


def require_file(path: Path) -> None:
    if not path.is_file():
        found = "a folder" if path.is_dir() else "none"
        raise UserError(f"expected a file at {path}, found {found}; check the path")
    if path.name[0] in "_." or not path.name.isprintable():
        raise UserError(f"expected a printable file name not starting with _ or ., found {path.name!r}; rename it")


class Dump(NamedTuple):
    """A file to be landed."""

    path: Path
    origin: str  # what its companion calls it
    layout: Layout
    is_unpacked: bool = False  # a copy already, to be moved
    not_taken: tuple[str, ...] = ()  # see `Landed`


@dataclass(frozen=True)
class Choice:
    """How files are to be read, as the user says it."""

    format: str  # name
    formats: Sequence[Format] = FORMATS  # that there are
    columns: tuple[str, ...] = ()  # of CSV files without a header

    def layout_of(self, path: Path) -> Layout:
        """Raises:
        UserError: there is no such format, or the file is missing, unreadable, empty or in another one.
        """
        chosen = self._chosen()
        require_file(path)
        try:
            layout = layout_of(path, chosen, self.columns)
        except UserError:
            if (other := self._other_layout(path)) and other.format.name != self.format:
                found = other.format.name
                raise UserError(f"expected {self.format} in {path}, found {found}; give --format {found}") from None
            raise
        if layout is None:
            raise UserError(f"expected lines in {path}, found none; fetch it again")
        return layout

    def dump_of(self, path: Path) -> Dump | Contents:
        """A file to be landed, or an archive with such files in it.

        Raises:
            UserError: as `layout_of`; or the archive is not whole, over a limit, or has no file of the format.
        """
        require_file(path)
        if not is_zip(path):
            return Dump(path, path.name, self.layout_of(path))
        return contents_of(path, self.format, [name for format_ in self._chosen() for name in format_.members])

    def unpacked(self, archive: Contents, folder: Path) -> list[Dump]:
        """Raises:
        UserError: as `dump_of`.
        """
        dumps = [
            Dump(path, f"{archive.path.name}/{path.name}", self.layout_of(path), is_unpacked=True)
            for path in unpack(archive, folder / archive.path.name)
        ]
        return [*dumps[:-1], dumps[-1]._replace(not_taken=archive.not_taken)]

    def _chosen(self) -> list[Format]:
        chosen = [format_ for format_ in self.formats if format_.name == self.format]
        if not chosen:
            names = ", ".join(dict.fromkeys(format_.name for format_ in self.formats))
            raise UserError(f"expected a format out of {names}, found {self.format!r}; give --format")
        return chosen

    def _other_layout(self, path: Path) -> Layout | None:
        with suppress(UserError):
            return layout_of(path, self.formats)
        return None
