"""Exports as files: download-model, verify-export."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from services.ops.clients.output import Output, facts
from services.ops.commands.options import AsJson, DataDir
from services.ops.commands.session import find_stack, run

if TYPE_CHECKING:
    from contracts.values import ObjectRef
    from services.ops.clients.exports import Checked
    from services.ops.stack.credentials import Credentials
    from services.runtime.objectstore import ObjectStore

PublicKey = Annotated[
    str | None,
    typer.Option("--public-key", help="Of who made the export, hexadecimal; default: this stack's."),
]
Unsigned = Annotated[bool, typer.Option("--unsigned", help="Check digests alone.")]
MEBIBYTE = 2**20


def download_model(
    version: Annotated[str, typer.Argument(metavar="MODEL", help="Version such as 007.")],
    folder: Annotated[
        Path, typer.Argument(file_okay=False, help="FOLDER/MODEL is made, whole or not at all.")
    ],
    variant: Annotated[
        str | None, typer.Option("--variant", help="One file of `menagerie compress` instead, such as int8.")
    ] = None,
    public_key: PublicKey = None,
    unsigned: Unsigned = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Fetch an exported model, check it, and lay it out as TensorFlow Serving reads it."""
    from services.ops.clients.exports import download, download_file
    from services.ops.commands.progress import waiting

    output = Output(as_json)
    store, credentials = _store(data_dir)
    if variant is not None:
        ref = run(_variant(data_dir, version, variant))
        # Named by its content: another compression of the model gives another file.
        place = folder / f"{version}-{variant}-{ref.key.rpartition('/')[2]}"
        download_file(store, ref, place, f"menagerie compress {version}")
        told = {"model_version": version, "variant": variant, "file": str(place), "sha256": ref.sha256}
        output.end(told, facts("Fetched", told))
        return
    with waiting(output, f"Fetching model {version}"):
        checked = download(store, version, folder, _key(public_key, unsigned, credentials))
    target = folder / version
    data = asdict(checked) | {"folder": str(target)}
    output.end(data, facts("Fetched", _shown(checked) | {"folder": target}))


def verify_export(
    what: Annotated[
        str, typer.Argument(metavar="FOLDER|MODEL", help="A fetched export, or one in the store.")
    ],
    public_key: PublicKey = None,
    unsigned: Unsigned = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Check the signature and every file of an export, in a folder or in the store."""
    from services.ops.clients.exports import check_folder, check_stored

    folder = Path(what)
    if what.isdigit() and not folder.is_dir():
        store, credentials = _store(data_dir)
        checked = check_stored(store, what, _key(public_key, unsigned, credentials))
    else:
        # A folder needs no stack: it is checked wherever the public key is known.
        own = None if public_key or unsigned else _credentials(data_dir)
        checked = check_folder(folder, _key(public_key, unsigned, own))
    Output(as_json).end(asdict(checked), facts("The export is whole", _shown(checked)))


async def _variant(data_dir: Path | None, version: str, name: str) -> ObjectRef:
    """The newest file of that variant, as the event that told of it names it."""
    from contracts.manifests import Buckets
    from contracts.values import ObjectRef
    from services.ops.clients.errors import OpsError
    from services.ops.clients.reads import open_reporter

    stack = find_stack(data_dir)
    async with open_reporter(stack.urls["reporter"], stack.api_token) as reporter:
        rows = (await reporter.get(f"/api/v1/models/{version}/variants") or {}).get("variants", [])
    for row in rows:
        if row["variant_name"] == name:
            return ObjectRef(
                bucket=Buckets.MODELS, key=row["file_key"], size=row["size_bytes"], sha256=row["file_sha256"]
            )
    known = ", ".join(sorted({row["variant_name"] for row in rows})) or "none"
    raise OpsError(
        f"model {version} has no variant {name!r} (there are: {known}): make it by "
        f"`menagerie compress {version}`"
    )


def _shown(checked: Checked) -> dict[str, object]:
    return {
        "model": checked.model_version,
        "files": checked.files,
        "MiB": round(checked.size_bytes / MEBIBYTE, 1),
        "signed by": checked.public_key or "not checked",
    }


def _key(public_key: str | None, unsigned: bool, credentials: Credentials | None) -> str | None:
    from services.ops.clients.errors import OpsError
    from services.runtime.signing import public_key_of

    if unsigned or public_key:
        return None if unsigned else public_key
    if credentials is None or not credentials.export_signing_key:
        raise OpsError(
            "this machine has no key to check against: give --public-key, or --unsigned for digests alone"
        )
    return public_key_of(credentials.export_signing_key)


def _credentials(data_dir: Path | None) -> Credentials | None:
    from services.ops.stack.credentials import load_credentials
    from services.ops.stack.layout import Layout, default_data_dir

    return load_credentials(Layout((data_dir or default_data_dir()).expanduser().resolve()))


def _store(data_dir: Path | None) -> tuple[ObjectStore, Credentials]:
    from services.runtime.objectstore import ObjectStore
    from services.runtime.settings import RuntimeSettings

    stack, credentials = find_stack(data_dir), _credentials(data_dir)
    assert credentials is not None  # a stack that runs has them
    settings = RuntimeSettings.model_validate({
        "s3_endpoint": stack.urls["s3"].removeprefix("http://"),
        "s3_access_key": credentials.s3_access_key,
        "s3_secret_key": credentials.s3_secret_key,
    })  # fmt: skip
    return ObjectStore(settings), credentials
