"""Random histories of labels, undos and opinions on real tables, against a list in memory."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from contracts.commands import AssignLabel, AssignLabels, GiveOpinion, UndoLabels
from contracts.events import ImageLabelled, ImageRelabelled, ImageUnlabelled, OpinionGiven
from contracts.message import Message
from contracts.values import LabelKind
from services.ingest.actions.perform import perform
from services.ingest.domain.faults import ActionRefused
from services.ingest.domain.labels import ImageLabel, disagreement, kind_of
from services.ingest.store import metadata
from services.ingest.store.opinions import disagreement_clause, opinion_count, opinions_of
from services.ingest.store.tables import image, label_change, opinion
from services.runtime.database import Unit, make_engine
from tests.support.label_desk import ask, shelve

IMAGES = 3
LABELLED = (ImageLabelled, ImageRelabelled, ImageUnlabelled)
Said = tuple[str | None, LabelKind | None]

numbers = st.integers(0, IMAGES - 1)
people = st.sampled_from(["ann", "bob", "cleo"])
labels = st.sampled_from(["otter", "lion", "Unknown Bird"])
kinds = st.sampled_from([None, None, LabelKind.REJECTED, LabelKind.OUT_OF_SCOPE])
change_ids = st.sampled_from([None, None, "batch-a", "batch-b"])


@dataclass
class Model:
    """What an image's history must be: the label after each change, and which change it was."""

    said: list[Said] = field(default_factory=lambda: [(None, None)])
    change_ids: list[str] = field(default_factory=lambda: [""])
    by: list[str] = field(default_factory=lambda: [""])

    def change(self, said: Said, change_id: str, by: str) -> bool:
        if self.said[-1] == said:
            return False
        self.said.append(said)
        self.change_ids.append(change_id)
        self.by.append(by)
        return True

    def before(self, change_id: str) -> Said:
        """What it said before its newest changes of that id."""
        at = len(self.said) - 1
        while self.change_ids[at] == change_id:
            at -= 1
        return self.said[at]


class HeardUnit(Unit):
    """Keeps what is emitted."""

    def __init__(self, connection: sa.Connection) -> None:
        super().__init__(connection, "test")
        self.said: list[Message] = []

    def emit(self, message: Message) -> None:
        self.said.append(message)


@cache
def _tables() -> sa.Engine:
    engine = make_engine("sqlite://")
    metadata.create_all(engine)
    return engine


