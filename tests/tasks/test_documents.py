"""Documents of every kind as text: what stands in the file arrives, what can't be read is told."""

from __future__ import annotations

import json
import sys

import docx
import pytest

from lab.schema import LabError
from lab.tasks.documents import READERS, read_document_folder, read_documents

PAGE = """<!doctype html><html><head><meta charset="{charset}"><title>Opening
hours</title><style>p {{color: red}}</style><script>var a = "secret";</script></head><body>
<h1>Café</h1><p>Open from <b>nine</b> to five.</p><ul><li>Monday</li><li>Tuesday</li></ul>
<table><tr><td>Oakley</td><td>12 £</td></tr></table></body></html>"""


def pdf_of(*pages: str) -> bytes:
    """A PDF with one line a page, written by hand."""
    parts = [b"<< /Type /Catalog /Pages 2 0 R >>", b"", b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"]
    kids = []
    for text in pages:
        stream = f"BT /F1 12 Tf 72 720 Td ({text}) Tj ET".encode() if text else b""
        parts.append(b"<< /Length %d >>\nstream\n%s\nendstream" % (len(stream), stream))
        parts.append(
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents %d 0 R "
            b"/Resources << /Font << /F1 3 0 R >> >> >>" % len(parts)
        )
        kids.append(b"%d 0 R" % len(parts))
    parts[1] = b"<< /Type /Pages /Kids [%s] /Count %d >>" % (b" ".join(kids), len(kids))
    content, places = b"%PDF-1.4\n", []
    for number, part in enumerate(parts, 1):
        places.append(len(content))
        content += b"%d 0 obj\n%s\nendobj\n" % (number, part)
    table = b"".join(b"%010d 00000 n \n" % p for p in places)
    head = b"xref\n0 %d\n0000000000 65535 f \n" % (len(parts) + 1)
    return (
        content
        + head
        + table
        + b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF"
        % (
            len(parts) + 1,
            len(content),
        )
    )


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "docs" / ".git").mkdir(parents=True)
    return tmp_path / "docs"


def only(folder):
    (document,) = read_document_folder(folder)
    return document


@pytest.mark.parametrize("charset", ["utf-8", "windows-1252", "iso-8859-1"])
def test_a_web_page_in_its_own_encoding(folder, charset):
    (folder / "a.html").write_bytes(PAGE.format(charset=charset).encode(charset))
    document = only(folder)
    assert (document.id, document.title) == ("a.html", "Opening hours")
    lines = [" ".join(line.split()) for line in document.text.splitlines() if line.strip()]
    assert lines == ["Café", "Open from nine to five.", "* Monday", "* Tuesday", "Oakley 12 £"]


def test_a_pdf_page_by_page(folder):
    (folder / "b.pdf").write_bytes(pdf_of("Person 1 lives in Oakley.", "", "Person 2 lives in Tilbury."))
    assert only(folder).text == "Person 1 lives in Oakley.\n\nPerson 2 lives in Tilbury."


def test_a_word_file_with_its_tables_in_order(folder):
    word = docx.Document()
    word.core_properties.title = "Towns"
    word.add_paragraph("Before the table.")
    table = word.add_table(rows=2, cols=2)
    for cell, text in zip((c for row in table.rows for c in row.cells), ("town", "mill", "Oakley", "yes")):
        cell.text = text
    word.add_paragraph("After the table.")
    word.save(folder / "c.docx")
    document = only(folder)
    assert document.title == "Towns"
    assert document.text == "Before the table.\n\ntown  mill\nOakley  yes\n\nAfter the table."


def test_what_is_left_out_is_counted_by_kind(folder):
    (folder / "a.md").write_text("# One\n\ntext")
    (folder / "empty.txt").write_text(" \n")
    (folder / "scan.pdf").write_bytes(pdf_of(""))
    (folder / "x.png").write_bytes(b"\x89PNG")
    (folder / "y.PNG").write_bytes(b"\x89PNG")
    (folder / ".git" / "z.md").write_text("hidden")
    left_out: list[str] = []
    assert [d.id for d in read_document_folder(folder, left_out)] == ["a.md"]
    assert left_out == [
        "documents left out: 2 .png, 2 without a text (scanned pages have none) "
        "(.md, .txt, .html, .htm, .pdf, .docx are read)"
    ]


@pytest.mark.parametrize("ending", [e for e in READERS if e not in (".html", ".htm")])
def test_a_file_that_is_not_what_it_says_is_named(folder, ending):
    (folder / f"bad{ending}").write_bytes(b"\xff\xfe\x00not what it says")
    with pytest.raises(LabError, match=f"bad{ending}: ") as error:
        read_document_folder(folder)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(("ending", "package"), [(".html", "inscriptis"), (".pdf", "pypdf"), (".docx", "docx")])
def test_a_missing_package_names_the_command(folder, monkeypatch, ending, package):
    (folder / f"a{ending}").write_bytes(b"<p>text</p>")
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(LabError, match=r"pip install 'decision-lab\[documents\]'"):
        read_document_folder(folder)


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ({"id": "a", "text": "t", "titel": "x"}, "unknown field 'titel'"),
        ({"id": "a", "text": "t", "title": 5}, "the title is no text"),
        ({"id": "", "text": "t"}, "needs an id"),
        ({"id": "first", "text": "t"}, "stands twice"),
    ],
)
def test_a_document_that_is_none_is_named_by_its_line(tmp_path, row, says):
    rows = [{"id": "first", "text": "t"}, row]
    (tmp_path / "documents.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    with pytest.raises(LabError, match=f"line 2: .*{says}"):
        read_documents(tmp_path)
