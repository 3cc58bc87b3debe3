"""Zip archives as they are offered for download: which of their files are wanted, and those unpacked under limits."""

import io
import struct
import zipfile
import zlib
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from recpipe.errors import UserError

MAX_MEMBERS = 1000
"""Members of an archive; those known have some dozens."""

MAX_DIRECTORY = 2**20
"""Bytes of an archive's directory, which is read as a whole."""

MAX_BYTES = 64 * 2**30
"""Unpacked, of all files taken out of an archive; the largest of those known have 10 GB."""

MAX_RATIO = 100
"""Bytes unpacked by the archive's own; text has 3 to 20, a bomb up to 1,000."""

_STARTS = (b"PK\x03\x04", b"PK\x05\x06")  # of an archive with members, and of an empty one
_BLOCK = 2**20
_ENCRYPTED = 0x1
_MEANS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # zipfile has no bound on what a block of others grows to
_FAULTS = (zipfile.BadZipFile, zlib.error, struct.error, EOFError, OSError, ValueError, RuntimeError)


class Contents(NamedTuple):
    """What is to be taken out of an archive."""

    path: Path  # of the archive
    taken: tuple[zipfile.ZipInfo, ...]
    not_taken: tuple[str, ...]  # names without folders


def is_zip(path: Path) -> bool:
    """By the first bytes, since names lie."""
    with path.open("rb") as file:
        return file.read(4) in _STARTS


def contents_of(path: Path, format_name: str, wanted: Collection[str]) -> Contents:
    """The archive's members that are named as a file of ``wanted``, in whatever folder.

    Raises:
        UserError: the archive is not whole or over a limit, has names that lead elsewhere, or nothing that is wanted.
    """
    if not wanted:
        raise UserError(f"expected a plain or gzip file for {format_name}, found the zip archive {path}; unpack it")
    with _opened(path) as archive:
        members = [member for member in archive.infolist() if not member.filename.endswith("/")]
    if len(members) > MAX_MEMBERS:
        raise _refused(path, f"at most {MAX_MEMBERS} files", f"{len(members)}")
    for member in members:
        _require_plain_name(path, member.filename)
    taken = [member for member in members if _base(member) in wanted]
    if not taken:
        named = ", ".join(map(_base, members[:5])) or "none"
        raise UserError(
            f"expected {' or '.join(wanted)} in {path}, as in the archives of {format_name}, found {named}; "
            "give another --format"
        )
    _require_within_limits(path, taken)
    return Contents(path, tuple(taken), tuple(_base(member) for member in members if member not in taken))


def unpack(contents: Contents, folder: Path) -> Sequence[Path]:
    """Write the files taken into ``folder``, a block at a time.

    Raises:
        UserError: the archive is not whole.
        OSError: the folder cannot be written to.
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for member in contents.taken:
        path = folder / _base(member)
        with path.open("wb") as file:
            file.writelines(_blocks(contents.path, member))
        paths.append(path)
    return paths


def _blocks(path: Path, member: zipfile.ZipInfo) -> Iterator[bytes]:
    """As many bytes as the directory gives the member, whatever lies there: zipfile stops at them."""
    left = member.file_size
    with _opened(path) as archive, archive.open(member) as file:
        while block := file.read(_BLOCK):
            left -= len(block)
            yield block
        if left:
            raise zipfile.BadZipFile(f"{member.filename} ends {left} bytes early")


def _base(member: zipfile.ZipInfo) -> str:
    return PurePosixPath(member.filename).name


def _require_plain_name(path: Path, name: str) -> None:
    """Of members that are not taken too: their names are printed, and an archive with such names is not the shop's."""
    if not name or not name.isprintable() or "\\" in name or name.startswith("/") or ".." in name.split("/"):
        raise _refused(path, "names of files below one folder", repr(name[:100]))


def _require_within_limits(path: Path, taken: Sequence[zipfile.ZipInfo]) -> None:
    names = [_base(member) for member in taken]
    if len(set(names)) < len(names):
        raise _refused(path, "one file of a name", f"two named {max(names, key=names.count)}")
    for member in taken:
        if member.flag_bits & _ENCRYPTED:
            raise _refused(path, "files without a password", f"{member.filename} encrypted")
        if member.compress_type not in _MEANS:
            raise _refused(
                path, "stored or deflated files", f"{member.filename} packed by method {member.compress_type}"
            )
    size, packed = sum(member.file_size for member in taken), path.stat().st_size
    if size > MAX_BYTES:
        raise _refused(path, f"at most {MAX_BYTES:,} bytes when unpacked", f"{size:,}")
    if size > MAX_RATIO * packed:
        raise _refused(path, f"at most {MAX_RATIO} times its {packed:,} bytes when unpacked", f"{size:,}")


def _refused(path: Path, expected: str, found: str) -> UserError:
    return UserError(
        f"expected {expected} in the archive {path}, found {found}; fetch it again, or unpack it and land its files"
    )


class _Bounded(io.BufferedReader):
    """Refuses the one read of zipfile whose size is not the caller's: that of the archive's directory."""

    def read(self, size: int | None = -1) -> bytes:
        if size is None or size < 0:
            size = MAX_DIRECTORY
        if size > MAX_DIRECTORY:
            raise zipfile.BadZipFile(f"directory of more than {MAX_DIRECTORY} bytes")
        return super().read(size)


@contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile]:
    try:
        with _Bounded(io.FileIO(path)) as file, zipfile.ZipFile(file) as archive:
            yield archive
    except _FAULTS as error:
        raise UserError(f"expected a whole zip archive, found {path} unreadable ({error}); fetch it again") from None
