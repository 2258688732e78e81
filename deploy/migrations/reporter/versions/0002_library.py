"""library"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = '0002'
down_revision = '0001'
branch_labels = None
depends_on = None

# As they are at this revision; a later one drops and creates what it changes.
VIEWS = {
    "rpt_classes_v1": """
        SELECT dim_images.label, max(dim_images.label_kind) AS label_kind, count(*) AS images,
        coalesce(sum(CASE WHEN (dim_images.verdict = 'unique') THEN 1 ELSE 0 END), 0) AS
        unique_images, coalesce(sum(CASE WHEN (dim_images.verdict = 'near') THEN 1 ELSE 0 END), 0)
        AS near_duplicates, coalesce(sum(CASE WHEN (dim_images.source = 'real') THEN 1 ELSE 0 END),
        0) AS real_images, coalesce(sum(CASE WHEN (dim_images.source = 'staged') THEN 1 ELSE 0 END),
        0) AS staged_images, coalesce(sum(CASE WHEN (dim_images.source = 'synthetic') THEN 1 ELSE 0
        END), 0) AS synthetic_images, coalesce(sum(CASE WHEN (dim_images.benchmark IS NOT NULL) THEN
        1 ELSE 0 END), 0) AS benchmark_images, max(dim_images.labelled_at) AS last_labelled_at FROM
        dim_images WHERE dim_images.accepted_at IS NOT NULL AND dim_images.label IS NOT NULL GROUP
        BY dim_images.label
    """,
    "rpt_dead_letters_v1": """
        SELECT fct_dead_letters.dead_letter_id, fct_dead_letters.service, fct_dead_letters.durable,
        fct_dead_letters.source_subject, fct_dead_letters.source_stream,
        fct_dead_letters.source_seq, fct_dead_letters.source_message_id, fct_dead_letters.reason,
        fct_dead_letters.error, fct_dead_letters.attempts, fct_dead_letters.is_truncated,
        fct_dead_letters.stored_at, fct_dead_letters.replayed_by, fct_dead_letters.replayed_at,
        fct_dead_letters.stored_event_seq IS NOT NULL AND fct_dead_letters.stored_event_seq >
        coalesce(fct_dead_letters.replayed_event_seq, 0) AS is_open FROM fct_dead_letters WHERE
        fct_dead_letters.stored_event_seq IS NOT NULL
    """,
    "rpt_double_checks_v1": """
        SELECT fct_double_checks.image_id, fct_double_checks.revision, fct_double_checks.reason,
        fct_double_checks.requested_by, fct_double_checks.requested_at, fct_double_checks.verdict,
        fct_double_checks.checked_by, fct_double_checks.checked_reason,
        fct_double_checks.checked_at, fct_double_checks.checked_at IS NULL AS is_open FROM
        fct_double_checks WHERE fct_double_checks.requested_at IS NOT NULL
    """,
    "rpt_identifications_v1": """
        SELECT fct_identifications.run_id, fct_identifications.image_id, fct_identifications.page,
        fct_identifications.model_version, fct_identifications.label,
        fct_identifications.confidence, fct_identifications.candidates,
        fct_identifications.identified_at, fct_bulk_runs.threshold, fct_identifications.confidence
        >= fct_bulk_runs.threshold AS is_above_threshold, dim_images.label AS assigned_label FROM
        fct_identifications LEFT OUTER JOIN fct_bulk_runs ON fct_bulk_runs.run_id =
        fct_identifications.run_id LEFT OUTER JOIN dim_images ON dim_images.image_id =
        fct_identifications.image_id
    """,
    "rpt_image_flags_v1": """
        SELECT fct_image_flags.image_id, fct_image_flags.revision, fct_image_flags.flag,
        fct_image_flags.value, fct_image_flags.threshold, fct_image_flags.flagged_at FROM
        fct_image_flags JOIN dim_images ON dim_images.image_id = fct_image_flags.image_id AND
        dim_images.flag_revision = fct_image_flags.revision
    """,
    "rpt_images_v1": """
        SELECT dim_images.image_id, dim_images.upload_id, dim_images.file_name, dim_images.source,
        dim_images.guest, dim_images.benchmark, dim_images.taken_at, dim_images.accepted_at,
        dim_images.image_format, dim_images.width_px, dim_images.height_px,
        dim_images.original_bucket, dim_images.original_key, dim_images.original_size_bytes,
        dim_images.normalised_bucket, dim_images.normalised_key, dim_images.thumbnail_bucket,
        dim_images.thumbnail_key, dim_images.thumbnail_size_bytes, dim_images.thumbnail_sha256,
        dim_images.verdict, dim_images.group_id, dim_images.duplicate_of_image_id,
        dim_images.distance_bits, dim_images.detector, dim_images.deduplicated_at,
        dim_images.verdict_revision, dim_images.label, dim_images.label_kind,
        dim_images.labelled_by, dim_images.labelled_at, dim_images.label_revision, dim_images.visit,
        dim_images.tags, dim_images.upstream_id, dim_images.quality, dim_images.benchmark_revision,
        dim_images.flags, dim_images.flag_revision, dim_images.label IS NOT NULL AS is_labelled,
        coalesce(dim_images.verdict, '') = 'near' AS is_near_duplicate FROM dim_images WHERE
        dim_images.accepted_at IS NOT NULL
    """,
    "rpt_label_changes_v1": """
        SELECT fct_label_changes.image_id, fct_label_changes.revision, fct_label_changes.label,
        fct_label_changes.label_kind, fct_label_changes.previous_label,
        fct_label_changes.labelled_by, fct_label_changes.reason, fct_label_changes.labelled_at,
        fct_label_changes.change_id, fct_label_changes.suggested_by_model_version,
        fct_label_changes.suggested_label, fct_label_changes.suggested_confidence,
        fct_label_changes.label = fct_label_changes.suggested_label AS is_as_suggested FROM
        fct_label_changes
    """,
    "rpt_models_v1": """
        SELECT dim_models.model_version, dim_models.run_id, dim_models.base_version,
        dim_models.snapshot_id, dim_models.network, dim_models.image_size_px, dim_models.classes,
        dim_models.class_count, dim_models.train_images, dim_models.validation_images,
        dim_models.test_images, dim_models.benchmark_images, dim_models.out_images,
        dim_models.epochs, dim_models.best_epoch, dim_models.best_validation_accuracy,
        dim_models.is_throw_away, dim_models.model_key, dim_models.model_sha256,
        dim_models.dataset_key, dim_models.history_key, dim_models.trained_at,
        dim_models.score_request_id, dim_models.threshold, dim_models.gate_verdict,
        dim_models.report_key, dim_models.test_accuracy, dim_models.scored_at,
        dim_models.export_request_id, dim_models.export_manifest_key, dim_models.export_ordered_by,
        dim_models.export_reason, dim_models.exported_at, CASE WHEN (dim_models.exported_at IS NOT
        NULL) THEN 'exported' WHEN (dim_models.scored_at IS NOT NULL) THEN 'scored' ELSE 'trained'
        END AS state FROM dim_models
    """,
    "rpt_opinions_v1": """
        SELECT fct_opinions.image_id, fct_opinions.revision, fct_opinions.label,
        fct_opinions.label_kind, fct_opinions.given_by, fct_opinions.current_label,
        fct_opinions.is_agreeing, fct_opinions.reason, fct_opinions.given_at FROM fct_opinions
    """,
    "rpt_train_runs_v1": """
        SELECT fct_train_runs.run_id, fct_train_runs.snapshot_id, fct_train_runs.base,
        fct_train_runs.network, fct_train_runs.epochs_requested, fct_train_runs.is_throw_away,
        fct_train_runs.is_trial, fct_train_runs.rules, fct_train_runs.options,
        fct_train_runs.requested_by, fct_train_runs.requested_at, fct_train_runs.outcome,
        fct_train_runs.outcome_snapshot_id, fct_train_runs.outcome_network,
        fct_train_runs.model_version, fct_train_runs.base_version, fct_train_runs.epochs_run,
        fct_train_runs.best_epoch, fct_train_runs.best_validation_accuracy,
        fct_train_runs.history_key, fct_train_runs.error, fct_train_runs.remedy,
        fct_train_runs.ended_at, coalesce(fct_train_runs.outcome, 'running') AS state FROM
        fct_train_runs
    """,
    "rpt_uploads_v1": """
        SELECT fct_uploads.upload_id, fct_uploads.source, fct_uploads.guest, fct_uploads.benchmark,
        fct_uploads.offered_label, fct_uploads.uploaded_by, fct_uploads.taken_at,
        fct_uploads.uploaded_at, fct_uploads.size_bytes, fct_uploads.content_sha256,
        fct_uploads.image_id, fct_uploads.code, fct_uploads.detail, fct_uploads.outcome_at,
        fct_uploads.upstream_id, coalesce(fct_uploads.file_name, fct_uploads.outcome_file_name) AS
        file_name, coalesce(fct_uploads.outcome, 'waiting') AS state FROM fct_uploads
    """,
}


def upgrade() -> None:
    for name in VIEWS:
        op.execute(sa.text(f"DROP VIEW IF EXISTS {name}"))
    # ### commands auto generated by Alembic - please adjust! ###
    op.create_table('fct_benchmark_changes',
    sa.Column('image_id', sa.Text(), autoincrement=False, nullable=False),
    sa.Column('revision', sa.BigInteger(), autoincrement=False, nullable=False),
    sa.Column('benchmark', sa.Text(), nullable=True),
    sa.Column('previous_benchmark', sa.Text(), nullable=True),
    sa.Column('assigned_by', sa.Text(), nullable=True),
    sa.Column('reason', sa.Text(), nullable=True),
    sa.Column('assigned_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('event_seq', sa.BigInteger(), nullable=True),
    sa.PrimaryKeyConstraint('image_id', 'revision', name=op.f('pk_fct_benchmark_changes'))
    )
    op.create_table('fct_double_checks',
    sa.Column('image_id', sa.Text(), autoincrement=False, nullable=False),
    sa.Column('revision', sa.BigInteger(), autoincrement=False, nullable=False),
    sa.Column('reason', sa.Text(), nullable=True),
    sa.Column('requested_by', sa.Text(), nullable=True),
    sa.Column('requested_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('requested_event_seq', sa.BigInteger(), nullable=True),
    sa.Column('verdict', sa.Text(), nullable=True),
    sa.Column('checked_by', sa.Text(), nullable=True),
    sa.Column('checked_reason', sa.Text(), nullable=True),
    sa.Column('checked_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('checked_event_seq', sa.BigInteger(), nullable=True),
    sa.PrimaryKeyConstraint('image_id', 'revision', name=op.f('pk_fct_double_checks'))
    )
    op.create_table('fct_image_flags',
    sa.Column('image_id', sa.Text(), autoincrement=False, nullable=False),
    sa.Column('revision', sa.BigInteger(), autoincrement=False, nullable=False),
    sa.Column('flag', sa.Text(), autoincrement=False, nullable=False),
    sa.Column('value', sa.Double(), nullable=True),
    sa.Column('threshold', sa.Double(), nullable=True),
    sa.Column('flagged_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('event_seq', sa.BigInteger(), nullable=True),
    sa.PrimaryKeyConstraint('image_id', 'revision', 'flag', name=op.f('pk_fct_image_flags'))
    )
    with op.batch_alter_table('fct_image_flags', schema=None) as batch_op:
        batch_op.create_index('ix_fct_image_flags_flag', ['flag'], unique=False)

    op.create_table('fct_opinions',
    sa.Column('image_id', sa.Text(), autoincrement=False, nullable=False),
    sa.Column('revision', sa.BigInteger(), autoincrement=False, nullable=False),
    sa.Column('label', sa.Text(), nullable=True),
    sa.Column('label_kind', sa.Text(), nullable=True),
    sa.Column('given_by', sa.Text(), nullable=True),
    sa.Column('current_label', sa.Text(), nullable=True),
    sa.Column('is_agreeing', sa.Boolean(), nullable=True),
    sa.Column('reason', sa.Text(), nullable=True),
    sa.Column('given_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('event_seq', sa.BigInteger(), nullable=True),
    sa.PrimaryKeyConstraint('image_id', 'revision', name=op.f('pk_fct_opinions'))
    )
    op.create_table('fct_snapshot_progress',
    sa.Column('request_id', sa.Text(), autoincrement=False, nullable=False),
    sa.Column('snapshot_id', sa.Text(), nullable=True),
    sa.Column('shards', sa.BigInteger(), nullable=True),
    sa.Column('shards_done', sa.BigInteger(), nullable=True),
    sa.Column('images', sa.BigInteger(), nullable=True),
    sa.Column('images_done', sa.BigInteger(), nullable=True),
    sa.Column('size_bytes', sa.BigInteger(), nullable=True),
    sa.Column('progressed_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('event_seq', sa.BigInteger(), nullable=True),
    sa.PrimaryKeyConstraint('request_id', name=op.f('pk_fct_snapshot_progress'))
    )
    op.create_table('fct_taxonomy_changes',
    sa.Column('version', sa.BigInteger(), autoincrement=False, nullable=False),
    sa.Column('change_kind', sa.Text(), nullable=True),
    sa.Column('operation', sa.JSON(), nullable=True),
    sa.Column('undoes_version', sa.BigInteger(), nullable=True),
    sa.Column('images', sa.BigInteger(), nullable=True),
    sa.Column('changed_by', sa.Text(), nullable=True),
    sa.Column('reason', sa.Text(), nullable=True),
    sa.Column('changed_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('event_seq', sa.BigInteger(), nullable=True),
    sa.PrimaryKeyConstraint('version', name=op.f('pk_fct_taxonomy_changes'))
    )
    with op.batch_alter_table('dim_images', schema=None) as batch_op:
        batch_op.add_column(sa.Column('visit', sa.Text(), nullable=True))
        batch_op.add_column(sa.Column('tags', sa.JSON(), nullable=True))
        batch_op.add_column(sa.Column('upstream_id', sa.Text(), nullable=True))
        batch_op.add_column(sa.Column('quality', sa.JSON(), nullable=True))
        batch_op.add_column(sa.Column('benchmark_revision', sa.BigInteger(), nullable=True))
        batch_op.add_column(sa.Column('benchmark_event_seq', sa.BigInteger(), nullable=True))
        batch_op.add_column(sa.Column('flags', sa.JSON(), nullable=True))
        batch_op.add_column(sa.Column('flag_revision', sa.BigInteger(), nullable=True))
        batch_op.add_column(sa.Column('flag_event_seq', sa.BigInteger(), nullable=True))

    with op.batch_alter_table('fct_label_changes', schema=None) as batch_op:
        batch_op.add_column(sa.Column('change_id', sa.Text(), nullable=True))
        batch_op.add_column(sa.Column('suggested_by_model_version', sa.Text(), nullable=True))
        batch_op.add_column(sa.Column('suggested_label', sa.Text(), nullable=True))
        batch_op.add_column(sa.Column('suggested_confidence', sa.Double(), nullable=True))
        batch_op.add_column(sa.Column('suggestion', sa.JSON(), nullable=True))
        batch_op.create_index('ix_fct_label_changes_labelled_at', ['labelled_at'], unique=False)

    with op.batch_alter_table('fct_snapshots', schema=None) as batch_op:
        batch_op.add_column(sa.Column('shards_reused', sa.BigInteger(), nullable=True))
        batch_op.add_column(sa.Column('taxonomy_version', sa.BigInteger(), nullable=True))

    with op.batch_alter_table('fct_uploads', schema=None) as batch_op:
        batch_op.add_column(sa.Column('upstream_id', sa.Text(), nullable=True))

    # ### end Alembic commands ###
    # As a rebuild from the log would write the rows of before: it must find nothing to mend.
    op.execute(sa.text("UPDATE fct_snapshots SET shards_reused = 0, taxonomy_version = 0"))
    op.execute(
        sa.text(
            "UPDATE dim_images SET tags = '[]', quality = '{}', benchmark_revision = 0, "
            "benchmark_event_seq = accepted_event_seq WHERE accepted_event_seq IS NOT NULL"
        )
    )
    for name, query in VIEWS.items():
        op.execute(sa.text(f"CREATE VIEW {name} AS {query}"))


def downgrade() -> None:
    raise NotImplementedError("restore the backup, or `menagerie rebuild reporter` with the older release")