class LabelHistories(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.connection = _tables().connect()
        self.ids = shelve(self.connection, IMAGES)
        self.unit = HeardUnit(self.connection)
        self.models = [Model() for _ in range(IMAGES)]
        self.asked: list[tuple[Message, dict[str, Any]]] = []
        self.opinions = 0

    def teardown(self) -> None:
        before = self._everything()
        for request, told in self.asked:
            assert perform(self.unit, request, self._now()) == told
        assert self._everything() == before
        self.connection.close()  # a rollback: the tables are empty again

    @rule(number=numbers, label=labels, kind=kinds, by=people, change_id=change_ids)
    def assign(self, number: int, label: str, kind: LabelKind | None, by: str, change_id: str | None) -> None:
        fields = {"label": label, "kind": kind, "by": by, "change_id": change_id}
        told = self._do(AssignLabel, image_id=self.ids[number], **fields)
        said = (label, kind or kind_of(label))
        assert told["changed"] == self.models[number].change(said, change_id or self._last(), by)

    @rule(some=st.sets(numbers, min_size=1), label=labels, kind=kinds, by=people, change_id=change_ids)
    def assign_many(
        self, some: set[int], label: str, kind: LabelKind | None, by: str, change_id: str | None
    ) -> None:
        fields = {"label": label, "kind": kind, "by": by, "change_id": change_id}
        told = self._do(AssignLabels, image_ids=[self.ids[n] for n in some], **fields)
        said = (label, kind or kind_of(label))
        changed = [self.models[n].change(said, change_id or self._last(), by) for n in some]
        assert told == {"changed": sum(changed)}

    @rule(data=st.data(), by=people)
    def undo(self, data: st.DataObject, by: str) -> None:
        target = data.draw(st.sampled_from(self._change_ids() or ["nothing"]))
        concerned = [model for model in self.models if target in model.change_ids]
        if not concerned:
            with pytest.raises(ActionRefused, match=target):
                self._do(UndoLabels, change_id=target, by=by)
            return
        told = self._do(UndoLabels, change_id=target, by=by)
        changed = sum(
            model.change(model.before(target), self._last(), by)
            for model in concerned
            if model.change_ids[-1] == target
        )
        assert told == {"changed": changed, "left": len(concerned) - changed}

    @precondition(lambda self: self._change_ids())
    @rule(data=st.data())
    def undo_and_redo(self, data: st.DataObject) -> None:
        before = [model.said[-1] for model in self.models]
        self.undo(data, "ann")
        if self._last() in self._change_ids():
            self._do(UndoLabels, change_id=self._last(), by="bob")
            undo, redo = (request.request_id for request, _ in self.asked[-2:])  # type: ignore[attr-defined]
            for model in self.models:
                if model.change_ids[-1] == undo:
                    assert model.change(model.said[-2], redo, "bob")
        assert [model.said[-1] for model in self.models] == before

    @rule(number=numbers, label=labels, by=people)
    def give_opinion(self, number: int, label: str, by: str) -> None:
        told = self._do(GiveOpinion, image_id=self.ids[number], label=label, by=by)
        self.opinions += 1
        current = self.models[number].said[-1]
        assert told == {"agrees": current == (label, kind_of(label)), "current_label": current[0]}

    @precondition(lambda self: self.asked)
    @rule(data=st.data())
    def hear_again(self, data: st.DataObject) -> None:
        request, told = data.draw(st.sampled_from(self.asked))
        before = self._everything()
        assert perform(self.unit, request, self._now()) == told
        assert self._everything() == before

    @invariant()
    def the_history_is_the_models(self) -> None:
        for image_id, model in zip(self.ids, self.models, strict=True):
            rows = self._rows(label_change, image_id)
            assert [row.revision for row in rows] == list(range(1, len(model.said)))
            assert [(row.label, row.label_kind) for row in rows] == model.said[1:]
            assert [(row.previous_label, row.previous_kind) for row in rows] == model.said[:-1]
            assert [row.change_id for row in rows] == model.change_ids[1:]
            assert [row.changed_by for row in rows] == model.by[1:]
            [now] = self._rows(image, image_id)
            assert (now.label, now.label_kind, now.label_revision) == (*model.said[-1], len(rows))

    @invariant()
    def every_change_was_told_once(self) -> None:
        told = [message for message in self.unit.said if isinstance(message, LABELLED)]
        assert len({message.message_id() for message in self.unit.said}) == len(self.unit.said)
        assert len(told) == sum(len(model.said) - 1 for model in self.models)
        for message in told:
            model = self.models[self.ids.index(message.image_id)]
            (previous, _), (label, kind) = model.said[message.revision - 1 : message.revision + 1]
            if isinstance(message, ImageUnlabelled):
                assert (label, message.previous_label) == (None, previous)
            else:
                assert (message.label, message.kind) == (label, kind)
                assert getattr(message, "previous_label", None) == previous
            assert message.change_id == model.change_ids[message.revision]

    @invariant()
    def no_opinion_is_lost_and_sql_sees_the_same_disagreement(self) -> None:
        kept = sum(len(self._rows(opinion, image_id)) for image_id in self.ids)
        assert kept == self.opinions == sum(isinstance(m, OpinionGiven) for m in self.unit.said)
        query = sa.select(image.c.image_id, disagreement_clause(), opinion_count()).order_by(image.c.image_id)
        for row, model in zip(self.connection.execute(query), self.models, strict=True):
            given = opinions_of(self.connection, row[0])
            label, labeller = ImageLabel(*model.said[-1], 0), model.by[-1]
            assert bool(row[1]) == disagreement(label, labeller, given)
            labelled = {labeller} if label.text is not None else set()
            assert row[2] == len(labelled | {o.by for o in given})

    def _do(self, command: type[Message], **fields: Any) -> dict[str, Any]:
        request = ask(command, f"request-{len(self.asked)}", **fields)
        told = perform(self.unit, request, self._now())
        self.asked.append((request, told))
        return told

    def _last(self) -> str:
        return f"request-{len(self.asked) - 1}"

    def _now(self) -> datetime:
        return datetime.fromtimestamp(len(self.asked), UTC)

    def _change_ids(self) -> list[str]:
        return sorted({change_id for model in self.models for change_id in model.change_ids[1:]})

    def _rows(self, table: sa.Table, image_id: str) -> list[Any]:
        query = sa.select(table).where(table.c.image_id == image_id).order_by(*table.primary_key)
        return list(self.connection.execute(query))

    def _everything(self) -> Any:
        tables = (image, label_change, opinion)
        rows = [row for table in tables for image_id in self.ids for row in self._rows(table, image_id)]
        return rows, list(self.unit.said)


TestLabelHistories = LabelHistories.TestCase
TestLabelHistories.settings = settings(max_examples=30, stateful_step_count=20)
