"""What arrives is what was written, or it is refused with the file's own line: kinds of files and their faults."""

from __future__ import annotations

import csv
import gzip
import io
import json
from datetime import date

import pandas
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lab.schema import LabError
from lab.tasks.importing import choose_columns, import_task, samples_from
from lab.tasks.shapes import shaped
from lab.tasks.tables import as_text, read_table

ROWS = [(f"ticket {n}, please help", ("hardware", "billing", "account")[n % 3]) for n in range(24)]


def written(folder, name, text, encoding="utf-8"):
    path = folder / name
    path.write_bytes(text.encode(encoding) if isinstance(text, str) else text)
    return str(path)


def table_of(separator=",", quote=True, header=("text", "label"), rows=ROWS):
    made = io.StringIO()
    quoting = csv.QUOTE_ALL if quote else csv.QUOTE_MINIMAL
    csv.writer(made, delimiter=separator, quoting=quoting, lineterminator="\n").writerows([header, *rows])
    return made.getvalue()


def pairs(table):
    return [(as_text(r.cells["text"]), as_text(r.cells["label"])) for r in table.rows]


@pytest.mark.parametrize(
    ("name", "text", "encoding", "said"),
    [
        ("a.csv", table_of(), "utf-8", []),
        ("a.csv", table_of(), "utf-8-sig", []),
        ("a.csv", table_of().replace("\n", "\r\n"), "utf-8-sig", []),
        ("a.csv", table_of().replace("\n", "\r"), "utf-8", []),
        ("a.csv", table_of(";"), "utf-8", ["separated by semicolon"]),
        ("a.csv", table_of(";", quote=False), "utf-8", ["separated by semicolon"]),
        ("a.csv", table_of("|"), "utf-8", ["separated by pipe"]),
        ("a.csv", "sep=;\n" + table_of(";"), "utf-8", ["separated by semicolon"]),
        ("a.csv", table_of("\t", quote=False), "utf-16", ["read as utf-16", "separated by tab"]),
        ("a.tsv", table_of("\t", quote=False), "utf-8", []),
        ("a.tsv", table_of("\t"), "utf-8", []),
        ("a.txt", table_of(), "utf-8", []),
        ("a.csv", table_of().replace('","', '", "'), "utf-8", []),
        ("a.jsonl", "\n".join(json.dumps({"text": t, "label": v}) for t, v in ROWS), "utf-8", []),
        ("a.json", json.dumps([{"text": t, "label": v} for t, v in ROWS], indent=1), "utf-8", []),
    ],
)
def test_every_dialect_gives_the_same_rows(tmp_path, name, text, encoding, said):
    path = written(tmp_path, name, text, encoding)
    table = read_table(path)
    assert pairs(table) == ROWS and table.notes == said and not table.bad
    zipped = tmp_path / f"{name}.gz"
    zipped.write_bytes(gzip.compress(text.encode(encoding)))
    assert pairs(read_table(str(zipped))) == ROWS


def test_letters_of_windows_are_told_from_latin_1_by_the_bytes_that_only_they_use(tmp_path):
    rows = [("café “quoted” €5", "a"), ("naïve", "b")]
    table = read_table(written(tmp_path, "w.csv", table_of(rows=rows), "cp1252"))
    assert pairs(table) == rows and table.notes == ["read as cp1252"]
    plain = read_table(written(tmp_path, "l.csv", table_of(rows=[("café", "a")]), "latin-1"))
    assert pairs(plain) == [("café", "a")] and plain.notes == ["read as latin-1"]
    with pytest.raises(LabError, match=r"w.csv, line 2: not ascii text; name another with --encoding"):
        read_table(str(tmp_path / "w.csv"), "ascii")
    with pytest.raises(LabError, match="no such encoding"):
        read_table(str(tmp_path / "w.csv"), "latin-77")


def test_surplus_cells_are_refused_with_their_lines_and_empty_ones_are_none(tmp_path):
    shifted = "text,label\n" + "".join(f"Hello team, my printer is dead {n},hardware\n" for n in range(14))
    table = read_table(written(tmp_path, "s.csv", shifted))
    assert not table.rows and [line for line, _ in table.bad] == list(range(2, 16))
    with pytest.raises(LabError, match=r"14 bad rows: line 2: 3 cells, and the header has 2.* and 4 more.*--skip-bad-"):
        import_task(str(tmp_path / "s.csv"), name="t")
    trailing = read_table(written(tmp_path, "t.csv", "text,label,team\nMy printer,hardware,one,\n"))
    assert trailing.rows[0].cells == {"text": "My printer", "label": "hardware", "team": "one"}


