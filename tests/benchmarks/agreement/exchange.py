"""What the peers' scripts share: ranked lists come in, figures go out. It runs in their environments, where recpipe is
not."""

import json
import sys
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd


@dataclass(frozen=True)
class Cases:
    users: int
    k: int
    lists: pd.DataFrame  # user, item, rank from 1
    targets: pd.DataFrame  # user, item
    histories: pd.DataFrame  # user, item
    vectors: np.ndarray  # (candidates, size)

    def each(self, rows: pd.DataFrame) -> list[np.ndarray]:
        """The items of every user in the order of ``rows``, which ascend by user."""
        return np.split(rows["item"].to_numpy(), np.cumsum(np.bincount(rows["user"], minlength=self.users))[:-1])

    def of_users(self, values: pd.Series) -> list[float]:
        """Of values by user, one a user; NaN for those whom the peer leaves out."""
        return values.reindex(range(self.users)).astype(float).tolist()


Figures = Mapping[str, Mapping[str, object]]
"""By name the ``mean``, and one value a user as ``users`` where the peer tells them."""


def read(file: Path) -> Cases:
    with np.load(file) as told:
        users, ranks = np.nonzero(told["lists"] >= 0)
        lists = pd.DataFrame({"user": users, "item": told["lists"][users, ranks], "rank": ranks + 1})
        pairs = (pd.DataFrame(told[name], columns=["user", "item"]) for name in ("targets", "histories"))
        return Cases(*told["lists"].shape, lists, *pairs, told["vectors"])


def main(package: str, figures: Callable[[Cases], Figures]) -> None:
    """Read all FOLDER/NAME.npz and write FOLDER/PACKAGE.json."""
    warnings.simplefilter("ignore")
    folder = Path(sys.argv[1])
    told = {file.stem: figures(read(file)) for file in sorted(folder.glob("*.npz"))}
    (folder / f"{package}.json").write_text(json.dumps({"version": version(package), "data": told}))
