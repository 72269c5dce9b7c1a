"""Multipart form bodies, as uploads send them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from python_multipart.multipart import MultipartParser, parse_options_header


@dataclass(frozen=True, slots=True)
class UploadedFile:
    """A file in a form: the name the client gave it, and its bytes."""

    filename: str
    content: bytes


def read_multipart(content_type: str, body: bytes) -> dict[str, Any]:
    """The fields of a multipart body: text, or `UploadedFile` where a file name is given; none if it is unreadable."""
    _, options = parse_options_header(content_type)
    boundary = options.get(b"boundary")
    if not boundary:
        return {}
    reader = _Reader()
    try:
        parser = MultipartParser(boundary, reader.callbacks())  # type: ignore[arg-type]
        parser.write(body)
        parser.finalize()
    except ValueError:
        return {}
    return reader.fields


def without_content(fields: Mapping[str, Any]) -> Mapping[str, Any]:
    """The fields with the name of each file in place of the file."""
    if not any(isinstance(value, UploadedFile) for value in fields.values()):
        return fields
    return {name: value.filename if isinstance(value, UploadedFile) else value for name, value in fields.items()}


class _Reader:
    """Collects what the parser reports, part by part."""

    def __init__(self) -> None:
        self.fields: dict[str, Any] = {}
        self._header = self._value = b""
        self._headers: dict[bytes, bytes] = {}
        self._data: list[bytes] = []

    def callbacks(self) -> dict[str, Any]:
        return {
            "on_part_begin": self._begin,
            "on_header_field": self._on_header,
            "on_header_value": self._on_value,
            "on_header_end": self._end_header,
            "on_part_data": self._on_data,
            "on_part_end": self._end,
        }

    def _begin(self) -> None:
        self._headers, self._data = {}, []

    def _on_header(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _on_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _end_header(self) -> None:
        self._headers[self._header.lower()] = self._value
        self._header = self._value = b""

    def _on_data(self, data: bytes, start: int, end: int) -> None:
        self._data.append(data[start:end])

    def _end(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition", b""))
        name = options.get(b"name", b"").decode("utf-8", "replace")
        content = b"".join(self._data)
        if b"filename" in options:
            self.fields[name] = UploadedFile(options[b"filename"].decode("utf-8", "replace"), content)
        else:
            self.fields[name] = content.decode("utf-8", "replace")
