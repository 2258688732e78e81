"""Which formats there are, and which of them a path is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from services.ops.clients.errors import OpsError
from services.ops.interchange import (
    csv_manifest,
    hugging_face,
    imagefolder,
    label_studio,
    parquet_manifest,
    web_dataset,
)
from services.ops.interchange.records import Record, Row

Read = Callable[[Path, str], Iterator[Row]]
Write = Callable[[Path, Sequence[Record]], None]


@dataclass(frozen=True)
class Format:
    """One format. ``marks`` are the names (globs) whose presence in a folder says that it is one."""

    name: str
    read: Read
    marks: tuple[str, ...]
    pattern: str = ""
    """Every file that could be one; a folder without marks is searched for it when the format is named."""
    write: Write | None = None
    """Writes ``manifest`` once the pictures lie there; None where there is none."""

    @property
    def manifest(self) -> str:
        """What ``write`` writes."""
        return self.marks[0]


FORMATS = {
    one.name: one
    for one in (
        Format(
            "hf", hugging_face.read, ("metadata.jsonl", "*/metadata.jsonl"), "*.jsonl", hugging_face.write
        ),
        Format("parquet", parquet_manifest.read, ("manifest.parquet",), "*.parquet", parquet_manifest.write),
        Format("csv", csv_manifest.read, ("manifest.csv", "labels.csv"), "*.csv", csv_manifest.write),
        Format("label-studio", label_studio.read, ("tasks.json",), "*.json", label_studio.write),
        Format("webdataset", web_dataset.read, ("*.tar",), "*.tar"),
        Format("imagefolder", imagefolder.read, ()),
    )
}
AUTO = "auto"


@dataclass(frozen=True)
class Found:
    """A source to import: the files that list its pictures, or its folder."""

    format: Format
    root: Path
    sources: tuple[Path, ...]

    def rows(self) -> Iterator[Row]:
        """Every entry, source after source."""
        for source in self.sources:
            title = source.name if source == self.root else source.relative_to(self.root).as_posix()
            yield from self.format.read(source, title)


def find(path: Path, name: str = AUTO) -> Found:
    """What ``path`` is; ``name`` decides where it is not ``auto``.

    Raises:
        OpsError: there is nothing of the kind, or it could be several things.
    """
    if name != AUTO and name not in FORMATS:
        raise OpsError(f"format {name!r} is not known: use {', '.join((AUTO, *FORMATS))}")
    if path.is_file():
        return _find_file(path, name)
    if not path.is_dir():
        raise OpsError(f"{path} is neither a file nor a folder: check the path")
    return _find_folder(path) if name == AUTO else _find_named(path, FORMATS[name])


def _find_file(path: Path, name: str) -> Found:
    fitting = [one for one in FORMATS.values() if one.pattern and path.match(one.pattern)]
    if name != AUTO:
        fitting = [FORMATS[name]]
    if not fitting or not fitting[0].pattern:
        raise OpsError(
            f"{path} is a file of no known format: name a folder, or send pictures with `menagerie upload`"
        )
    return Found(fitting[0], path, (path,))


def _find_folder(path: Path) -> Found:
    fitting = [(one, sources) for one in FORMATS.values() if (sources := _marked(path, one))]
    if len(fitting) > 1:
        names = " and ".join(f"{one.name} ({sources[0].name})" for one, sources in fitting)
        raise OpsError(f"{path} could be {names}: say which with --format")
    one, sources = fitting[0] if fitting else (FORMATS["imagefolder"], (path,))
    return Found(one, path, sources)


def _find_named(path: Path, wanted: Format) -> Found:
    if not wanted.pattern:
        return Found(wanted, path, (path,))
    sources = _marked(path, wanted) or tuple(sorted(path.glob(wanted.pattern)))
    if len(sources) != 1 and not _marked(path, wanted):
        raise OpsError(f"{path} has {len(sources)} files {wanted.pattern}: name the one to import")
    return Found(wanted, path, sources)


def _marked(path: Path, one: Format) -> tuple[Path, ...]:
    """The files of the first mark that there is: splits only count where the root has no list."""
    for mark in one.marks:
        sources = tuple(sorted(file for file in path.glob(mark) if file.is_file()))
        if sources:
            return sources
    return ()
