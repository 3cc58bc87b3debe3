"""What a line becomes on the 1st of March 2024, in parts."""

from datetime import date

from recpipe.sources.formats import parse
from recpipe.sources.records import Reject

TODAY = date(2024, 3, 1)


def record(line, format_):
    outcome = parse(line, format_, format_.decode, TODAY)
    assert not isinstance(outcome, Reject), outcome
    return outcome.record


def notes(line, format_):
    outcome = parse(line, format_, format_.decode, TODAY)
    assert not isinstance(outcome, Reject), outcome
    return outcome.notes


def reason(line, format_):
    outcome = parse(line, format_, format_.decode, TODAY)
    assert isinstance(outcome, Reject), outcome
    return outcome.reason
