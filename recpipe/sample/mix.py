"""Which faults are planted, and how many of each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from recpipe.errors import UserError
from recpipe.sample.faults import FAULTS
from recpipe.sample.shop import Sample
from recpipe.sample.writers import Writer

USUAL = {"late": 0.01, "edited": 0.006, "twice": 0.004, "bad": 0.003}
"""Shares of an arrival's reviews when nothing is chosen: a day or two late; changed since they arrived before; there
twice; broken in one of four ways."""

ALL_SHARE = 0.0004
"""Of each kind when all are chosen: together under one line in a hundred, where a day's run would stop."""

ARRIVAL_DAYS = {"twice": 1, "edited": 2, "repeated_file": 2, "late": 3}
"""Faults of lines that are good by themselves; the arrivals that each needs."""


@dataclass(frozen=True)
class Mix:
    shares: Mapping[str, float]
    is_usual: bool
    arrivals: Sequence[date]

    def many(self, kind: str, lines: int, day: date) -> int:
        """Of ``kind`` among an arrival's ``lines``; what was chosen is in the first possible arrival at least once."""
        share = self.shares.get(kind, 0)
        first = self.arrivals[ARRIVAL_DAYS.get(kind, 1) - 1 :][:1]
        least = int(bool(share and lines) and not self.is_usual and [day] == list(first))
        if kind in FAULTS and FAULTS[kind].once:
            return least
        return max(least, int(share * lines))

    def kinds(self, writer: Writer, lines: int, day: date, accepted: bool) -> list[str]:
        """Kind after kind of the faults in single lines, of those that the reader accepts or of the others."""
        if self.is_usual:
            usual = _usual_bad(writer) if writer.kind == "reviews" and not accepted else ()
            return [usual[place % len(usual)] for place in range(self.many("bad", lines, day) if usual else 0)]
        return [
            kind
            for kind, fault in FAULTS.items()
            if fault.fits(writer) and accepted != bool(fault.reason)
            for _ in range(self.many(kind, lines, day))
        ]


def _usual_bad(writer: Writer) -> tuple[str, ...]:
    broken = ("not_json", "not_a_literal", "wrong_number_of_fields")
    return "missing_user", "bad_rating", "dated_before_1995", next(k for k in broken if FAULTS[k].fits(writer))


def shares_of(faults: Sequence[str], whole: str | None) -> Mapping[str, float] | None:
    """Shares by kind out of texts such as missing_user=0.001; ``whole`` is "all", "none" or not said.

    None when nothing is chosen: the usual mix.

    Raises:
        UserError: a text is no such thing, or none are wanted and yet some are.
    """
    if whole not in (None, "all", "none"):
        raise UserError(
            f"expected --faults all or --faults none, found {whole!r}; name single ones by --fault KIND=SHARE"
        )
    if whole == "none" and faults:
        raise UserError(f"expected no --fault beside --faults none, found {faults[0]}; leave out one of them")
    shares = {}
    for fault in faults:
        kind, _, share = fault.partition("=")
        try:
            shares[kind] = float(share)
        except ValueError:
            raise UserError(f"expected --fault KIND=SHARE such as missing_user=0.001, found {fault!r}") from None
    return shares if faults or whole else None


def mix_of(faults: Mapping[str, float] | None, writers: Sequence[Writer], sample: Sample, all_kinds: bool) -> Mix:
    """The usual mix, or ``faults`` as shares of an arrival's lines, by kind; those on top of ``all_kinds`` that fit.

    Raises:
        UserError: a kind does not fit the format or the sample's days, or a share is none.
    """
    if faults is None and not all_kinds:
        return Mix(USUAL, True, sample.arrivals)
    fitting = _fitting(writers, sample)
    for kind, share in (faults or {}).items():
        if kind not in fitting:
            raise UserError(
                f"expected a fault that fits {writers[0].format} arriving on {sample.days} days (one of "
                f"{', '.join(fitting)}), found {kind!r}; choose others"
            )
        if not 0 < share <= 0.1:
            raise UserError(f"expected a share above 0 and up to 0.1 of {kind}, found {share}; give another one")
    return Mix({**(dict.fromkeys(fitting, ALL_SHARE) if all_kinds else {}), **(faults or {})}, False, sample.arrivals)


def _fitting(writers: Sequence[Writer], sample: Sample) -> list[str]:
    in_lines = [kind for kind, fault in FAULTS.items() if any(map(fault.fits, writers))]
    return [*in_lines, *(kind for kind, days in ARRIVAL_DAYS.items() if sample.days >= days)]
