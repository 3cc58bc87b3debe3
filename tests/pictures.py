"""Tiny pictures as bytes, so that no test needs a library to draw them."""

import struct
import zlib


def _chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def png(width: int = 2, height: int = 2, rows: int | None = None, shade: int = 0) -> bytes:
    """A grey PNG; with ``rows`` it holds so many instead of the ``height`` that its header names."""
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    lines = (b"\0" + bytes([shade]) * min(width, 1000)) * (height if rows is None else rows)
    body = _chunk(b"IHDR", header) + _chunk(b"IDAT", zlib.compress(lines)) + _chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def gif(width: int = 1, height: int = 1, frames: int = 2, frame_width: int = 1) -> bytes:
    """A GIF of so many black frames of one row."""
    screen = b"GIF89a" + struct.pack("<HHBBB", width, height, 0x80, 0, 0) + b"\0\0\0\xff\xff\xff"
    frame = b"\x2c" + struct.pack("<HHHHB", 0, 0, frame_width, 1, 0) + b"\x02\x02\x44\x01\0"
    return screen + frame * frames + b"\x3b"
