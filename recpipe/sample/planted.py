"""What was written into the landing folder, counted as it was planted."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from recpipe.sample.faults import FAULTS
from recpipe.sample.writers import Writer


@dataclass
class PlantedFile:
    """A file of one day; what the reader has to find in it."""

    kind: str
    format: str
    arrived_on: date
    file: str
    lines: int = 0  # records that are not blank, the header left out
    faults: Counter[str] = field(default_factory=Counter)  # by kind of fault
    reasons: Counter[str] = field(default_factory=Counter)  # of rejected lines
    notes: Counter[str] = field(default_factory=Counter)  # on accepted lines
    duplicates: int = 0  # lines with the key of another line of the file
    repeats: date | None = None  # byte for byte the file of that day

    def add(self, kind: str, writer: Writer, count: int = 1) -> None:
        if not count:
            return
        self.faults[kind] += count
        fault = FAULTS.get(kind)
        if kind == "twice":
            self.duplicates += count
        elif fault and fault.reason:
            self.reasons[fault.reason] += count
        elif fault and fault.noted:
            self.notes[fault.note(writer)] += count


@dataclass
class Planted:
    """Every file, in the order in which they arrive."""

    format: str
    files: list[PlantedFile] = field(default_factory=list)
    broken: list[Path] = field(default_factory=list)  # files that no run can take in
    mapping: str = ""  # the part of settings.toml by which the events are read

    def lines(self, kind: str) -> Counter[date]:
        """By day of arrival."""
        counts: Counter[date] = Counter()
        for file in self.files:
            counts[file.arrived_on] += file.lines if file.kind == kind else 0
        return +counts

    def total(self, what: str) -> Counter[str]:
        """`faults`, `reasons` or `notes` of all files but repeated ones, which count once."""
        return sum((getattr(file, what) for file in self.files if not file.repeats), Counter())

    @property
    def faults(self) -> Counter[str]:
        repeated = sum(file.repeats is not None for file in self.files)
        return self.total("faults") + Counter(repeated_file=repeated)

    @property
    def duplicates(self) -> int:
        return sum(file.duplicates for file in self.files if not file.repeats)

    def as_dict(self) -> Mapping[str, Any]:
        """For JSON."""
        said: dict[str, Any] = {"format": self.format, "faults": self.faults}
        said |= {"reasons": self.total("reasons"), "notes": self.total("notes"), "duplicates": self.duplicates}
        said["files"] = [vars(file) for file in self.files]
        return said | {"broken_files": self.broken, "events_mapping": self.mapping}

    def __str__(self) -> str:
        kinds = dict.fromkeys(file.kind for file in self.files)
        counts = " and ".join(f"{self.lines(kind).total():,} of {kind}" for kind in kinds).replace(
            " of", " lines of", 1
        )
        days = sorted({file.arrived_on for file in self.files})
        faults = ", ".join(f"{count} {fault}" for fault, count in sorted(self.faults.items()))
        said = f"{counts}, arriving {days[0]} to {days[-1]}; among them {faults or 'no faults'}"
        return "; ".join([said, *(f"and {path}, which no run can take in" for path in self.broken)])
