"""Two rounds of the chain, and the account at the end."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from contracts.training import DatasetRules
from services.ops.clients.bus import Bus
from services.ops.clients.errors import OpsError
from services.ops.clients.output import Output
from services.ops.clients.reads import Reporter
from services.ops.clients.retry import persist
from services.ops.clients.status import read_report
from services.ops.demo import account
from services.ops.demo.chain import Chain, Row
from services.ops.demo.folder import FEWEST_CLASSES
from services.ops.demo.material import Kind, Material
from services.ops.demo.stages import Stages

MINIMUM = DatasetRules().minimum_per_class


@dataclass
class Findings:
    """What the rounds brought: runs, models and bulk runs, by model version."""

    runs: dict[str, Row] = field(default_factory=dict)
    scratch: Row | None = None
    bulk: dict[str, Row] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


class Tour:
    """Runs the material through an open stack."""

    def __init__(self, material: Material, chain: Chain, stages: Stages, output: Output) -> None:
        self._material = material
        self._chain = chain
        self._stages = stages
        self._output = output
        self.findings = Findings()

    async def run(self) -> None:
        """Both rounds; a training that fails is told and does not end the tour."""
        await self._arrive(1, "the first classes arrive")
        await self._round("first", 1, base="scratch")
        if self._material.of_round(2):
            await self._arrive(2, "more classes arrive")
        if self.findings.runs:
            await self._round("second", 2, base="newest")
        with self._stages.stage("rest", "Waiting until nothing is on its way any more"):
            await self._chain.rest()

    async def _arrive(self, number: int, why: str) -> None:
        files = self._material.of_round(number)
        with self._stages.stage(f"upload {number}", f"Uploading {len(files)} files: {why}"):
            await self._chain.upload(files)
        with self._stages.stage(f"settle {number}", "Decoding, normalising, looking for duplicates"):
            await self._chain.settle()

    async def _round(self, which: str, number: int, base: str) -> None:
        with self._stages.stage(f"snapshot {number}", "Packing the library into a snapshot"):
            snapshot = await self._chain.snapshot()
        classes = self._material.trainable(number, MINIMUM)
        if len(classes) < FEWEST_CLASSES:
            self._output.say(f"  {len(classes)} classes have {MINIMUM} labelled pictures: no {which} model")
            return
        try:
            await self._models(number, snapshot, base, len(classes))
        except OpsError as error:
            self.findings.problems.append(f"{which} model: {error}")
            self._output.say(f"  {error}")

    async def _models(self, number: int, snapshot: Row, base: str, classes: int) -> None:
        options = dict(self._material.options)
        how = (
            "from random weights"
            if base == "scratch"
            else "fine-tuned from the first, with a new output layer"
        )
        with self._stages.stage(f"train {number}", f"Training model {number} on {classes} classes, {how}"):
            order = await self._chain.order_training(snapshot, base, options)
            # The rival is ordered at once: the trainer takes it while the model is being scored.
            rival = (
                await self._chain.order_training(snapshot, "scratch", options, trial=True)
                if number > 1 and self._material.compared
                else None
            )
            run = await self._chain.trained(order)
        version = run["outcome"]["model_version"]
        self.findings.runs[version] = run
        with self._stages.stage(f"score {number}", f"Scoring every image with model {version}"):
            scored = await self._chain.scored(version)
        with self._stages.stage(f"export {number}", f"Exporting model {version}"):
            await self._chain.exported(scored)
        with self._stages.stage(f"bulk {number}", f"Model {version} names the images without a label"):
            self.findings.bulk[version] = await self._chain.identified(version)
        if rival is not None:
            with self._stages.stage("compare", "The same classes from random weights, for comparison"):
                self.findings.scratch = await self._chain.trained(rival)


async def take_account(
    material: Material,
    tour: Tour,
    chain: Chain,
    reporter: Reporter,
    bus: Bus,
    states: dict[str, str],
    seconds: dict[str, float],
) -> Row:
    """The status report with ``seconds`` and ``demo`` added."""
    backlog = await persist(bus.backlog)
    report = await persist(lambda: read_report(states, reporter, backlog))
    exhibits, found = material.exhibits, tour.findings
    rejected = await persist(lambda: chain.uploads("rejected"))
    repeated = await persist(lambda: chain.uploads("repeated"))
    last = max(found.runs, default=None)
    demo: dict[str, Any] = {
        "planted": material.planted(),
        "accounting": account.ends(report["images"]),
        "duplicates": account.duplicates(exhibits, chain.image_of, await persist(chain.near_images)),
        "broken": account.broken_ends(exhibits, [*rejected, *repeated]),
        "epochs": {version: run["epochs"] for version, run in found.runs.items()},
        "comparison": None,
        "bulk": None,
        "problems": found.problems,
    }
    if found.scratch and last is not None and len(found.runs) > 1:
        demo["comparison"] = account.comparison(found.runs[last]["epochs"], found.scratch["epochs"])
        demo["epochs"]["scratch"] = found.scratch["epochs"]
    if last in found.bulk:
        bulk = found.bulk[last]
        answers = await persist(lambda: chain.answers(bulk["run_id"]))
        demo["bulk"] = {"model": last} | account.bulk_accuracy(
            exhibits, chain.image_of, answers, float(bulk["threshold"])
        )
    demo["out_of_scope"] = sum(one.kind is Kind.OUT_OF_SCOPE for one in exhibits)
    return report | {"seconds": seconds, "demo": demo}
