"""How sure a difference of two models is: the paired bootstrap over users (Efron and Tibshirani, 1993, chapter 13)."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, stdtrit

DRAWS = 2000
LEVEL = 0.95
DECIMALS = 9
"""To which differences are told apart: the sums of equal terms may differ in the last bits."""


@dataclass(frozen=True)
class Interval:
    """A mean over users, and the percentile interval of the means of as many users drawn with replacement.

    Where few users count, it reaches out as far as Student's t does beyond the normal (the expanded percentile interval
    of Hesterberg, 2015, "What Teachers Should Know About the Bootstrap"): else of equally good models too many would
    seem better. Users whose value is 0, alike for both models, are not counted for that.
    """

    mean: float
    lower: float
    upper: float

    @classmethod
    def of(cls, values: NDArray[np.floating], seed: int, draws: int = DRAWS, level: float = LEVEL) -> Self:
        """Of one value a user; NaN counts as no user. All three are NaN when none is left.

        For two models give the differences of the same users' values: then what makes some users hard for both cancels
        out. Ranks have few values, so users are drawn as counts of each, which is the same and needs no memory for
        users x draws.
        """
        values = values[~np.isnan(values)]
        if not len(values):
            return cls(np.nan, np.nan, np.nan)
        distinct, counts = np.unique(values.round(DECIMALS), return_counts=True)
        drawn = np.random.default_rng(seed).multinomial(len(values), counts / len(values), size=draws)
        tail = _tail(int(counts[distinct != 0].sum()), level)
        lower, upper = np.quantile(drawn @ distinct / len(values), [tail, 1 - tail])
        return cls(float(counts @ distinct / len(values)), float(lower), float(upper))

    def __str__(self) -> str:
        return f"{self.mean:+.4f} [{self.lower:+.4f}, {self.upper:+.4f}]"


def _tail(users: int, level: float) -> float:
    """The share of the means to leave out on each side."""
    if users < 2:
        return 0.0
    return float(ndtr(stdtrit(users - 1, (1 - level) / 2) * np.sqrt(users / (users - 1))))
