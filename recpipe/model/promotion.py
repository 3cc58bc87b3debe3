"""The decision about an anchor's model: it must earn its place, else the champion before serves on."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date
from pathlib import Path

from recpipe import delta
from recpipe.errors import UserError
from recpipe.evaluation import gate
from recpipe.job import JobResult
from recpipe.model.anchors import champion, champion_before, opponent, skip_reason
from recpipe.model.candidates import ATTEMPTS, Inputs, read_inputs, refit, told_start, train_candidate
from recpipe.model.checkpoint import Checkpoint
from recpipe.model.judgement import MODEL, Judgement, judge
from recpipe.model.registry import CANDIDATE, CHAMPION, Registry
from recpipe.settings import Settings
from recpipe.tables import EVALUATION_EXAMPLES, METRICS, MODEL_VERDICTS


@dataclass(frozen=True)
class Verdict:
    verdict: str
    reason: str
    model_version: str | None = None
    judgement: Judgement | None = None
    candidate_version: str | None = None


def decide_anchors(settings: Settings, anchors: Sequence[date]) -> JobResult:
    """Decide every anchor, in ascending order, and record the decisions.

    With a warm start an anchor whose candidate waited for the decisions before is trained on the way.

    Raises:
        UserError: an anchor was given up, or a candidate is missing. The other decisions stand.
    """
    registry = Registry(settings.registry)
    said, broken, versions, recorded = [], [], {}, 0
    for anchor in anchors:
        verdict, written = record(settings, anchor, decide(settings, registry, anchor))
        versions, recorded = versions | written, recorded + bool(written)
        by_whom = "" if written else " by another run"
        said.append(f"{anchor} {verdict.verdict}{by_whom}: {verdict.reason}{_overruled(settings, anchor, verdict)}")
        if verdict.verdict == "failed":
            broken.append(said[-1])
    if broken:
        raise UserError("; ".join(broken) + "; later nights use the champion")
    read = sum(delta.count_rows(settings.lake, EVALUATION_EXAMPLES, anchor) for anchor in anchors)
    return JobResult("; ".join(said), {EVALUATION_EXAMPLES.name: read}, {MODEL_VERDICTS.name: recorded}, versions)


def _overruled(settings: Settings, anchor: date, verdict: Verdict) -> str:
    if verdict.verdict != "promoted":
        return ""
    serves = champion(settings.lake, anchor)
    if serves and serves.model_version == verdict.model_version:
        return ""
    return f"; but people decided for that day too, after which {serves.model_version if serves else 'no model'} serves"


def decide(settings: Settings, registry: Registry, anchor: date) -> Verdict:
    reason = skip_reason(settings, anchor)
    if reason:
        return Verdict("skipped", reason)
    inputs = read_inputs(settings, anchor)
    candidate = registry.find(CANDIDATE, anchor, inputs.hash)
    if candidate is None and registry.broken_attempts(CANDIDATE, anchor, inputs.hash) >= ATTEMPTS:
        return Verdict("failed", f"its training broke {ATTEMPTS} times")
    if candidate is None and settings.model.warm_start:
        candidate = train_candidate(settings, registry, inputs)
    if candidate is None:
        raise UserError(
            f"expected a candidate of anchor day {anchor} trained with these settings, found none; "
            "run `recpipe run train_two_tower` for the same day first"
        )
    replaced = champion_before(settings.lake, anchor, anchor)
    met = opponent(settings.lake, anchor, inputs.plan, replaced)
    judgement = judge(settings, inputs.plan, candidate, met and registry.load(met.model_version))
    verdict = _verdict(settings, registry, inputs, candidate, judgement)
    if replaced != met:
        told = f"not compared with {replaced.model_version}, which knows what came after {inputs.plan.candidate.ds}"
        verdict = replace(verdict, reason=f"{verdict.reason}; {told}")
    registry.tell(candidate.model_version, verdict.verdict, verdict.reason, judgement.named())
    return verdict


def _verdict(
    settings: Settings, registry: Registry, inputs: Inputs, candidate: Checkpoint, judgement: Judgement
) -> Verdict:
    start = told_start(settings, candidate)
    if not judgement.passed:
        reason = "; ".join(f"not met: {check.said}" for check in judgement.checks if not check.passed) + start
        return Verdict("rejected", reason, None, judgement, candidate.model_version)
    reason = "; ".join(check.said for check in judgement.checks) + start
    epochs = int(candidate.training["epochs"])
    refitted = registry.find(CHAMPION, inputs.anchor, inputs.hash)
    if refitted is None and registry.broken_attempts(CHAMPION, inputs.anchor, inputs.hash) >= ATTEMPTS:
        reason += f"; but its training on all up to {inputs.anchor} broke {ATTEMPTS} times"
        return Verdict("failed", reason, None, judgement, candidate.model_version)
    refitted = refitted or refit(settings, registry, inputs, epochs)
    registry.show_champion(refitted.model_version, judgement.of(MODEL))
    reason += f"; trained again for {epochs} epochs on all up to {inputs.anchor}"
    return Verdict("promoted", reason, refitted.model_version, judgement, candidate.model_version)


def record(settings: Settings, anchor: date, verdict: Verdict) -> tuple[Verdict, dict[str, int]]:
    """Write the figures, then the verdict, unless another run decided meanwhile: a verdict never changes.

    Gives the verdict that counts, and the versions written: none when it is the other run's.
    """
    with delta.table_lock(settings.lake, MODEL_VERDICTS):
        if standing := decided(settings.lake, anchor):
            return standing, {}
        row = {
            "ds": anchor,
            "verdict": verdict.verdict,
            "reason": verdict.reason,
            "model_version": verdict.model_version,
            "effective_from": anchor,
            "sequence": 0,
        }
        return verdict, {
            METRICS.name: delta.overwrite_partition(settings.lake, METRICS, metric_rows(anchor, verdict), anchor),
            MODEL_VERDICTS.name: delta.overwrite_partition(settings.lake, MODEL_VERDICTS, [row], anchor),
        }


def decided(root: Path, anchor: date) -> Verdict | None:
    """The decision that stands for the anchor's own model, if there is one."""
    with delta.connect(root, [MODEL_VERDICTS]) as lake:
        found = lake.execute(
            "select verdict, reason, model_version from model_verdicts where ds = ? order by sequence limit 1", [anchor]
        ).fetchone()
    return Verdict(*found) if found else None


def metric_rows(anchor: date, verdict: Verdict) -> list[dict[str, object]]:
    """The judgement as rows of table `metrics`; none when nothing was judged."""
    judgement = verdict.judgement
    if judgement is None:
        return []
    versions = {MODEL: verdict.candidate_version, gate.CHAMPION: judgement.champion_version}
    return [
        {"ds": anchor, "model_version": versions.get(one.model, f"{anchor}-{one.model}"), **asdict(one)}
        for one in judgement.figures
    ]
