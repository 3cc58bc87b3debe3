"""The job ingest_reviews on a sample with every fault in its lines: its tables count what was planted."""

from collections import Counter

from jobs.ingest_reviews import take_in
from recpipe import delta
from recpipe.arriving import arriving_files
from recpipe.rejects import RejectLimit
from recpipe.sample import Sample, Wanted, write_sample
from recpipe.sample.faults import FAULTS
from recpipe.sample.formats import WRITERS
from recpipe.sources.pictures import Limits
from recpipe.tables import ARRIVALS, REJECTED_ROWS

SMALL = Sample(users=100, items=120, days=2)


def test_arrivals_and_rejected_rows_count_the_faults_that_were_planted(lake, tmp_path):
    kinds = {kind for kind, fault in FAULTS.items() if any(map(fault.fits, WRITERS["amazon-2023"]))}
    faults = dict.fromkeys(sorted(kinds | {"twice", "edited"}), 0.004)
    planted = write_sample(tmp_path / "landing", SMALL, Wanted(faults=faults))
    assert planted.faults.keys() == faults.keys()
    limit, pictures = RejectLimit(1, tmp_path / "reports", tmp_path / "landing"), Limits(1000, 100)
    with lake.staging() as staging:
        take_in(arriving_files(tmp_path / "landing", set(), SMALL.last_day), lake, staging, limit, pictures)
    with delta.connect(lake.root, (ARRIVALS, REJECTED_ROWS)) as connection:
        query = "select arrived_on, kind, file, lines_read, rejected, duplicates from arrivals"
        arrivals = {row[:3]: row[3:] for row in connection.sql(query).fetchall()}
        query = "select arrived_on, kind, file, reason, count(*) from rejected_rows group by all"
        rejected = {row[:4]: row[4] for row in connection.sql(query).fetchall()}
    assert arrivals == {
        (file.arrived_on, file.kind, file.file): (file.lines, file.reasons.total(), file.duplicates)
        for file in planted.files
    }
    assert rejected == {
        (file.arrived_on, file.kind, file.file, reason): count
        for file in planted.files
        for reason, count in file.reasons.items()
    }
    assert Counter(reason for *_, reason in rejected).keys() == planted.total("reasons").keys()
