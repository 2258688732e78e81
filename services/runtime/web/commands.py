"""Commands as ``POST /api/v1/commands/<name>``: the body is the message's, and it is done when answered."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any

from pydantic import TypeAdapter, ValidationError
from sqlalchemy.exc import IntegrityError
from starlette.requests import Request

from contracts.message import Message
from services.runtime.database import Database, Unit
from services.runtime.web.body import whole_body
from services.runtime.web.readable import readable
from services.runtime.web.refusals import Refused

Outcome = dict[str, Any]
Action = Callable[[Unit, Any, datetime], Outcome]
BODY: TypeAdapter[dict[str, Any]] = TypeAdapter(dict[str, Any])
MAX_BODY_BYTES = 2**20
"""Ten times the largest command: 1,000 image ids and a reason."""


class Commands:
    """The commands that a service takes, and the function that does any of them in one transaction."""

    def __init__(self, database: Database, kinds: Iterable[type[Message]], perform: Action) -> None:
        self._database = database
        self._by_name = {kind.name: kind for kind in kinds}
        self._perform = perform

    async def obey(self, name: str, request: Request) -> Outcome:
        """Do the command in the body of ``request``; its id, and what the requester is told.

        Raises:
            Refused: there is no such command, or the body is none.
        """
        command = self._read(name, await whole_body(request, MAX_BODY_BYTES, "command"))
        return {"request_id": getattr(command, "request_id"), **await self._outcome(command)}  # noqa: B009

    async def _outcome(self, command: Message) -> Outcome:
        at = datetime.now(UTC)
        try:
            return await self._database.run(lambda unit: self._perform(unit, command, at))
        except IntegrityError:
            # Another replica did the same request at the same moment: its outcome is told again.
            return await self._database.run(lambda unit: self._perform(unit, command, at))

    def _read(self, name: str, body: bytes) -> Message:
        kind = self._by_name.get(name)
        if kind is None:
            raise Refused(404, f"no command {name[:80]!r}; there are {', '.join(sorted(self._by_name))}")
        try:
            fields = BODY.validate_json(body)
            defaults = {"request_id": secrets.token_hex(16), "requested_at": datetime.now(UTC)}
            return kind.model_validate({**defaults, **fields})
        except ValidationError as error:
            raise Refused(422, f"{name}: {readable(error)}") from error
