"""Pictures of items: how their files are named, what their first bytes tell, how they land. Decodes nothing.

`landing/images/arrived_on=YYYY-MM-DD/<item_id>.<extension>`. Characters of an item id that a file system refuses stand
there as in a URL, such as %2F for a slash.
"""

import filecmp
import re
import shutil
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from types import MappingProxyType
from urllib.parse import unquote

from recpipe.choice import require_file
from recpipe.errors import UserError
from recpipe.landing import aside, landed_files, no_ingest, require_open
from recpipe.sources.values import is_id
from recpipe.tables import PICTURES

EXTENSIONS: Mapping[str, str] = MappingProxyType({"jpeg": "jpg", "png": "png", "webp": "webp", "gif": "gif"})
"""That a fetched picture gets, by format; whoever fills the folder by hand may also write jpeg."""

MAGIC_BYTES = 12
"""Bytes at the start of a picture that tell its format."""

_NAME = re.compile(rf"(.+)\.(?:jpeg|{'|'.join(EXTENSIONS.values())})", re.IGNORECASE)
_REFUSED = re.compile(r'^[_.]|[%/\\:*?"<>|]')  # by a file system, or as the start of a name that is no data
_MAX_NAME = 255  # bytes, of most file systems


def format_of(start: bytes) -> str | None:
    """One of `tables.PICTURE_FORMATS` by the first bytes, since names lie; None for anything else."""
    if start.startswith(b"\xff\xd8\xff"):
        return "jpeg"
    if start.startswith(b"\x89PNG\r\n\x1a\n"):
        return "png"
    if start.startswith((b"GIF87a", b"GIF89a")):
        return "gif"
    return "webp" if start.startswith(b"RIFF") and start[8:MAGIC_BYTES] == b"WEBP" else None


def file_name(item_id: str, format_: str) -> str | None:
    """Name of the item's picture; None where no file can have it."""
    stem = _REFUSED.sub(lambda found: f"%{ord(found[0]):02X}", item_id)
    name = f"{stem}.{EXTENSIONS[format_]}"
    return name if item_id and is_id(item_id) and len(name.encode()) <= _MAX_NAME else None


def item_of(name: str) -> str | None:
    """The item whose picture a file of this name is; None where the name tells none."""
    match = _NAME.fullmatch(name)
    item_id = unquote(match[1]).strip(" ") if match else ""
    return item_id if item_id and is_id(item_id) else None


def landed_pictures(landing: Path) -> dict[date, list[Path]]:
    """The files of each day folder, by name.

    Raises:
        UserError: something lies there that is neither a day folder nor a file in one.
    """
    days: dict[date, list[Path]] = {}
    for file in landed_files(landing, [PICTURES]):
        days.setdefault(file.arrived_on, []).append(file.path)
    return days


def land_pictures(files: Sequence[Path], landing: Path, arrived_on: date, lake: Path | None, max_bytes: int) -> str:
    """Copy pictures, each named after its item, into the folder of ``arrived_on``; gives a line on what was done.

    All is written aside first, then renamed, unless ``lake`` has taken the day in meanwhile; the same command once more
    finishes what was interrupted.

    Raises:
        UserError: a file is missing, no picture by its first bytes or its name, or too large; its day is sealed,
            another file of its name landed there, or the disk is full.
    """
    require_open(arrived_on, lake)
    for path in files:
        _require_picture(path, max_bytes)
    names = [path.name for path in files]
    if len(set(names)) < len(names):
        raise UserError(f"expected pictures of different names, found two named {max(names, key=names.count)}")
    target = landing / PICTURES / f"arrived_on={arrived_on}"
    with aside(landing) as folder:
        new = [path for path in files if not _lies_there(path, target)]
        for path in new:
            shutil.copyfile(path, folder / path.name)
        with no_ingest(lake):
            require_open(arrived_on, lake)
            target.mkdir(parents=True, exist_ok=True)
            for path in new:
                (folder / path.name).replace(target / path.name)
    known = f"; {len(files) - len(new)} of them had landed before" if len(new) < len(files) else ""
    return f"{len(files):,} pictures on {arrived_on}{known}"


def _require_picture(path: Path, max_bytes: int) -> None:
    require_file(path)
    if item_of(path.name) is None:
        expected = f"an item id and one of {', '.join(EXTENSIONS.values())}"
        raise UserError(f"expected {expected} as the name of a picture, found {path}; rename it")
    with path.open("rb") as file:
        start = file.read(MAGIC_BYTES)
    if format_of(start) is None:
        raise UserError(f"expected a picture ({', '.join(EXTENSIONS)}) in {path}, found {start!r} at its start")
    if (size := path.stat().st_size) > max_bytes:
        raise UserError(
            f"expected at most {max_bytes:,} bytes in {path}, found {size:,}; shrink it or raise "
            "RECPIPE_IMAGES__MAX_BYTES"
        )


def _lies_there(path: Path, folder: Path) -> bool:
    there = folder / path.name
    if there.exists() and not filecmp.cmp(path, there, shallow=False):
        raise UserError(f"expected no other file at {there}, found one; rename the new file")
    return there.exists()