def test_lines_are_the_files_own_after_cells_of_several_lines(tmp_path):
    text = 'text,label\n"one\ntwo\nthree",a\n\n"four\nfive",b\nsix,\nseven,c,d\n'
    path = written(tmp_path, "m.csv", text)
    table = read_table(path)
    assert [r.line for r in table.rows] == [2, 6, 8] and table.notes == ["2 rows hold line breaks inside quotes"]
    with pytest.raises(LabError, match=r"2 bad rows: line 8: column 'label' is empty.*line 9: 3 cells"):
        import_task(path, name="t")
    with pytest.raises(LabError, match="line 3: .*a quote that opens a cell must close it"):
        read_table(written(tmp_path, "q.csv", 'text,label\na,b\n"open,c\nd,e\n'))


def test_long_cells_and_large_arrays_are_read(tmp_path):
    long = "x" * 300_000
    assert read_table(written(tmp_path, "l.csv", table_of(rows=[(long, "a")]))).rows[0].cells["text"] == long
    rows = [{"text": f"item {n}", "label": "a"} for n in range(20_000)]
    table = read_table(written(tmp_path, "l.json", json.dumps(rows, indent=1)))
    assert len(table.rows) == 20_000 and table.rows[-1].line == 2 + 4 * 19_999


def test_an_open_quote_of_a_tsv_is_a_letter(tmp_path):
    text = 'text\tlabel\n"Screen is broken\thardware\nfine\tother\n"No sound\thardware\n'
    table = read_table(written(tmp_path, "t.tsv", text))
    assert pairs(table) == [('"Screen is broken', "hardware"), ("fine", "other"), ('"No sound', "hardware")]


def test_numbers_and_truth_keep_their_written_form(tmp_path):
    rows = ['{"text": "a", "label": 0}', '{"text": "b", "label": 2.50}', '{"text": "c", "label": 1e3}']
    rows += [
        '{"text": "d", "label": true}',
        '{"text": "e", "label": 9007199254740993}',
        '{"text": "f", "label": [1, "x"]}',
    ]
    table = read_table(written(tmp_path, "n.jsonl", "\n".join(rows)))
    assert [v for _, v in pairs(table)] == ["0", "2.50", "1e3", "true", "9007199254740993", '[1, "x"]']


def test_parquet_is_as_jsonl_gives_it(tmp_path):
    table = pandas.DataFrame(
        {
            "text": ["a", "b", "c"],
            "label": [b"billing", b"account", b"caf\xc3\xa9"],
            "tags": [["a", "x"], [], ["b"]],
            "when": [date(2024, 1, 2), None, date(2024, 1, 4)],
            "count": pandas.array([1, None, 3], dtype="Int64"),
            "at": pandas.to_datetime(["2024-01-02 03:04:05", None, "2024-01-02 00:00:00"]),
        }
    )
    table.to_parquet(tmp_path / "p.parquet")
    cells = [{k: as_text(v) for k, v in r.cells.items()} for r in read_table(str(tmp_path / "p.parquet")).rows]
    assert [c["label"] for c in cells] == ["billing", "account", "café"]
    assert [c["tags"] for c in cells] == ['["a", "x"]', "[]", '["b"]']
    assert [c["when"] for c in cells] == ["2024-01-02", "", "2024-01-04"]
    assert [c["count"] for c in cells] == ["1", "", "3"] and cells[0]["at"] == "2024-01-02T03:04:05"
    pandas.DataFrame({"text": ["a"], "label": [b"\xff\xfe"]}).to_parquet(tmp_path / "b.parquet")
    assert read_table(str(tmp_path / "b.parquet")).bad == [(1, "holds bytes that are no UTF-8 text")]


CHAT = [{"role": "system", "content": "Sort."}, {"role": "user", "content": "Dead printer"}]
ANSWER = {"role": "assistant", "content": "hardware"}


OTHER = {"role": "assistant", "content": "software"}
PREFERRED = {"chosen": "hardware", "rejected": "software"}
TWICE = "Sort.\n\nuser: Dead printer\nassistant: hardware\nuser: Dead printer"
PARTS = [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}, ANSWER]
SHAREGPT = [{"from": "human", "value": "Dead printer"}, {"from": "gpt", "value": "hardware"}]
ALPACA = {"instruction": "Sort.", "input": "Dead printer", "output": "hardware"}
SQUAD = {"question": "Who?", "answers": {"text": ["Ada", "A. L."], "answer_start": [1, 2]}}


