"""What Spark and Delta raise, as one line where a user can mend it."""

import errno
import re
from collections.abc import Iterator
from contextlib import contextmanager

from py4j.protocol import Py4JError
from pyspark.errors import PySparkException

from recpipe.errors import UserError


@contextmanager
def readable_errors() -> Iterator[None]:
    """Turn what Spark raises into one line where a user can mend it, and cut the JVM's stack from the rest."""
    try:
        yield
    except (PySparkException, Py4JError) as error:
        text = str(error)
        if raised := re.search(r"recpipe\.errors\.UserError: (.+)", text):
            raise UserError(raised[1].strip()) from None
        if "No space left on device" in text:
            raise OSError(errno.ENOSPC, "expected room on the disk, found none; free some and run again") from None
        if denied := re.search(r"(?:AccessDeniedException: |FileNotFoundException: |Permission denied: ?)(.+)", text):
            raise UserError(
                f"expected files that may be read and written, found {denied[1]}; mend the rights"
            ) from None
        if "OutOfMemoryError" in text:
            raise UserError("expected the job to fit in Spark's memory; raise RECPIPE_SPARK__DRIVER_MEMORY") from None
        if "JAVA_GATEWAY_EXITED" in text:
            raise UserError("expected Java to start, found it ended (see above); check RECPIPE_SPARK__*") from None
        raise RuntimeError(f"Spark failed: {_without_stack(text)}").with_traceback(error.__traceback__) from None


def _without_stack(text: str) -> str:
    lines = (line for line in text.splitlines() if not re.match(r"\s*$|\s+(at |\.\.\. \d+ more)|JVM stack", line))
    return "\n".join(list(dict.fromkeys(lines))[:20])
