"""Reads a multipart upload as it streams in: limits hold before the bytes are kept, memory stays small."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from services.ingest.reception.spool import FileTooLarge, SpooledFile

META_BYTES = 1024 * 1024  # 64 entries of 16 KiB
PART_HEADER_BYTES = 8 * 1024


class UploadRefused(Exception):
    """The request breaks a limit or is no valid form; carries the HTTP status."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status


@dataclass(frozen=True)
class UploadLimits:
    """What one request may carry."""

    files: int
    file_bytes: int
    request_bytes: int


class UploadForm:
    """Feed it the body, then read ``files`` and ``meta``; ``close`` removes what it spooled."""

    def __init__(self, content_type: str, limits: UploadLimits, work_dir: Path) -> None:
        kind, options = parse_options_header(content_type)
        boundary = options.get(b"boundary")
        if kind != b"multipart/form-data" or not boundary:
            raise UploadRefused(415, "send multipart/form-data with fields 'meta' and 'files'")
        self.files: list[SpooledFile] = []
        self.meta = bytearray()
        self._limits = limits
        self._work_dir = work_dir
        self._received = 0
        self._ended = False
        self._headers: dict[bytes, bytes] = {}
        self._header = (bytearray(), bytearray())
        self._header_bytes = 0
        self._file: SpooledFile | None = None
        self._parser = MultipartParser(boundary, {
            "on_part_begin": self._part_begin, "on_part_data": self._part_data, "on_part_end": self._part_end,
            "on_header_field": self._header_field, "on_header_value": self._header_value,
            "on_header_end": self._header_end, "on_headers_finished": self._headers_finished,
            "on_end": self._end,
        })  # fmt: skip

    def feed(self, chunk: bytes) -> None:
        """Take the next piece of the body.

        Raises:
            UploadRefused: a limit is reached or the form is malformed.
        """
        self._received += len(chunk)
        if self._received > self._limits.request_bytes:
            raise UploadRefused(
                413, f"the request is larger than {self._limits.request_bytes} bytes; split it"
            )
        try:
            self._parser.write(chunk)
        except FormParserError as error:
            raise UploadRefused(400, f"the multipart body is malformed: {error}") from error
        except FileTooLarge as error:
            raise UploadRefused(413, str(error)) from error

    def finish(self) -> None:
        """The body is complete.

        Raises:
            UploadRefused: it ended in the middle of a part.
        """
        if not self._ended:
            raise UploadRefused(400, "the multipart body ends before its last boundary; send it again")

    def close(self) -> None:
        """Remove spooled files."""
        for file in self.files:
            file.close()

    def _part_begin(self) -> None:
        self._headers = {}
        self._header = (bytearray(), bytearray())
        self._header_bytes = 0

    def _header_field(self, data: bytes, start: int, end: int) -> None:
        self._header[0].extend(self._header_piece(data, start, end))

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._header[1].extend(self._header_piece(data, start, end))

    def _header_piece(self, data: bytes, start: int, end: int) -> bytes:
        self._header_bytes += end - start
        if self._header_bytes > PART_HEADER_BYTES:
            raise UploadRefused(
                400, f"a part's header is larger than {PART_HEADER_BYTES} bytes; shorten the name"
            )
        return data[start:end]

    def _header_end(self) -> None:
        name, value = self._header
        self._headers[bytes(name).lower()] = bytes(value)
        self._header = (bytearray(), bytearray())

    def _headers_finished(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition", b""))
        name = options.get(b"name", b"")
        if name == b"meta":
            self._file = None
        elif name == b"files":
            if len(self.files) == self._limits.files:
                raise UploadRefused(413, f"a request carries at most {self._limits.files} files; split it")
            file_name = options.get(b"filename", b"").decode("utf-8", "replace")
            self._file = SpooledFile(file_name, self._limits.file_bytes, self._work_dir)
            self.files.append(self._file)
        else:
            raise UploadRefused(422, f"field {name[:80]!r} is unknown; send 'meta' and 'files'")

    def _part_data(self, data: bytes, start: int, end: int) -> None:
        piece = data[start:end]
        if self._file is not None:
            self._file.feed(piece)
            return
        self.meta.extend(piece)
        if len(self.meta) > META_BYTES:
            raise UploadRefused(413, f"field 'meta' is larger than {META_BYTES} bytes; split the request")

    def _part_end(self) -> None:
        if self._file is not None:
            self._file.finish()

    def _end(self) -> None:
        self._ended = True