@pytest.mark.parametrize(
    ("row", "asked", "target", "word"),
    [
        ({"messages": [*CHAT, ANSWER]}, "Sort.\n\nDead printer", "hardware", "chats"),
        ({"messages": [*CHAT, ANSWER, CHAT[1], ANSWER]}, TWICE, "hardware", "chats"),
        ({"messages": PARTS}, "Hi", "hardware", "chats"),
        ({"conversations": SHAREGPT}, "Dead printer", "hardware", "ShareGPT"),
        ({"prompt": [CHAT[1]], "completion": [ANSWER]}, "Dead printer", "hardware", "prompt and completion"),
        (ALPACA, "Sort.\n\nDead printer", "hardware", "Alpaca"),
        ({"instruction": "Say hi.", "input": "", "output": "hi"}, "Say hi.", "hi", "Alpaca"),
        (SQUAD, "Who?", "Ada", "SQuAD"),
        (PREFERRED | {"prompt": "Say hi."}, "Say hi.", "hardware", "preferences"),
        (PREFERRED | {"prompt": CHAT}, "Sort.\n\nDead printer", "hardware", "preferences"),
        ({"prompt": [CHAT[1]], "chosen": [ANSWER], "rejected": [OTHER]}, "Dead printer", "hardware", "preferences"),
        ({"chosen": [*CHAT, ANSWER], "rejected": [*CHAT, OTHER]}, "Sort.\n\nDead printer", "hardware", "preferences"),
        ({"question": "Who?", "chosen": "hardware", "rejected": "software"}, "Who?", "hardware", "preferences"),
    ],
)
def test_shapes_of_training_data(tmp_path, row, asked, target, word):
    table = shaped(read_table(written(tmp_path, "s.jsonl", json.dumps(row | {"source": "x"}))))
    (note,) = table.notes
    assert word in note and not table.bad
    chosen, notes = choose_columns(table)
    cells = table.rows[0].cells
    assert (as_text(cells[chosen.input]), as_text(cells[chosen.target])) == (asked, target)
    assert notes == ["not used: source"]
    if word == "SQuAD":
        assert cells["accept"] == ["A. L."]
    if word == "preferences":
        (sample,) = samples_from(table, chosen)
        assert sample.rejected == "software"


def test_chats_that_end_in_no_answer_or_hold_no_text_are_told(tmp_path):
    image = {"role": "user", "content": [{"type": "image_url", "image_url": {}}]}
    rows = [
        {"messages": [*CHAT, ANSWER]},
        {"messages": CHAT},
        {"messages": [image, ANSWER]},
        {"messages": []},
        {"x": 1},
    ]
    table = shaped(read_table(written(tmp_path, "c.jsonl", "\n".join(map(json.dumps, rows)))))
    assert len(table.rows) == 1 and [line for line, _ in table.bad] == [2, 3, 4, 5]
    assert table.bad[0][1] == "the chat does not end in an answer of the assistant"
    assert "more than text" in table.bad[1][1]


def test_guesses_are_taken_only_where_they_can_serve(tmp_path):
    rows = [(f"c{n % 4}", f"text {n}", "ab"[n % 2], f"g{n % 2}", "a paragraph", "x") for n in range(20)]
    path = written(tmp_path, "g.csv", table_of(header=("id", "text", "label", "group", "evidence", "more"), rows=rows))
    found = import_task(path, name="t")
    assert (found.columns.id, found.columns.group, found.columns.evidence) == ("", "", "")
    assert found.notes[:3] == [
        "id is not taken for --id: its values repeat or are empty",
        "group is not taken for --group: fewer than 3 groups",
        "evidence is not taken for --evidence: its values name no documents",
    ]
    assert found.notes[3] == "not used: id, group, evidence, more"
    with pytest.raises(LabError, match="line 6: id 'c0' already stands in line 2"):
        import_task(path, name="t", id_column="id")
    ids = written(
        tmp_path, "i.csv", table_of(header=("id", "text", "label"), rows=[(f"k{n}", *ROWS[n]) for n in range(24)])
    )
    assert import_task(ids, name="t").columns.id == "id"
    off = import_task(ids, name="t", id_column="")
    assert off.columns.id == "" and off.notes == ["not used: id"]


