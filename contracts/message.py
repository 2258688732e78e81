"""The base of every event and command, and the registry that finds a type by its subject."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict

from contracts.subjects import SUBJECT_PREFIX, stream_of


def _as_utc(value: object) -> object:
    """SQLite gives back naive datetimes; they were stored as UTC."""
    if isinstance(value, datetime) and value.tzinfo is None:
        return value.replace(tzinfo=UTC)
    return value


UtcDatetime = Annotated[AwareDatetime, BeforeValidator(_as_utc)]

_BY_SUBJECT: dict[str, type[Message]] = {}


class Message(BaseModel):
    """A fact or a request; frozen, and only optional fields are ever added to one.

    ``name`` is ``<domain>.<fact>``. ``key_fields`` spell the natural identity: two messages
    with equal keys say the same thing, so the broker stores one and every handler may see it
    twice (``Nats-Msg-Id`` is made from it).
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    name: ClassVar[str] = ""
    key_fields: ClassVar[tuple[str, ...]] = ()

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if cls.__dict__.get("name"):
            _BY_SUBJECT[cls.subject()] = cls

    @classmethod
    def subject(cls) -> str:
        """The subject this type travels on."""
        return f"{SUBJECT_PREFIX}.{cls.name}"

    @classmethod
    def stream(cls) -> str:
        """The stream that stores it; publishing names it, so that nothing vanishes."""
        return stream_of(cls.subject())

    def message_id(self) -> str:
        """Deterministic id (``ce-id``, ``Nats-Msg-Id``): same fact, same id."""
        parts = "\x1f".join(str(getattr(self, field)) for field in self.key_fields)
        digest = hashlib.sha256(f"{self.name}\x1f{parts}".encode()).hexdigest()
        return f"{self.name}-{digest[:32]}"


def message_types() -> dict[str, type[Message]]:
    """Every known message type by subject."""
    return dict(sorted(_BY_SUBJECT.items()))
