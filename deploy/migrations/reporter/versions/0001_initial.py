"""initial"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = '0001'
down_revision = None
branch_labels = None
depends_on = None

# As they were at this revision; a later one drops and creates what it changes.
VIEWS = {
    "rpt_classes_v1": """
        SELECT dim_images.label, max(dim_images.label_kind) AS label_kind, count(*) AS images,
        coalesce(sum(CASE WHEN (dim_images.verdict = 'unique') THEN 1 ELSE 0 END), 0) AS unique_images,
        coalesce(sum(CASE WHEN (dim_images.verdict = 'near') THEN 1 ELSE 0 END), 0) AS near_duplicates,
        coalesce(sum(CASE WHEN (dim_images.source = 'real') THEN 1 ELSE 0 END), 0) AS real_images,
        coalesce(sum(CASE WHEN (dim_images.source = 'staged') THEN 1 ELSE 0 END), 0) AS staged_images,
        coalesce(sum(CASE WHEN (dim_images.source = 'synthetic') THEN 1 ELSE 0 END), 0) AS synthetic_images,
        coalesce(sum(CASE WHEN (dim_images.benchmark IS NOT NULL) THEN 1 ELSE 0 END), 0) AS
        benchmark_images, max(dim_images.labelled_at) AS last_labelled_at FROM dim_images WHERE
        dim_images.accepted_at IS NOT NULL AND dim_images.label IS NOT NULL GROUP BY dim_images.label
    """,
    "rpt_dead_letters_v1": """
        SELECT fct_dead_letters.dead_letter_id, fct_dead_letters.service, fct_dead_letters.durable,
        fct_dead_letters.source_subject, fct_dead_letters.source_stream, fct_dead_letters.source_seq,
        fct_dead_letters.source_message_id, fct_dead_letters.reason, fct_dead_letters.error,
        fct_dead_letters.attempts, fct_dead_letters.is_truncated, fct_dead_letters.stored_at,
        fct_dead_letters.replayed_by, fct_dead_letters.replayed_at, fct_dead_letters.stored_event_seq IS NOT
        NULL AND fct_dead_letters.stored_event_seq > coalesce(fct_dead_letters.replayed_event_seq, 0) AS
        is_open FROM fct_dead_letters WHERE fct_dead_letters.stored_event_seq IS NOT NULL
    """,
    "rpt_identifications_v1": """
        SELECT fct_identifications.run_id, fct_identifications.image_id, fct_identifications.page,
        fct_identifications.model_version, fct_identifications.label, fct_identifications.confidence,
        fct_identifications.candidates, fct_identifications.identified_at, fct_bulk_runs.threshold,
        fct_identifications.confidence >= fct_bulk_runs.threshold AS is_above_threshold, dim_images.label AS
        assigned_label FROM fct_identifications LEFT OUTER JOIN fct_bulk_runs ON fct_bulk_runs.run_id =
        fct_identifications.run_id LEFT OUTER JOIN dim_images ON dim_images.image_id =
        fct_identifications.image_id
    """,
    "rpt_images_v1": """
        SELECT dim_images.image_id, dim_images.upload_id, dim_images.file_name, dim_images.source,
        dim_images.guest, dim_images.benchmark, dim_images.taken_at, dim_images.accepted_at,
        dim_images.image_format, dim_images.width_px, dim_images.height_px, dim_images.original_bucket,
        dim_images.original_key, dim_images.original_size_bytes, dim_images.normalised_bucket,
        dim_images.normalised_key, dim_images.thumbnail_bucket, dim_images.thumbnail_key,
        dim_images.thumbnail_size_bytes, dim_images.thumbnail_sha256, dim_images.verdict,
        dim_images.group_id, dim_images.duplicate_of_image_id, dim_images.distance_bits,
        dim_images.detector, dim_images.deduplicated_at, dim_images.verdict_revision, dim_images.label,
        dim_images.label_kind, dim_images.labelled_by, dim_images.labelled_at, dim_images.label_revision,
        dim_images.label IS NOT NULL AS is_labelled, coalesce(dim_images.verdict, '') = 'near' AS
        is_near_duplicate FROM dim_images WHERE dim_images.accepted_at IS NOT NULL
    """,
    "rpt_models_v1": """
        SELECT dim_models.model_version, dim_models.run_id, dim_models.base_version, dim_models.snapshot_id,
        dim_models.network, dim_models.image_size_px, dim_models.classes, dim_models.class_count,
        dim_models.train_images, dim_models.validation_images, dim_models.test_images,
        dim_models.benchmark_images, dim_models.out_images, dim_models.epochs, dim_models.best_epoch,
        dim_models.best_validation_accuracy, dim_models.is_throw_away, dim_models.model_key,
        dim_models.model_sha256, dim_models.dataset_key, dim_models.history_key, dim_models.trained_at,
        dim_models.score_request_id, dim_models.threshold, dim_models.gate_verdict, dim_models.report_key,
        dim_models.test_accuracy, dim_models.scored_at, dim_models.export_request_id,
        dim_models.export_manifest_key, dim_models.export_ordered_by, dim_models.export_reason,
        dim_models.exported_at, CASE WHEN (dim_models.exported_at IS NOT NULL) THEN 'exported' WHEN
        (dim_models.scored_at IS NOT NULL) THEN 'scored' ELSE 'trained' END AS state FROM dim_models
    """,
    "rpt_train_runs_v1": """
        SELECT fct_train_runs.run_id, fct_train_runs.snapshot_id, fct_train_runs.base,
        fct_train_runs.network, fct_train_runs.epochs_requested, fct_train_runs.is_throw_away,
        fct_train_runs.is_trial, fct_train_runs.rules, fct_train_runs.options, fct_train_runs.requested_by,
        fct_train_runs.requested_at, fct_train_runs.outcome, fct_train_runs.outcome_snapshot_id,
        fct_train_runs.outcome_network, fct_train_runs.model_version, fct_train_runs.base_version,
        fct_train_runs.epochs_run, fct_train_runs.best_epoch, fct_train_runs.best_validation_accuracy,
        fct_train_runs.history_key, fct_train_runs.error, fct_train_runs.remedy, fct_train_runs.ended_at,
        coalesce(fct_train_runs.outcome, 'running') AS state FROM fct_train_runs
    """,
    "rpt_uploads_v1": """
        SELECT fct_uploads.upload_id, fct_uploads.source, fct_uploads.guest, fct_uploads.benchmark,
        fct_uploads.offered_label, fct_uploads.uploaded_by, fct_uploads.taken_at, fct_uploads.uploaded_at,
        fct_uploads.size_bytes, fct_uploads.content_sha256, fct_uploads.image_id, fct_uploads.code,
        fct_uploads.detail, fct_uploads.outcome_at, coalesce(fct_uploads.file_name,
        fct_uploads.outcome_file_name) AS file_name, coalesce(fct_uploads.outcome, 'waiting') AS state FROM
        fct_uploads
    """,
}


def upgrade() -> None:
    op.create_table('attempt',
    sa.Column('durable', sa.Text(), nullable=False),
    sa.Column('seq', sa.BigInteger(), nullable=False),
    sa.Column('attempts', sa.Integer(), nullable=False),
    sa.PrimaryKeyConstraint('durable', 'seq', name=op.f('pk_attempt'))
    )
    op.create_table('dim_images',
    sa.Column('image_id', sa.Text(), autoincrement=False, nullable=False),
    sa.Column('upload_id', sa.Text(), nullable=True),
    sa.Column('file_name', sa.Text(), nullable=True),
    sa.Column('source', sa.Text(), nullable=True),
    sa.Column('guest', sa.Text(), nullable=True),
    sa.Column('benchmark', sa.Text(), nullable=True),
    sa.Column('taken_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('accepted_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('image_format', sa.Text(), nullable=True),
    sa.Column('width_px', sa.BigInteger(), nullable=True),
    sa.Column('height_px', sa.BigInteger(), nullable=True),
    sa.Column('original_bucket', sa.Text(), nullable=True),
    sa.Column('original_key', sa.Text(), nullable=True),
    sa.Column('original_size_bytes', sa.BigInteger(), nullable=True),
    sa.Column('normalised_bucket', sa.Text(), nullable=True),
    sa.Column('normalised_key', sa.Text(), nullable=True),
    sa.Column('thumbnail_bucket', sa.Text(), nullable=True),
    sa.Column('thumbnail_key', sa.Text(), nullable=True),
    sa.Column('thumbnail_size_bytes', sa.BigInteger(), nullable=True),
    sa.Column('thumbnail_sha256', sa.Text(), nullable=True),
    sa.Column('accepted_event_seq', sa.BigInteger(), nullable=True),
    sa.Column('verdict', sa.Text(), nullable=True),
    sa.Column('group_id', sa.Text(), nullable=True),
    sa.Column('duplicate_of_image_id', sa.Text(), nullable=True),
    sa.Column('distance_bits', sa.BigInteger(), nullable=True),
    sa.Column('detector', sa.Text(), nullable=True),
    sa.Column('deduplicated_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('verdict_revision', sa.BigInteger(), nullable=True),
    sa.Column('verdict_event_seq', sa.BigInteger(), nullable=True),
    sa.Column('label', sa.Text(), nullable=True),
    sa.Column('label_kind', sa.Text(), nullable=True),
    sa.Column('labelled_by', sa.Text(), nullable=True),
    sa.Column('labelled_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('label_revision', sa.BigInteger(), nullable=True),
    sa.Column('label_event_seq', sa.BigInteger(), nullable=True),
    sa.PrimaryKeyConstraint('image_id', name=op.f('pk_dim_images'))
    )
    with op.batch_alter_table('dim_images', schema=None) as batch_op:
        batch_op.create_index('ix_dim_images_accepted_at_image_id', ['accepted_at', 'image_id'], unique=False)
        batch_op.create_index('ix_dim_images_label_image_id', ['label', 'image_id'], unique=False)

    op.create_table('dim_models',
    sa.Column('model_version', sa.Text(), autoincrement=False, nullable=False),
    sa.Column('run_id', sa.Text(), nullable=True),
    sa.Column('base_version', sa.Text(), nullable=True),
    sa.Column('snapshot_id', sa.Text(), nullable=True),
    sa.Column('network', sa.Text(), nullable=True),
    sa.Column('image_size_px', sa.BigInteger(), nullable=True),
    sa.Column('classes', sa.JSON(), nullable=True),
    sa.Column('class_count', sa.BigInteger(), nullable=True),
    sa.Column('train_images', sa.BigInteger(), nullable=True),
    sa.Column('validation_images', sa.BigInteger(), nullable=True),
    sa.Column('test_images', sa.BigInteger(), nullable=True),
    sa.Column('benchmark_images', sa.BigInteger(), nullable=True),
    sa.Column('out_images', sa.BigInteger(), nullable=True),
    sa.Column('epochs', sa.BigInteger(), nullable=True),
    sa.Column('best_epoch', sa.BigInteger(), nullable=True),
    sa.Column('best_validation_accuracy', sa.Double(), nullable=True),
    sa.Column('is_throw_away', sa.Boolean(), nullable=True),
    sa.Column('model_key', sa.Text(), nullable=True),
    sa.Column('model_sha256', sa.Text(), nullable=True),
    sa.Column('dataset_key', sa.Text(), nullable=True),
    sa.Column('history_key', sa.Text(), nullable=True),
    sa.Column('trained_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('trained_event_seq', sa.BigInteger(), nullable=True),
    sa.Column('score_request_id', sa.Text(), nullable=True),
    sa.Column('threshold', sa.Double(), nullable=True),
    sa.Column('gate_verdict', sa.Text(), nullable=True),
    sa.Column('report_key', sa.Text(), nullable=True),
    sa.Column('test_accuracy', sa.Double(), nullable=True),
    sa.Column('scored_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('scored_event_seq', sa.BigInteger(), nullable=True),
    sa.Column('export_request_id', sa.Text(), nullable=True),
    sa.Column('export_manifest_key', sa.Text(), nullable=True),
    sa.Column('export_ordered_by', sa.Text(), nullable=True),
    sa.Column('export_reason', sa.Text(), nullable=True),
    sa.Column('exported_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('exported_event_seq', sa.BigInteger(), nullable=True),
    sa.PrimaryKeyConstraint('model_version', name=op.f('pk_dim_models'))
    )
    op.create_table('fct_bulk_runs',
    sa.Column('run_id', sa.Text(), autoincrement=False, nullable=False),
    sa.Column('model_version', sa.Text(), nullable=True),
    sa.Column('snapshot_id', sa.Text(), nullable=True),
    sa.Column('identified', sa.BigInteger(), nullable=True),
    sa.Column('above_threshold', sa.BigInteger(), nullable=True),
    sa.Column('threshold', sa.Double(), nullable=True),
    sa.Column('completed_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('event_seq', sa.BigInteger(), nullable=True),
    sa.PrimaryKeyConstraint('run_id', name=op.f('pk_fct_bulk_runs'))
    )
    op.create_table('fct_dead_letters',
    sa.Column('dead_letter_id', sa.Text(), autoincrement=False, nullable=False),
    sa.Column('service', sa.Text(), nullable=True),
    sa.Column('durable', sa.Text(), nullable=True),
    sa.Column('source_subject', sa.Text(), nullable=True),
    sa.Column('source_stream', sa.Text(), nullable=True),
    sa.Column('source_seq', sa.BigInteger(), nullable=True),
    sa.Column('source_message_id', sa.Text(), nullable=True),
    sa.Column('reason', sa.Text(), nullable=True),
    sa.Column('error', sa.Text(), nullable=True),
    sa.Column('attempts', sa.BigInteger(), nullable=True),
    sa.Column('headers', sa.JSON(), nullable=True),
    sa.Column('body_base64', sa.Text(), nullable=True),
    sa.Column('is_truncated', sa.Boolean(), nullable=True),
    sa.Column('stored_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('stored_event_seq', sa.BigInteger(), nullable=True),
    sa.Column('replayed_by', sa.Text(), nullable=True),
    sa.Column('replayed_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('replayed_event_seq', sa.BigInteger(), nullable=True),
    sa.PrimaryKeyConstraint('dead_letter_id', name=op.f('pk_fct_dead_letters'))
    )
    with op.batch_alter_table('fct_dead_letters', schema=None) as batch_op:
        batch_op.create_index('ix_fct_dead_letters_stored_at', ['stored_at'], unique=False)

    op.create_table('fct_gate_rules',
    sa.Column('model_version', sa.Text(), autoincrement=False, nullable=False),
    sa.Column('request_id', sa.Text(), autoincrement=False, nullable=False),
    sa.Column('rule', sa.Text(), autoincrement=False, nullable=False),
    sa.Column('rule_position', sa.BigInteger(), nullable=True),
    sa.Column('is_passed', sa.Boolean(), nullable=True),
    sa.Column('sentence', sa.Text(), nullable=True),
    sa.Column('scored_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('event_seq', sa.BigInteger(), nullable=True),
    sa.PrimaryKeyConstraint('model_version', 'request_id', 'rule', name=op.f('pk_fct_gate_rules'))
    )
    op.create_table('fct_identifications',
    sa.Column('run_id', sa.Text(), autoincrement=False, nullable=False),
    sa.Column('image_id', sa.Text(), autoincrement=False, nullable=False),
    sa.Column('page', sa.BigInteger(), nullable=True),
    sa.Column('model_version', sa.Text(), nullable=True),
    sa.Column('label', sa.Text(), nullable=True),
    sa.Column('confidence', sa.Double(), nullable=True),
    sa.Column('candidates', sa.JSON(), nullable=True),
    sa.Column('identified_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('event_seq', sa.BigInteger(), nullable=True),
    sa.PrimaryKeyConstraint('run_id', 'image_id', name=op.f('pk_fct_identifications'))
    )
    with op.batch_alter_table('fct_identifications', schema=None) as batch_op:
        batch_op.create_index('ix_fct_identifications_image_id_run_id', ['image_id', 'run_id'], unique=False)
        batch_op.create_index('ix_fct_identifications_model_version_image_id', ['model_version', 'image_id'], unique=False)

    op.create_table('fct_label_changes',
    sa.Column('image_id', sa.Text(), autoincrement=False, nullable=False),
    sa.Column('revision', sa.BigInteger(), autoincrement=False, nullable=False),
    sa.Column('label', sa.Text(), nullable=True),
    sa.Column('label_kind', sa.Text(), nullable=True),
    sa.Column('previous_label', sa.Text(), nullable=True),
    sa.Column('labelled_by', sa.Text(), nullable=True),
    sa.Column('reason', sa.Text(), nullable=True),
    sa.Column('labelled_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('event_seq', sa.BigInteger(), nullable=True),
    sa.PrimaryKeyConstraint('image_id', 'revision', name=op.f('pk_fct_label_changes'))
    )
    op.create_table('fct_model_scores',
    sa.Column('model_version', sa.Text(), autoincrement=False, nullable=False),
    sa.Column('request_id', sa.Text(), autoincrement=False, nullable=False),
    sa.Column('set_name', sa.Text(), autoincrement=False, nullable=False),
    sa.Column('set_position', sa.BigInteger(), nullable=True),
    sa.Column('images', sa.BigInteger(), nullable=True),
    sa.Column('accuracy', sa.Double(), nullable=True),
    sa.Column('f1_macro', sa.Double(), nullable=True),
    sa.Column('log_loss', sa.Double(), nullable=True),
    sa.Column('true_positives_above', sa.Double(), nullable=True),
    sa.Column('false_positives_above', sa.Double(), nullable=True),
    sa.Column('confidence_min', sa.Double(), nullable=True),
    sa.Column('confidence_max', sa.Double(), nullable=True),
    sa.Column('confidence_mean', sa.Double(), nullable=True),
    sa.Column('confidence_median', sa.Double(), nullable=True),
    sa.Column('above_threshold', sa.BigInteger(), nullable=True),
    sa.Column('below_threshold', sa.BigInteger(), nullable=True),
    sa.Column('threshold', sa.Double(), nullable=True),
    sa.Column('scored_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('event_seq', sa.BigInteger(), nullable=True),
    sa.PrimaryKeyConstraint('model_version', 'request_id', 'set_name', name=op.f('pk_fct_model_scores'))
    )
    op.create_table('fct_snapshots',
    sa.Column('request_id', sa.Text(), autoincrement=False, nullable=False),
    sa.Column('snapshot_id', sa.Text(), nullable=True),
    sa.Column('images', sa.BigInteger(), nullable=True),
    sa.Column('labelled', sa.BigInteger(), nullable=True),
    sa.Column('unlabelled', sa.BigInteger(), nullable=True),
    sa.Column('classes', sa.BigInteger(), nullable=True),
    sa.Column('shards', sa.BigInteger(), nullable=True),
    sa.Column('size_bytes', sa.BigInteger(), nullable=True),
    sa.Column('image_size_px', sa.BigInteger(), nullable=True),
    sa.Column('manifest_key', sa.Text(), nullable=True),
    sa.Column('manifest_sha256', sa.Text(), nullable=True),
    sa.Column('packed_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('event_seq', sa.BigInteger(), nullable=True),
    sa.PrimaryKeyConstraint('request_id', name=op.f('pk_fct_snapshots'))
    )
    op.create_table('fct_train_epochs',
    sa.Column('run_id', sa.Text(), autoincrement=False, nullable=False),
    sa.Column('epoch', sa.BigInteger(), autoincrement=False, nullable=False),
    sa.Column('epochs_planned', sa.BigInteger(), nullable=True),
    sa.Column('loss', sa.Double(), nullable=True),
    sa.Column('accuracy', sa.Double(), nullable=True),
    sa.Column('validation_loss', sa.Double(), nullable=True),
    sa.Column('validation_accuracy', sa.Double(), nullable=True),
    sa.Column('images_per_s', sa.Double(), nullable=True),
    sa.Column('eta_s', sa.Double(), nullable=True),
    sa.Column('progressed_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('event_seq', sa.BigInteger(), nullable=True),
    sa.PrimaryKeyConstraint('run_id', 'epoch', name=op.f('pk_fct_train_epochs'))
    )
    op.create_table('fct_train_runs',
    sa.Column('run_id', sa.Text(), autoincrement=False, nullable=False),
    sa.Column('snapshot_id', sa.Text(), nullable=True),
    sa.Column('base', sa.Text(), nullable=True),
    sa.Column('network', sa.Text(), nullable=True),
    sa.Column('epochs_requested', sa.BigInteger(), nullable=True),
    sa.Column('is_throw_away', sa.Boolean(), nullable=True),
    sa.Column('is_trial', sa.Boolean(), nullable=True),
    sa.Column('rules', sa.JSON(), nullable=True),
    sa.Column('options', sa.JSON(), nullable=True),
    sa.Column('requested_by', sa.Text(), nullable=True),
    sa.Column('requested_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('requested_event_seq', sa.BigInteger(), nullable=True),
    sa.Column('outcome', sa.Text(), nullable=True),
    sa.Column('outcome_snapshot_id', sa.Text(), nullable=True),
    sa.Column('outcome_network', sa.Text(), nullable=True),
    sa.Column('model_version', sa.Text(), nullable=True),
    sa.Column('base_version', sa.Text(), nullable=True),
    sa.Column('epochs_run', sa.BigInteger(), nullable=True),
    sa.Column('best_epoch', sa.BigInteger(), nullable=True),
    sa.Column('best_validation_accuracy', sa.Double(), nullable=True),
    sa.Column('history_key', sa.Text(), nullable=True),
    sa.Column('error', sa.Text(), nullable=True),
    sa.Column('remedy', sa.Text(), nullable=True),
    sa.Column('ended_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('outcome_event_seq', sa.BigInteger(), nullable=True),
    sa.PrimaryKeyConstraint('run_id', name=op.f('pk_fct_train_runs'))
    )
    op.create_table('fct_uploads',
    sa.Column('upload_id', sa.Text(), autoincrement=False, nullable=False),
    sa.Column('file_name', sa.Text(), nullable=True),
    sa.Column('source', sa.Text(), nullable=True),
    sa.Column('guest', sa.Text(), nullable=True),
    sa.Column('benchmark', sa.Text(), nullable=True),
    sa.Column('offered_label', sa.Text(), nullable=True),
    sa.Column('uploaded_by', sa.Text(), nullable=True),
    sa.Column('taken_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('uploaded_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('size_bytes', sa.BigInteger(), nullable=True),
    sa.Column('content_sha256', sa.Text(), nullable=True),
    sa.Column('uploaded_event_seq', sa.BigInteger(), nullable=True),
    sa.Column('outcome', sa.Text(), nullable=True),
    sa.Column('outcome_file_name', sa.Text(), nullable=True),
    sa.Column('image_id', sa.Text(), nullable=True),
    sa.Column('code', sa.Text(), nullable=True),
    sa.Column('detail', sa.Text(), nullable=True),
    sa.Column('outcome_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('outcome_event_seq', sa.BigInteger(), nullable=True),
    sa.PrimaryKeyConstraint('upload_id', name=op.f('pk_fct_uploads'))
    )
    with op.batch_alter_table('fct_uploads', schema=None) as batch_op:
        batch_op.create_index('ix_fct_uploads_outcome_outcome_at', ['outcome', 'outcome_at'], unique=False)

    op.create_table('outbox',
    sa.Column('outbox_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('message_id', sa.Text(), nullable=False),
    sa.Column('subject', sa.Text(), nullable=False),
    sa.Column('stream', sa.Text(), nullable=False),
    sa.Column('headers', sa.JSON(), nullable=False),
    sa.Column('body', sa.LargeBinary(), nullable=False),
    sa.Column('refers_to_objects', sa.Boolean(), nullable=False),
    sa.Column('owner', sa.Text(), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint('outbox_id', name=op.f('pk_outbox')),
    sa.UniqueConstraint('message_id', name=op.f('uq_outbox_message_id'))
    )
    for name, query in VIEWS.items():
        op.execute(sa.text(f"CREATE VIEW {name} AS {query}"))


def downgrade() -> None:
    for name in VIEWS:
        op.execute(sa.text(f"DROP VIEW {name}"))
    op.drop_table('outbox')
    with op.batch_alter_table('fct_uploads', schema=None) as batch_op:
        batch_op.drop_index('ix_fct_uploads_outcome_outcome_at')

    op.drop_table('fct_uploads')
    op.drop_table('fct_train_runs')
    op.drop_table('fct_train_epochs')
    op.drop_table('fct_snapshots')
    op.drop_table('fct_model_scores')
    op.drop_table('fct_label_changes')
    with op.batch_alter_table('fct_identifications', schema=None) as batch_op:
        batch_op.drop_index('ix_fct_identifications_model_version_image_id')
        batch_op.drop_index('ix_fct_identifications_image_id_run_id')

    op.drop_table('fct_identifications')
    op.drop_table('fct_gate_rules')
    with op.batch_alter_table('fct_dead_letters', schema=None) as batch_op:
        batch_op.drop_index('ix_fct_dead_letters_stored_at')

    op.drop_table('fct_dead_letters')
    op.drop_table('fct_bulk_runs')
    op.drop_table('dim_models')
    with op.batch_alter_table('dim_images', schema=None) as batch_op:
        batch_op.drop_index('ix_dim_images_label_image_id')
        batch_op.drop_index('ix_dim_images_accepted_at_image_id')

    op.drop_table('dim_images')
    op.drop_table('attempt')