def test_bad_rows_are_left_out_when_asked_and_written_down(tmp_path):
    lines = [json.dumps({"text": f"item {n}", "label": str(n % 3)}) for n in range(30)]
    lines[4], lines[9], lines[20] = "{broken", '{"text": "x", "label": "\\ud83d"}', '{"text": "", "label": "1"}'
    path = written(tmp_path, "b.jsonl", "\n".join(lines))
    with pytest.raises(
        LabError, match="3 bad rows: line 5: broken JSON.*line 10: .*it holds half a char.*line 21: column"
    ):
        import_task(path, name="t")
    found = import_task(path, name="t", skip_bad_rows=True)
    assert len(found.task.labelled) + len(found.task.test) == 27
    assert [(line, why[:11]) for _, line, why in found.skipped] == [
        (5, "broken JSON"),
        (10, "broken JSON"),
        (21, "column 'tex"),
    ]


def test_targets_that_nobody_can_match_are_refused_with_their_line(tmp_path):
    rows = [(f"question {n}", v) for n, v in enumerate(["1", "2.5", "3,5", "nan", "-$4", "five"])]
    path = written(tmp_path, "n.csv", table_of(rows=rows))
    with pytest.raises(LabError, match="3 bad rows: line 4: the target can't be scored.*line 5.*line 7"):
        import_task(path, name="t", scorer="number")
    comma = written(tmp_path, "c.csv", table_of(rows=[(f"question {n}", f"{n},5") for n in range(6)]))
    assert import_task(comma, name="t", scorer="number", decimal=",").task.settings["decimal"] == ","


def test_documents_that_are_not_read_are_counted_by_kind(tmp_path):
    docs = tmp_path / "docs"
    (docs / ".git").mkdir(parents=True)
    for name in ("a.md", "b.txt", "c.png", "d.pptx", "e.png", ".hidden.md", ".git/x.md", "noending"):
        (docs / name).write_text("Some text.")
    (docs / "blank.txt").write_text(" \n")
    found = import_task(written(tmp_path, "t.csv", table_of()), name="t", documents=docs)
    assert [d.id for d in found.task.documents] == ["a.md", "b.txt"]
    assert found.notes == [
        "documents left out: 2 .png, 1 .pptx, 1 no ending, 1 without a text (scanned pages have none) "
        "(.md, .txt, .html, .htm, .pdf, .docx are read)"
    ]


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.csv", b"", "the file is empty"),
        ("a.csv", b"\n \n", "the file is empty"),
        ("a.csv", b"text,label\n", "has no rows"),
        ("a.json", b"[]", "has no rows"),
        ("a.json", b'[{"a": 1}, {"a": ]', "line 1: broken JSON"),
        ("a.json", b"[" * 100_000, "broken JSON"),
        ("a.json", b'[{"a": 1},\n{"a": 2}', "line 2: broken JSON .a comma or the end of the array is missing"),
        ("a.json", b'[{"a": 1} {"a": 2}]', "a comma or the end"),
        ("a.json", b'[{"a": NaN}]', "NaN is not JSON"),
        ("a.json", b'[{"a": 1, "a": 2}]', "the key .a. stands twice in one object"),
        ("a.json", b'[{"a": 1}] more', "behind the array stands 'more'"),
        ("a.jsonl", b'{"a": NaN}\n', "line 1: broken JSON .NaN is not JSON"),
        ("a.jsonl", b"[1]\n", "line 1: a JSON object is needed, not list"),
        ("a.parquet", b"PAR1 no", "can't be read as parquet"),
        ("a.csv.gz", b"text,label", "can't be read"),
        ("a.xlsx", b"PK", "is needed .* not .xlsx"),
        ("a", b"text", "a file without ending"),
        ("b.csv", b"\x00\x01\x02\xff\x00", "not text"),
    ],
)
def test_what_is_no_table_is_one_line(tmp_path, name, content, says):
    with pytest.raises(LabError, match=says) as error:
        import_task(written(tmp_path, name, content), name="t")
    assert "\n" not in str(error.value) and str(tmp_path) in str(error.value)


CELLS = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=20).filter(lambda t: t.strip())


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(CELLS, CELLS), min_size=1, max_size=8), st.sampled_from(",;|\t"), st.booleans())
def test_whatever_was_written_arrives(tmp_path, rows, separator, by_name):
    """As a writer of CSV sets it, by a separator that is said; and as JSON lines."""
    wanted = [(a.strip(), b.strip()) for a, b in rows]
    path = written(tmp_path, "w.csv", table_of(separator, rows=rows))
    assert pairs(read_table(path, "utf-8", "tab" if by_name and separator == "\t" else separator)) == wanted
    lines = written(tmp_path, "w.jsonl", "\n".join(json.dumps({"text": a, "label": b}) for a, b in rows))
    assert pairs(read_table(lines)) == wanted
