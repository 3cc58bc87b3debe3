"""Ingest of a million generated Amazon-2023 reviews beside DuckDB, which reads the same file and checks nothing.

Both are timed in one run on one file, since machines are noisy; the start of the Spark session is taken off. The memory
is the peak of the driver's JVM and of the largest Python worker. `make bench-ingest` prints a line of JSON.
"""

import json
import os
import re
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import duckdb

from jobs.ingest_reviews import take_in
from recpipe import delta
from recpipe.arriving import arriving_files, sealed_files
from recpipe.lake import Lake, spark_session
from recpipe.rejects import RejectLimit
from recpipe.settings import Settings
from recpipe.sources.pictures import Limits
from tests.benchmarks.bulk import write_bulk_reviews

ROWS = int(os.environ.get("BENCH_ROWS", "1000000"))
DAY = date(2024, 1, 1)
THREADS = 2
TYPED = """
    copy (select user_id, parent_asin, epoch_ms("timestamp") as reviewed_at, rating, title, text,
                 helpful_vote::integer as vote, verified_purchase as verified
          from read_json($path, format = 'newline_delimited', columns = {user_id: 'varchar', parent_asin: 'varchar',
               "timestamp": 'bigint', rating: 'double', title: 'varchar', text: 'varchar', helpful_vote: 'bigint',
               verified_purchase: 'boolean'}))
    to '{to}' (format parquet)
"""


def duckdb_seconds(path: Path, to: Path) -> float:
    connection = duckdb.connect(config={"threads": THREADS})
    start = time.perf_counter()
    connection.execute(TYPED.replace("{to}", str(to)), {"path": str(path)})
    return time.perf_counter() - start


@contextmanager
def peaks(seen: dict[str, float]) -> Iterator[None]:
    """Peak resident memory of the JVM and of the largest Python process below this one, MiB."""
    done = threading.Event()

    def watch() -> None:
        while not done.wait(0.5):
            for status in Path("/proc").glob("[0-9]*/status"):
                try:
                    text = status.read_text()
                except OSError:
                    continue
                name, peak = re.search(r"Name:\s+(\S+)", text), re.search(r"VmHWM:\s+(\d+)", text)
                if name and peak and status.parent.name != str(os.getpid()):
                    seen[name[1]] = max(seen.get(name[1], 0), int(peak[1]) / 1024)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    yield
    done.set()
    thread.join()


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        settings = Settings(home=home)
        path = settings.landing / "reviews" / f"arrived_on={DAY}" / "reviews.jsonl"
        path.parent.mkdir(parents=True)
        write_bulk_reviews(path, ROWS, seed=7)
        delta.create_tables(settings.lake)
        by_duckdb = min(duckdb_seconds(path, home / "duckdb.parquet") for _ in range(2))
        memory: dict[str, float] = {}
        with peaks(memory), spark_session(settings) as spark:
            spark.range(10).mapInArrow(lambda batches: batches, "id long").count()  # a worker's start is the session's
            lake = Lake(spark, settings.lake)
            start = time.perf_counter()
            with lake.staging() as staging:
                arriving = arriving_files(settings.landing, sealed_files(settings.lake), DAY)
                limit = RejectLimit(settings.max_rejected_share, settings.reports, settings.landing)
                pictures = Limits(settings.images.max_bytes, settings.images.max_pixels)
                result = take_in(arriving, lake, staging, limit, pictures)
            by_recpipe = time.perf_counter() - start
        found = {
            "rows": result.rows_out["reviews"],
            "file_mb": round(path.stat().st_size / 1e6),
            "duckdb_s": round(by_duckdb, 2),
            "recpipe_s": round(by_recpipe, 2),
            "ratio": round(by_recpipe / by_duckdb, 1),
            "jvm_mib": round(memory.get("java", 0)),
            "python_worker_mib": round(max((mib for name, mib in memory.items() if "python" in name), default=0)),
        }
        print(json.dumps(found))


if __name__ == "__main__":
    main()
