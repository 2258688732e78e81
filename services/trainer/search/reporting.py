"""The reporting child: ``python -m services.trainer.search.reporting``. It draws, and draws on memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from contracts.manifests import Buckets
from services.runtime.child import child_main
from services.runtime.objectstore import ObjectStore
from services.trainer.fitting.faults import STORE_FAULTS
from services.trainer.search.charts import charts_of
from services.trainer.search.page import page_of
from services.trainer.search.report import Reported, ReportSpec, best_request, document_of, to_json
from services.trainer.settings import TrainerSettings


def work(spec: dict[str, Any], _tell: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    """Report on the search of ``spec``; where the report lies, as JSON."""
    try:
        reported = report(ObjectStore(TrainerSettings()), ReportSpec.model_validate(spec))
    except STORE_FAULTS as error:
        reported = Reported(fault=f"{type(error).__name__}: {error}")
    return reported.model_dump(mode="json")


def report(store: ObjectStore, spec: ReportSpec) -> Reported:
    """Write report.json, page.html and, where a trial is best, best.json under ``searches/<id>/``."""
    place = f"searches/{spec.request.search_id}"
    document = document_of(spec)
    best = best_request(spec)
    if best is not None:
        store.put(Buckets.REPORTS, f"{place}/best.json", to_json(best), "application/json")
    page = page_of(document, charts_of(spec, document["importance"])).encode()
    return Reported(
        report=store.put(Buckets.REPORTS, f"{place}/report.json", to_json(document), "application/json"),
        page=store.put(Buckets.REPORTS, f"{place}/page.html", page, "text/html; charset=utf-8"),
    )


if __name__ == "__main__":
    child_main(work)
