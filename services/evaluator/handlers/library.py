"""Notes what the library says: where snapshots lie, and how the classes changed."""

from __future__ import annotations

from contracts.commands import RequestEvaluation
from contracts.events import ModelTrained, SnapshotPacked, TaxonomyChanged
from contracts.taxonomy import Taxonomy
from services.evaluator import store
from services.evaluator.scoring.specs import Under
from services.runtime.database import Database
from services.runtime.delivery import Delivery, Unprocessable

VERSIONS_NAMED = 5


class NotYet(Exception):
    """What the work needs was not heard of yet; it may be on its way."""


class LibraryNotes:
    """Handler of ``evaluator-library``, and the answers to what the others ask of it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def handle(self, delivery: Delivery[SnapshotPacked | TaxonomyChanged]) -> None:
        """Remember it; whatever comes twice changes nothing."""
        match delivery.message:
            case SnapshotPacked() as packed:
                await self._database.run(lambda unit: store.record_snapshot(unit, packed))
            case TaxonomyChanged() as changed:
                await self._database.run(lambda unit: store.record_operation(unit, changed))

    async def model(self, version: str) -> ModelTrained:
        """The model of that version.

        Raises:
            Unprocessable: it was never trained here.
        """
        trained = await self._database.read(lambda connection: store.find_model(connection, version))
        if trained is None:
            known = await self._database.read(lambda c: store.known_versions(c, VERSIONS_NAMED))
            names = ", ".join(known) or "none yet"
            raise Unprocessable(f"model {version} was never trained here; the newest models are: {names}")
        return trained

    async def under_of(self, model: ModelTrained, request: RequestEvaluation) -> Under | None:
        """What ``request`` asks for besides the model's own data set and classes; None for nothing.

        Raises:
            Unprocessable, NotYet: as ``under``.
        """
        if request.taxonomy_version is None and request.dataset_of is None:
            return None
        dataset_of = model if request.dataset_of is None else await self.model(request.dataset_of)
        return await self.under(model, dataset_of, request.taxonomy_version)

    async def under(self, model: ModelTrained, dataset_of: ModelTrained, version: int | None) -> Under:
        """The images of ``dataset_of``, the classes of ``version`` or of its snapshot's.

        Raises:
            Unprocessable: the model takes images of another size.
            NotYet: a snapshot or a version of the taxonomy was not heard of.
        """
        if model.image_size_px != dataset_of.image_size_px:
            raise Unprocessable(
                f"model {model.model_version} takes images of {model.image_size_px} px, and the data set of "
                f"model {dataset_of.model_version} has {dataset_of.image_size_px} px; name another data set"
            )
        own, shown = await self._snapshot(model.snapshot_id), await self._snapshot(dataset_of.snapshot_id)
        taxonomy = await self._database.read(store.taxonomy)
        wanted = shown.taxonomy_version if version is None else version
        needed = max(own.taxonomy_version, shown.taxonomy_version, wanted)
        if needed > taxonomy.version:
            raise NotYet(
                f"version {needed} of the taxonomy was not heard of (yet); the newest is {taxonomy.version}: "
                "ask for that or an older one, or see `menagerie taxonomy history`"
            )
        # No further: a version that comes while this is worked on makes it no other work.
        taxonomy = Taxonomy(operations=taxonomy.operations[:needed])
        return Under(dataset_of=dataset_of, own=own, shown=shown, taxonomy=taxonomy, version=wanted)

    async def _snapshot(self, snapshot_id: str) -> SnapshotPacked:
        packed = await self._database.read(lambda c: store.find_snapshot(c, snapshot_id))
        if packed is None:
            raise NotYet(f"snapshot {snapshot_id} was not heard of (yet)")
        return packed
