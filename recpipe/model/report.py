"""The page of a night, with the learning curves that the registry keeps: `python -m recpipe.model.report`."""

import argparse
import sys
from pathlib import Path

from recpipe import delta
from recpipe.errors import UserError
from recpipe.evaluation.report import write_report
from recpipe.job import parse_day
from recpipe.job_lock import job_under_way
from recpipe.model.registry import Registry
from recpipe.settings import read_settings


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ds", required=True)
    parser.add_argument("--html", type=Path, required=True)
    options = parser.parse_args()
    try:
        settings = read_settings()
        # As jobs do: one that read rows of a user who is erased meanwhile would write them afterwards.
        with job_under_way(settings.lake), delta.readable_errors():
            write_report(settings, parse_day(options.ds), options.html, Registry(settings.registry).curves)
    except (UserError, OSError) as error:
        print(f"recpipe: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
