"""How landed files are read: as their companions say, else as their first lines tell."""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from recpipe.errors import UserError
from recpipe.landing import LandedFile
from recpipe.sources.files import fields_seen, is_parquet, layout_of, sha256_of
from recpipe.sources.formats import Format, Layout
from recpipe.sources.replay import Origin, origin_file, read_origin


def layout_in(file: LandedFile, formats: Sequence[Format]) -> Layout | None:
    """How a landed file is read: as its companion says, or else as its first lines tell; None without lines.

    Raises:
        UserError: the companion does not fit, or no format, or two mappings do.
    """
    origin = read_origin(file.path, formats)
    return layout_as_landed(file, formats, origin, origin is not None and not origin.is_of(sha256_of(file.path)))


def layout_as_landed(
    file: LandedFile, formats: Sequence[Format], origin: Origin | None, is_changed: bool
) -> Layout | None:
    """The same, where the companion was read and it is known whether the file has changed since."""
    if origin is None:
        return _told(file, formats)
    return _told_anew(file.path, origin) if is_changed else origin.layout


def _told_anew(path: Path, origin: Origin) -> Layout | None:
    """The layout of a file that people changed, in the format in which it was landed: its own header counts.

    Raises:
        UserError: it is not in that format.
    """
    landed = origin.layout
    if landed.framing != landed.format.framing and not is_parquet(path):  # lines that were rows of Parquet
        return landed
    try:
        return layout_of(path, [landed.format])
    except UserError as error:
        if landed.columns and not landed.has_header:
            with suppress(UserError):
                return layout_of(path, [landed.format], landed.columns)
        raise UserError(f"{error}; or remove {origin_file(path)}, if it is left of another file of that name") from None


def _told(file: LandedFile, formats: Sequence[Format]) -> Layout | None:
    """The layout of a file that was put there by hand, preferably of its folder's kind.

    Raises:
        UserError: two mappings fit it, which would say different things of it.
    """
    layout = layout_of(file.path, sorted(formats, key=lambda format_: format_.kind != file.kind))
    if layout is None or not layout.format.needs:
        return layout
    told, needs, rival = layout.format, set(layout.format.needs), None
    rivals = [f for f in formats if f.kind == told.kind and f.name != told.name and f.needs and not {*f.needs} < needs]
    # Of JSON lines that lack some of the fields, a mapping that finds there nothing more is no rival.
    rivals = [
        f for f in rivals if not f.may_lack or {*f.needs} == needs or fields_seen(file.path, f, {*f.needs} - needs)
    ]
    with suppress(UserError):
        rival = layout_of(file.path, rivals) if rivals else None
    if rival:
        raise UserError(
            f"expected a file that one mapping fits, found {file.path}, which {told.name} and {rival.format.name} fit; "
            "move it away and land it by `recpipe land --format`"
        )
    return layout
