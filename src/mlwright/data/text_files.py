"""Text files: what a file's bytes say it is, and the UTF-8 text in it.

A file is judged by its first bytes, never by its name alone. Knows compressions, encodings, separators and header
lines; does not know how rows become a table (`mlwright.data.files`).
"""

from __future__ import annotations

import codecs
import csv
import io
import lzma
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from mlwright.core.errors import SourceError

__all__ = ["Layout", "TextFile", "file_kind", "layout", "text_file"]

_CHUNK = 1 << 20
_SAMPLE = 1 << 16
_LONGEST_LINE = 1 << 21  # what DuckDB reads as one line
_SEPARATORS = (",", ";", "\t", "|")
_COMPRESSIONS = {
    b"\x1f\x8b": "gzip",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"BZh": "bz2",
    b"\xfd7zXZ\x00": "xz",
}
_BOMS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
# What people hand in by mistake, and the way out.
_FOREIGN = (
    (b"SQLite format 3\x00", "a SQLite database", "read it as sqlite:///{path}"),
    (b"ARROW1", "an Arrow file", "pass the table itself: pyarrow.feather.read_table('{path}')"),
    (b"\xd0\xcf\x11\xe0", "an old Excel workbook", "save the sheet as CSV"),
    (b"%PDF", "a PDF", "export the table as CSV"),
    (b"\x89HDF", "an HDF5 file", "save the table as Parquet"),
    (b"Rar!", "a RAR archive", "unpack it first"),
    (b"7z\xbc\xaf", "a 7z archive", "unpack it first"),
    (b"ORC", "an ORC file", "save the table as Parquet"),
    (b"Obj\x01", "an Avro file", "save the table as Parquet"),
    (b"version https://git-lfs", "a Git LFS pointer and not the data", "run 'git lfs pull'"),
)


@dataclass(frozen=True, slots=True)
class TextFile:
    """UTF-8 text that DuckDB can read.

    Parameters
    ----------
    path : Path
        The file itself, or a temporary UTF-8 copy of it.
    compression : {"none", "gzip", "zstd"}
        Of the file at `path`.
    sample : str
        The first characters, without a byte order mark.
    whole : bool
        Whether `sample` is all there is.
    """

    path: Path
    compression: str
    sample: str
    whole: bool


@dataclass(frozen=True, slots=True)
class Layout:
    """How a delimited file is laid out: its separator and its raw column names."""

    separator: str
    names: tuple[str, ...]


def _compression(path: Path) -> str:
    with path.open("rb") as file:
        head = file.read(8)
    return next((name for magic, name in _COMPRESSIONS.items() if head.startswith(magic)), "none")


@contextmanager
def _bytes_of(path: Path, compression: str) -> Iterator[BinaryIO | Any]:
    import pyarrow as pa

    if compression == "xz":
        with lzma.open(path) as file:
            yield file
    elif compression == "none":
        with path.open("rb") as file:
            yield file
    else:
        with pa.input_stream(str(path), compression=compression) as file:
            yield file


def _head(path: Path, compression: str) -> bytes:
    with _unpacked(path), _bytes_of(path, compression) as file:
        head = file.read(_SAMPLE)
        while b"\n" not in head and b"\r" not in head and len(head) < _LONGEST_LINE:  # thousands of columns
            more = file.read(_SAMPLE)
            if not more:
                break
            head += more
        return head


@contextmanager
def _unpacked(path: Path) -> Iterator[None]:
    try:
        yield
    except (EOFError, lzma.LZMAError) as error:
        raise SourceError(f"'{path}' is damaged or cut short ({error})", fix="copy the file again") from error
    except OSError as error:
        if error.errno is not None:
            raise SourceError(
                f"'{path}' cannot be read ({error.strerror})", fix="check its rights"
            ) from error
        raise SourceError(f"'{path}' is damaged or cut short ({error})", fix="copy the file again") from error


def file_kind(path: Path) -> str:
    """Return what the bytes of the file at `path` are: ``"parquet"``, ``"json"`` or ``"delimited"``.

    Raises
    ------
    SourceError
        If the file is empty, or is a kind of file that holds no table; the message says the way out.
    """
    with _unpacked(path), path.open("rb") as file:
        first = file.read(8)
    if first.startswith(b"PAR1"):
        return "parquet"
    head = _head(path, _compression(path))
    if not head.strip():
        raise SourceError("the file is empty", got=str(path), fix="check how it was written")
    if head.startswith(b"PK\x03\x04"):
        if b"xl/" in head or path.suffix.lower() in {".xlsx", ".xlsm"}:
            raise SourceError(f"'{path}' is an Excel workbook", fix="save the sheet as CSV")
        raise SourceError(f"'{path}' is a zip archive", fix=f"unpack it first: unzip '{path}'")
    for magic, what, fix in _FOREIGN:
        if head.startswith(magic):
            raise SourceError(f"'{path}' is {what}", fix=fix.format(path=path))
    start = head.removeprefix(codecs.BOM_UTF8).lstrip()[:200].lower()
    if start.startswith((b"<!doctype", b"<html")):
        raise SourceError(f"'{path}' is a web page", fix="download the data itself, not the page about it")
    if start.startswith(b"<?xml"):
        raise SourceError(f"'{path}' is XML", fix="export the table as CSV or JSON lines")
    text = start.replace(b"\x00", b"").removeprefix(codecs.BOM_UTF16_LE).removeprefix(codecs.BOM_UTF16_BE)
    is_json = text.startswith(b"{") or (text.startswith(b"[") and text[1:].lstrip()[:1] in {b"{", b"]", b""})
    return "json" if is_json else "delimited"


