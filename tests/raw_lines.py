"""Lines as shops write them, with everything filled in that a test does not speak of, and files of such lines."""

import csv
import gzip
import io
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb


def seconds(day: str) -> int:
    return int(datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp())


def review_2014(**fields: Any) -> bytes:
    line = {"reviewerID": "U1", "asin": "I1", "reviewerName": "Ann", "helpful": [2, 3], "reviewText": "Good."}
    line |= {"overall": 5.0, "summary": "Fine", "unixReviewTime": seconds("2014-01-01"), "reviewTime": "01 1, 2014"}
    return json.dumps({**line, **fields}).encode()


def item_2014(**fields: Any) -> bytes:
    line = {"asin": "I1", "title": "Mug", "price": 12.99, "imUrl": "http://x/1.jpg", "related": {"also_bought": ["I2"]}}
    line |= {"salesRank": {"Kitchen": 7}, "categories": [["Kitchen", "Cups"]], "brand": "Oldmill"}
    return repr({**line, "description": "Holds tea.", **fields}).encode()


def review_2018(**fields: Any) -> bytes:
    line = {"overall": 5.0, "verified": True, "reviewTime": "01 1, 2018", "reviewerID": "U1", "asin": "I1"}
    line |= {"reviewText": "Good.", "summary": "Fine", "unixReviewTime": seconds("2018-01-01")}
    return json.dumps({**line, **fields}).encode()


def review_2023(**fields: Any) -> bytes:
    line = {"rating": 5.0, "title": "Fine", "text": "Good.", "images": [], "asin": "V1", "parent_asin": "I1"}
    line |= {"user_id": "U1", "timestamp": seconds("2024-01-01") * 1000, "helpful_vote": 0, "verified_purchase": True}
    return json.dumps({**line, **fields}).encode()


def item_2018(**fields: Any) -> bytes:
    line = {"asin": "I1", "title": "Mug", "brand": "Oldmill", "category": ["Kitchen", "Cups"], "price": "$12.99"}
    line |= {"description": ["Holds tea."], "imageURL": [], "imageURLHighRes": []}
    return json.dumps({**line, **fields}).encode()


def item_2023(**fields: Any) -> bytes:
    line = {"parent_asin": "I1", "title": "Mug", "store": "Oldmill", "categories": ["Kitchen", "Cups"], "price": 12.99}
    line |= {"description": ["Holds tea."], "images": []}
    return json.dumps({**line, **fields}).encode()


def csv_record(*fields: Any) -> bytes:
    """Without its line end."""
    text = io.StringIO(newline="")
    csv.writer(text).writerow(fields)
    return text.getvalue().removesuffix("\r\n").encode()


def write_lines(path: Path, *lines: bytes, zipped: bool = False) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    content = b"".join(line + b"\n" for line in lines)
    path.write_bytes(gzip.compress(content) if zipped else content)
    return path


def write_parquet(path: Path, query: str) -> Path:
    """The rows of a DuckDB query."""
    path.parent.mkdir(parents=True, exist_ok=True)
    duckdb.connect().execute(f"copy ({query}) to '{path}' (format parquet)")
    return path


def landed(landing: Path, kind: str, day: str, file: str, *lines: bytes, zipped: bool = False) -> Path:
    """A file in its day folder, put there by hand."""
    return write_lines(landing / kind / f"arrived_on={day}" / file, *lines, zipped=zipped)
