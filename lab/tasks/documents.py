"""What a task knows: ``documents.jsonl``, or a folder of texts, web pages, PDF and Word files.

``read_document_folder(Path("handbook"))`` gives every file below a folder as plain text. A new kind of file is one more
reader in ``READERS``.
"""

from __future__ import annotations

import io
import logging
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from lab.files import HALF, read_jsonl
from lab.schema import Document, LabError, extra, first_line

DOCUMENT_FIELDS = ("id", "text", "title")
LONGEST_TITLE = 100
"""Characters: a longer first line is no title."""


def read_documents(folder: Path) -> list[Document]:
    """A task's ``documents.jsonl`` ({"id", "text", "title"?}), else the files below ``documents``; an empty list where
    there are none. Raises LabError naming file and line of what is no document."""
    path, directory = folder / "documents.jsonl", folder / "documents"
    if not path.exists():
        return read_document_folder(directory) if directory.is_dir() else []
    documents: dict[str, Document] = {}
    for number, row in read_jsonl(path):
        where = f"{path}, line {number}"
        if unknown := sorted(set(row) - set(DOCUMENT_FIELDS)):
            raise LabError(f"{where}: unknown field {unknown[0]!r}; fields are {', '.join(DOCUMENT_FIELDS)}")
        identity, text, title = (row.get(name) for name in DOCUMENT_FIELDS)
        if not (isinstance(identity, str) and identity and isinstance(text, str) and text.strip()):
            raise LabError(f"{where}: a document needs an id and a text that isn't empty")
        if not isinstance(title, str | None):
            raise LabError(f"{where}: the title is no text")
        if identity in documents:
            raise LabError(f"{where}: document id {identity!r} stands twice; ids must differ")
        documents[identity] = Document(identity, text, title or "")
    return list(documents.values())


def read_document_folder(directory: Path, left_out: list[str] | None = None) -> list[Document]:
    """Every file below a folder that there is a reader for; its path is its id.

    Hidden files and folders are not read. What else is ``left_out`` (other kinds of files, files without a text) is
    added to that list in words. Raises LabError naming a file that can't be read, and where nothing has a text.
    """
    files = sorted(p for p in directory.rglob("*") if p.is_file() and not _is_hidden(p.relative_to(directory)))
    others = Counter(p.suffix.lower() or "no ending" for p in files if p.suffix.lower() not in READERS)
    documents, empty = [], 0
    for file in (p for p in files if p.suffix.lower() in READERS):
        title, text = READERS[file.suffix.lower()](file)
        empty += not text
        if text:
            documents.append(Document(file.relative_to(directory).as_posix(), text, title or _first_line(text)))
    told = [f"{count} {kind}" for kind, count in sorted(others.items())]
    told += [f"{empty} without a text (scanned pages have none)"] if empty else []
    if not documents:
        found = f" ({', '.join(told)})" if told else ""
        raise LabError(f"{directory}: no {' or '.join(READERS)} file with a text in it{found}")
    if left_out is not None and told:
        left_out.append(f"documents left out: {', '.join(told)} ({', '.join(READERS)} are read)")
    return documents


def document_text(document: Document) -> str:
    """What every arm reads of a document: the title's line, unless the text begins with it, and the text."""
    if not document.title or document.text.lstrip("# \n").startswith(document.title):
        return document.text
    return f"{document.title}\n{document.text}"


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def _first_line(text: str) -> str:
    first = text.splitlines()[0].lstrip("# ").strip()
    return first if len(first) <= LONGEST_TITLE else ""


def _plain(file: Path) -> tuple[str, str]:
    try:
        return "", file.read_bytes().decode("utf-8-sig").replace("\r\n", "\n").strip()
    except UnicodeDecodeError:
        raise LabError(f"{file}: not UTF-8 text; save it as UTF-8") from None


def _by(read: Callable[[bytes], tuple[str, str]], kind: str) -> Callable[[Path], tuple[str, str]]:
    """A reader of bytes as one of a file; what its library makes of a file that isn't right is one line."""

    def reader(file: Path) -> tuple[str, str]:
        try:
            with extra("documents", f"{file}: reading {kind}"):
                title, text = read(file.read_bytes())
        except LabError:
            raise
        except Exception as error:
            raise LabError(f"{file}: can't be read as {kind}: {first_line(error)}") from None
        # Fonts without a table of characters give halves of them; they are no text.
        return title.strip(), HALF.sub("", text).strip()

    return reader


def _html(content: bytes) -> tuple[str, str]:
    from inscriptis import Inscriptis
    from lxml import html

    if not content.strip():
        return "", ""
    # The page's own declaration of its encoding counts; without one it is UTF-8 where that fits.
    try:
        page = html.document_fromstring(content, parser=html.HTMLParser(encoding=_utf8(content)))
    except html.etree.ParserError:
        return "", ""
    return " ".join((page.findtext(".//title") or "").split()), _folded(Inscriptis(page).get_text())


def _utf8(content: bytes) -> str | None:
    """UTF-8 where the bytes are that; None leaves the encoding to what the page declares."""
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        return None
    return "utf-8"


def _folded(text: str) -> str:
    """Lines without white space at their ends, and never two empty ones after another."""
    lines = [line.rstrip() for line in text.split("\n")]
    return "\n".join(line for n, line in enumerate(lines) if line or (n and lines[n - 1]))


def _pdf(content: bytes) -> tuple[str, str]:
    from pypdf import PdfReader

    # What can't be read is raised; its remarks on what can are not for a person who imports.
    logging.getLogger("pypdf").setLevel(logging.ERROR)
    reader = PdfReader(io.BytesIO(content))
    title = str((reader.metadata or {}).get("/Title") or "")
    return title, "\n\n".join(filter(None, (page.extract_text().strip() for page in reader.pages)))


def _docx(content: bytes) -> tuple[str, str]:
    from docx import Document as Word
    from docx.table import Table

    word, parts = Word(io.BytesIO(content)), []
    for part in word.iter_inner_content():
        rows = ([part.text],) if not isinstance(part, Table) else ([c.text for c in row.cells] for row in part.rows)
        parts.append("\n".join("  ".join(cells) for cells in rows))
    return word.core_properties.title or "", "\n\n".join(filter(None, (p.strip() for p in parts)))


READERS: dict[str, Callable[[Path], tuple[str, str]]] = {
    ".md": _plain,
    ".txt": _plain,
    ".html": _by(_html, "a web page"),
    ".htm": _by(_html, "a web page"),
    ".pdf": _by(_pdf, "PDF"),
    ".docx": _by(_docx, "a Word file"),
}
"""(title or nothing, text) of a file, by the ending of its name."""