def text_file(path: Path, stack: ExitStack, notes: list[str]) -> TextFile:
    """Return the UTF-8 text of the file at `path`, through a temporary copy where it is not that already.

    The whole file is looked at once, so that the reading is the same however far a reader gets.

    Parameters
    ----------
    path : Path
        A text file: plain, or gzip, Zstandard, bzip2 or xz.
    stack : ExitStack
        Holds the temporary copy until it is closed.
    notes : list of str
        What had to be guessed is appended.

    Raises
    ------
    SourceError
        If the file is damaged or holds no text.
    """
    compression = _compression(path)
    head = _head(path, compression)
    encoding = next((name for mark, name in _BOMS if head.startswith(mark)), None)
    if encoding is None and _looks_utf16(head):
        encoding = "utf-16-le" if head[1:2] == b"\x00" else "utf-16-be"
    if encoding is None:
        _refuse_binary(path, head)
        encoding = _encoding(path, compression)
    if encoding not in {"utf-8", "utf-8-sig"}:
        notes.append(f"'{path.name}' is not UTF-8: it was read as {encoding}")
    sample = codecs.getincrementaldecoder(encoding)("strict").decode(head)
    old_lines = "\r" in sample and "\n" not in sample  # DuckDB does not know a line that ends in CR alone
    whole = len(head) % _SAMPLE != 0
    if encoding == "utf-8" and compression in {"none", "gzip", "zstd"} and not old_lines:
        return TextFile(path, compression, sample, whole)
    folder = Path(stack.enter_context(_temporary_folder()))
    copy = folder / "text"
    with (
        _unpacked(path),
        _bytes_of(path, compression) as raw,
        copy.open("w", encoding="utf-8", newline="") as file,
    ):
        decoder = codecs.getincrementaldecoder(encoding)("strict")
        try:
            while chunk := raw.read(_CHUNK):
                text = decoder.decode(chunk)
                file.write(text.replace("\r", "\n") if old_lines else text)
            file.write(decoder.decode(b"", final=True))
        except UnicodeDecodeError as error:
            raise SourceError(
                f"'{path}' is not the {encoding} text that it begins as: {error.reason}",
                fix="save it again as UTF-8",
            ) from error
    return TextFile(copy, "none", sample.replace("\r", "\n") if old_lines else sample, whole)


def _temporary_folder() -> AbstractContextManager[str]:
    return tempfile.TemporaryDirectory(prefix="mlwright-")


def _looks_utf16(head: bytes) -> bool:
    """Return whether every other byte of ordinary text is zero."""
    even, odd = head[0:4000:2], head[1:4000:2]
    zeros = (even.count(0) / max(len(even), 1), odd.count(0) / max(len(odd), 1))
    return max(zeros) > 0.7 and min(zeros) < 0.05


def _refuse_binary(path: Path, head: bytes) -> None:
    controls = sum(head.count(byte) for byte in range(32) if byte not in b"\t\n\r\x0c\x1b")
    if b"\x00" in head or controls > 0.02 * len(head):
        raise SourceError(
            f"'{path}' holds binary data and not text",
            got=head[:16],
            allowed="CSV, TSV, JSON lines or Parquet, also compressed (.gz, .zst, .bz2, .xz)",
            fix="save the table in one of these",
        )


def _encoding(path: Path, compression: str) -> str:
    """Return ``utf-8`` if the whole file is, else the first of Windows-1252 and Latin-1 that reads it."""
    for encoding in ("utf-8", "cp1252"):
        decoder = codecs.getincrementaldecoder(encoding)("strict")
        try:
            with _unpacked(path), _bytes_of(path, compression) as file:
                while chunk := file.read(_CHUNK):
                    decoder.decode(chunk)
                decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            continue
        return encoding
    return "latin-1"


def layout(path: Path, text: TextFile) -> Layout:
    """Return the separator and the header of a delimited file.

    The separator is the one of ``, ; tab |`` under which most of the first lines have as many fields as the
    header, and the header has most.

    Raises
    ------
    SourceError
        If there is one column only and its name holds a separator, or the header cannot be read.
    """
    lines = text.sample
    if not text.whole:
        if "\n" not in lines:
            raise SourceError(
                f"the first line of '{path}' has more than {len(lines):,} characters: that is no line of column names",
                got=lines[:80],
                fix="put a header of short names first",
            )
        lines = lines[: lines.rindex("\n")]
    best: tuple[tuple[bool, float, int], str, list[str]] | None = None
    for separator in _SEPARATORS:
        rows = _rows(lines, separator)
        if not rows:
            continue
        width = len(rows[0])
        share = sum(len(row) == width for row in rows) / len(rows)
        score = (width > 1, round(share, 1), width)
        if path.name.lower().split(".")[-1] in {"tsv", "tab"} and separator == "\t" and width > 1:
            score = (True, 2.0, width)
        if best is None or score > best[0]:
            best = (score, separator, rows[0])
    if best is None:
        raise SourceError(
            f"the first line of '{path}' cannot be read as column names",
            got=lines[:80],
            fix="check its quotes",
        )
    _, separator, names = best
    if len(names) == 1 and any(mark in names[0] for mark in ",;\t|^~"):
        raise SourceError(
            f"'{path}' has one column only, and its name holds separators",
            got=names[0],
            allowed="fields separated by a comma, semicolon, tab or |, quoted one by one",
            fix="write the file with one of these",
        )
    return Layout(separator, tuple(names))


def _rows(lines: str, separator: str) -> list[list[str]]:
    """Return up to 50 rows of fields, blank lines left out; none if the first cannot be read."""
    rows: list[list[str]] = []
    try:
        for row in csv.reader(io.StringIO(lines, newline=""), delimiter=separator):
            if row:
                rows.append(row)
            if len(rows) == 50:
                break
    except csv.Error:  # a field longer than the module allows: what was read so far is enough to judge
        pass
    return rows
