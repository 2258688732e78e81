"""Dead letters."""

from __future__ import annotations

from services.reporter.store.tables.columns import AT, FLAG, JSON, TEXT, WHOLE, table

fct_dead_letters = table(
    "fct_dead_letters",
    {"dead_letter_id": TEXT},
    {
        "service": TEXT,
        "durable": TEXT,
        "source_subject": TEXT,
        "source_stream": TEXT,
        "source_seq": WHOLE,
        "source_message_id": TEXT,
        "reason": TEXT,
        "error": TEXT,
        "attempts": WHOLE,
        "headers": JSON,
        "body_base64": TEXT,
        "is_truncated": FLAG,
        "stored_at": AT,
        "stored_event_seq": WHOLE,
        "replayed_by": TEXT,
        "replayed_at": AT,
        "replayed_event_seq": WHOLE,
    },
    ("stored_at",),
)
