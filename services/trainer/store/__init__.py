"""The trainer's tables: snapshots it heard of, runs, registered models and their exports."""

from services.trainer.store.asked import find_request
from services.trainer.store.compressions import is_compressed, record_compression
from services.trainer.store.exports import (
    find_exports,
    find_report,
    record_export,
    record_report,
)
from services.trainer.store.leases import count_death, export_lease, note_checkpoint, run_lease
from services.trainer.store.models import (
    find_model,
    known_versions,
    line_of,
    named_versions,
    next_number,
)
from services.trainer.store.runs import (
    Run,
    RunState,
    begin_run,
    cancel_instead,
    cancel_run,
    end_run,
    end_with,
    find_run,
    give_up,
    record_progress,
    register,
)
from services.trainer.store.snapshots import find_snapshot, record_snapshot
from services.trainer.store.stops import Stop, StopKind, ask_to_stop, find_stop
from services.trainer.store.tables import metadata

__all__ = [
    "Run",
    "RunState",
    "Stop",
    "StopKind",
    "ask_to_stop",
    "begin_run",
    "cancel_instead",
    "cancel_run",
    "count_death",
    "end_run",
    "end_with",
    "export_lease",
    "find_exports",
    "find_model",
    "find_report",
    "find_request",
    "find_run",
    "find_snapshot",
    "find_stop",
    "give_up",
    "is_compressed",
    "known_versions",
    "line_of",
    "metadata",
    "named_versions",
    "next_number",
    "note_checkpoint",
    "record_compression",
    "record_export",
    "record_progress",
    "record_report",
    "record_snapshot",
    "register",
    "run_lease",
]
