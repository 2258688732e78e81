"""Exports of models as files: fetched from the store whole, checked by digest and signature."""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from pydantic import ValidationError

from contracts.manifests import Buckets, ExportedFile, ExportManifest, ExportSignature
from contracts.values import ObjectRef
from services.ops.clients.errors import OpsError
from services.runtime.objectstore import ObjectDamaged, ObjectMissing, ObjectStore
from services.runtime.signing import SignatureRefused, check

MANIFEST, SIGNATURE = "export.json", "export.sig"


@dataclass(frozen=True)
class Checked:
    """An export that is what its manifest says, signed by ``public_key`` (None: not signed)."""

    model_version: str
    files: int
    size_bytes: int
    public_key: str | None


def check_folder(folder: Path, public_key: str | None) -> Checked:
    """Check an export on disk; without a key, digests alone.

    Raises:
        OpsError: a file is missing, changed or not named by the manifest, or the signature is another's.
    """
    body = _read(folder / MANIFEST)
    manifest = _manifest(body, str(folder))
    if public_key is not None:
        _check_signature(body, _read(folder / SIGNATURE), public_key)
    named = {file.path for file in manifest.files} | {MANIFEST, SIGNATURE}
    extra = sorted(
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() or path.is_symlink()
    )
    strangers = [path for path in extra if path not in named]
    if strangers:
        raise OpsError(
            f"{folder} holds {len(strangers)} files that its manifest does not name "
            f"({', '.join(strangers[:5])}): a server would find them too, take them away"
        )
    for file in manifest.files:
        _check_file(folder, file)
    return _checked(manifest, public_key)


def check_stored(store: ObjectStore, version: str, public_key: str | None) -> Checked:
    """Check an export in the store, every byte of it.

    Raises:
        OpsError: there is none, or as ``check_folder``.
    """
    _, _, manifest = _stored(store, version, public_key)
    for file in manifest.files:
        ref = _ref(version, file)
        place = f"{ref.bucket}/{ref.key}"
        remedy = f"order it again: `menagerie export {version}`"
        try:
            store.check(ref)
        except ObjectMissing as error:
            raise _changed(place, "is missing", remedy) from error
        except ObjectDamaged as error:
            raise _changed(place, "is not what the manifest says", remedy) from error
    return _checked(manifest, public_key)


def download(store: ObjectStore, version: str, parent: Path, public_key: str | None) -> Checked:
    """Fetch an export into ``parent/<version>``, which appears only when it is whole and checked.

    Raises:
        OpsError: there is no such export, it is damaged or signed by another, or the folder is there.
    """
    target = parent / version
    if target.exists():
        raise OpsError(
            f"{target} is there already: check it with `menagerie verify-export {target}`, or move it"
        )
    body, signature, manifest = _stored(store, version, public_key)
    part = parent / f".{version}.part"
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    try:
        for file in manifest.files:
            store.get_file(_ref(version, file), part / file.path)
        (part / MANIFEST).write_bytes(body)
        if signature is not None:
            (part / SIGNATURE).write_bytes(signature)
        part.rename(target)
    except (ObjectMissing, ObjectDamaged) as error:
        raise OpsError(
            f"export {version} is damaged ({error}): order it again, `menagerie export {version}`"
        ) from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return _checked(manifest, public_key)


def download_file(store: ObjectStore, ref: ObjectRef, place: Path, remedy: str) -> None:
    """Fetch one object, checked, to ``place``.

    Raises:
        OpsError: it is gone or damaged; ``remedy`` is the command that makes it anew.
    """
    try:
        store.get_file(ref, place)
    except (ObjectMissing, ObjectDamaged) as error:
        raise OpsError(f"{error}: make it again, `{remedy}`") from error


def _stored(
    store: ObjectStore, version: str, public_key: str | None
) -> tuple[bytes, bytes | None, ExportManifest]:
    body = _object(store, f"{version}/{MANIFEST}")
    if body is None:
        raise OpsError(
            f"model {version} is not exported: see `menagerie models`, or `menagerie export {version}`"
        )
    signature = _object(store, f"{version}/{SIGNATURE}")
    if public_key is not None:
        _check_signature(body, signature, public_key)
    manifest = _manifest(body, f"export {version}")
    if manifest.model_version != version:  # moved there whole, its signature would be good
        raise OpsError(
            f"what lies in the place of model {version} is the export of model {manifest.model_version}: "
            f"do not serve it, order the right one with `menagerie export {version}`"
        )
    return body, signature, manifest


def _ref(version: str, file: ExportedFile) -> ObjectRef:
    return ObjectRef(bucket=Buckets.MODELS, key=f"{version}/{file.path}", size=file.size, sha256=file.sha256)


def _object(store: ObjectStore, key: str) -> bytes | None:
    try:
        return b"".join(store.stream(Buckets.MODELS, key))
    except ObjectMissing:
        return None


def _manifest(body: bytes | None, of: str) -> ExportManifest:
    if body is None:
        raise OpsError(f"{of} has no {MANIFEST}: give the folder that `menagerie download-model` made")
    try:
        manifest = ExportManifest.model_validate_json(body)
    except ValidationError as error:
        raise OpsError(f"the manifest of {of} is not readable: fetch the export again") from error
    for file in manifest.files:
        parts = PurePosixPath(file.path)
        if not parts.parts or parts.is_absolute() or ".." in parts.parts or "\\" in file.path:
            raise OpsError(
                f"the manifest of {of} names {file.path!r}, outside its folder: do not use this export"
            )
    return manifest


def _check_signature(body: bytes | None, signature: bytes | None, public_key: str) -> None:
    if body is None or signature is None:
        raise OpsError(
            "the export is not signed: it was made without MENAGERIE_EXPORT_SIGNING_KEY; check its digests "
            "alone with --unsigned"
        )
    try:
        check(body, ExportSignature.model_validate_json(signature), public_key)
    except (SignatureRefused, ValidationError) as error:
        raise OpsError(f"the export is not to be trusted: {error}") from error


def _check_file(folder: Path, file: ExportedFile) -> None:
    path = folder / file.path
    if not path.is_file() or path.is_symlink():
        raise _changed(str(path), "is missing, or no plain file")
    with path.open("rb") as opened:
        digest = hashlib.file_digest(opened, "sha256").hexdigest()
    if (path.stat().st_size, digest) != (file.size, file.sha256):
        raise _changed(str(path), "is not what the manifest says")


def _changed(
    place: str, what: str, remedy: str = "fetch it again with `menagerie download-model`"
) -> OpsError:
    return OpsError(f"{place} {what}: do not serve this export, {remedy}")


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None


def _checked(manifest: ExportManifest, public_key: str | None) -> Checked:
    size = sum(file.size for file in manifest.files)
    return Checked(manifest.model_version, len(manifest.files), size, public_key)
