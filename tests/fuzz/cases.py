"""Bad inputs of every command, as tables: damaged files, wrong fields, values that no option can take.

``all_cases()`` gives a few hundred ``Case``s: what is damaged, how, and the command line that meets it. A new kind of
file, field or option joins its table; options join by themselves, from the command's own declaration.
"""

from __future__ import annotations

import gzip
import inspect
import itertools
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_type_hints

import typer

from lab.cli import app

DEEP = "[" * 100_000 + "]" * 100_000
HUGE = "9" * 5000


@dataclass(frozen=True)
class Case:
    """One bad input: in a fresh folder with good files, ``spoil`` damages one, and the command meets it."""

    name: str
    command: tuple[str, ...]
    spoil: Callable[[Path], None] = lambda folder: None


def _bytes(path: str, change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        (found,) = folder.glob(path)
        found.write_bytes(change(found.read_bytes()))

    return spoil


CONTENTS: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda b: b"",
    "cut": lambda b: b[: len(b) // 2],
    "binary": lambda b: bytes(range(256)) * 4,
    "broken": lambda b: b"{oops" + b,
    "a list": lambda b: b"[1, 2]\n",
    "a number": lambda b: b"5\n",
    "null": lambda b: b"null\n",
    "deep": lambda b: DEEP.encode(),
    "utf-16": lambda b: b.decode("utf-8", "replace").encode("utf-16"),
    "half a character": lambda b: b + b'{"\\ud800": "\\ud800"}\n',
    "a huge number": lambda b: HUGE.encode(),
    "gzipped": gzip.compress,
}
"""What can become of a file as a whole."""

FIELDS: dict[str, Any] = {
    "gone": None,
    "null": None,
    "a number": 5,
    "a text": "x",
    "empty": "",
    "a list": [1],
    "an object": {"x": 1},
    "not a number": float("nan"),
    "endless": float("inf"),
    "negative": -1,
    "beyond floats": 10**400,
    "half a character": "\ud800",
    "a zero byte": "a\0b",
    "a way out": "../../elsewhere",
    "markup": "[bold]</script><b>",
}
"""What can become of one field of a JSON object."""


def _field(path: str, where: tuple[str | int, ...], how: str, line: int | None = None) -> Callable[[Path], None]:
    """Spoil one field of a JSON file, or of one line of a JSONL file."""

    def change(content: bytes) -> bytes:
        lines = content.decode().splitlines() if line is not None else [content.decode()]
        number = line or 0
        read = json.loads(lines[number])
        inside = read
        for key in where[:-1]:
            inside = inside[key]
        if how == "gone":
            del inside[where[-1]]
        else:
            inside[where[-1]] = FIELDS[how]
        lines[number] = json.dumps(read)
        return "\n".join(lines).encode()

    return _bytes(path, change)


QUICK = ("--methods", "zero_shot", "--seeds", "1", "--no-forgetting", "--full-grid", "--model", "tiny")
DECIDE = ("decide", "task", *QUICK)
TRAINING = ("decide", "task", "--methods", "lora", "--seeds", "1", "--sizes", "24", "--plan-only", "--model", "tiny")
REPORT = ("report", "report")
FILES: dict[str, tuple[tuple[str, ...], ...]] = {
    "task/train.jsonl": (("check", "task"), DECIDE),
    "task/documents.jsonl": (("check", "task"),),
    "task/task.toml": (("check", "task"), DECIDE),
    "rows.csv": (("import", "rows.csv", "--out", "new"),),
    "rows.jsonl": (("import", "rows.jsonl", "--out", "new"),),
    "rows.json": (("import", "rows.json", "--out", "new"),),
    "rows.parquet": (("import", "rows.parquet", "--out", "new"),),
    "documents/a.md": (("import", "rows.csv", "--documents", "documents", "--out", "new"),),
    "suite.jsonl": (("import-probe", "hellaswag", "suite.jsonl", "--out", "new"),),
    "report/study.json": (REPORT, ("keep", "report", "--out", "new")),
    "report/decision.json": (("share", "site", "report"), ("keep", "report", "--out", "new")),
    "prices.toml": (("report", "report", "--prices", "prices.toml", "--price", "mine"), ("prices", "prices.toml")),
    "general.txt": ((*TRAINING, "--general-text", "general.txt"),),
    "probe/test.jsonl": ((*TRAINING, "--probes", "probe"),),
    "probe/task.toml": ((*TRAINING, "--probes", "probe"),),
    "tiny/config.json": (DECIDE, ("memory", "--model", "tiny")),
    "tiny/tokenizer.json": (DECIDE, ("check", "task", "--model", "tiny")),
    "tiny/tokenizer_config.json": (DECIDE,),
    "tiny/model.safetensors": (DECIDE,),
    "tiny/generation_config.json": (DECIDE,),
    "home/results/*/record.json": (("runs",), ("prune", "--damaged")),
}
"""Files that people hand over, and the commands that read them."""


def damaged_files() -> Iterator[Case]:
    """Every file that is read, damaged as a whole in every way."""
    for path, commands in FILES.items():
        where = path.replace("results/*", "results/choice/*")
        for command in commands:
            for way, change in CONTENTS.items():
                yield Case(f"{path} {way}: lab {command[0]}", command, _bytes(where, change))


PLACES: dict[str, tuple[tuple[str, ...], int | None, tuple[tuple[str | int, ...], ...]]] = {
    "task/test.jsonl": (("check", "task"), 1, (("id",), ("input",), ("target",), ("group",), ("evidence",))),
    "task/documents.jsonl": (("check", "task"), 1, (("id",), ("text",))),
    "rows.jsonl": (("import", "rows.jsonl", "--out", "new"), 2, (("id",), ("input",), ("target",))),
    "report/study.json": (
        REPORT,
        None,
        (
            *(("task",), ("task", "name"), ("model",), ("model", "name"), ("made",), ("settings",), ("items",)),
            *(("settings", "seeds"), ("choices",), ("cells",), ("cells", 0, "method"), ("cells", 0, "outcomes")),
            *(("cells", 0, "usage"), ("cells", 0, "usage", "seconds"), ("cells", 0, "seed"), ("plan",)),
        ),
    ),
    "report/decision.json": (("share", "site", "report"), None, (("sentence",), ("settings",), ("arms",))),
    "tiny/config.json": (
        DECIDE,
        None,
        (
            *(("model_type",), ("num_hidden_layers",), ("hidden_size",), ("num_attention_heads",), ("vocab_size",)),
            *(("max_position_embeddings",), ("eos_token_id",), ("tie_word_embeddings",), ("architectures",)),
        ),
    ),
    "tiny/tokenizer_config.json": (DECIDE, None, (("eos_token",), ("tokenizer_class",), ("model_max_length",))),
    "home/results/choice/*/record.json": (("runs",), None, (("what",), ("made",), ("result",), ("made", "date"))),
}
"""Fields of files, one line of a JSONL file or a place in a JSON file."""


def wrong_fields() -> Iterator[Case]:
    """Every named field of every file, wrong in every way."""
    for path, (command, line, places) in PLACES.items():
        for where in places:
            for how in FIELDS:
                spoil = _field(path, where, how, line)
                yield Case(f"{path} {'.'.join(map(str, where))} {how}: lab {command[0]}", command, spoil)


TOML = {
    "name": ("5", "[]", '""', '"../../elsewhere"', '"a\\u0000b"', "1979-05-27", "nan"),
    "scorer": ("5", '""', '"nonsense"', '"..:x"', '"a:b:c"', '"mine:missing"', '"mine:number"', '"broken:score"'),
    "instruction": ("5", "[]", "{}", '""'),
    "licence": ("1979-05-27", "[1979-05-27]", "inf"),
    "record": ("5", '"("', '"(a+)+$"', '"(?P<x>"'),
    "decimal": ("5", '"x"'),
    "extract": ("5", '"nonsense"'),
    "unknown": ("5", "{a = {b = {}}}", "07:32:00"),
}
"""Values of task.toml's fields; they stand in place of the field's own."""
SCORERS = {
    "raises": "def score(prediction, target):\n    raise ValueError('mine\\nand more')\n",
    "returns nonsense": "def score(prediction, target):\n    return 3.5\n",
    "takes nothing": "def score():\n    return True\n",
    "fails at import": "1 / 0\n",
    "is no Python": "def (\n",
    "leaves": "def score(prediction, target):\n    raise SystemExit(3)\n",
    "is no function": "score = 5\n",
}
TEMPLATES = {
    "breaks": "{{ oops",
    "runs code": "{{ ''.__class__.__mro__ }}",
    "never ends": "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
    "is far too wide": "{% for a in range(999999999) %}x{% endfor %}",
    "raises": "{{ raise_exception('not you') }}",
    "divides by zero": "{{ 1 / 0 }}",
    "says nothing": "{% set x = 1 %}",
    "leaves the message out": "Hello {{ messages[0]['role'] }}",
    "is a number": 5,
    "is a list": ["x"],
}


def settings_of_tasks() -> Iterator[Case]:
    """task.toml's fields, a task's own scorer, a model's chat template."""
    for name, values in TOML.items():
        for value in values:

            def spoil(folder: Path, name=name, value=value) -> None:
                path = folder / "task" / "task.toml"
                kept = [x for x in path.read_text().splitlines() if not x.startswith(f"{name} ")]
                path.write_text("\n".join([f"{name} = {value}", *kept]) + "\n")

            yield Case(f"task.toml {name} = {value}: lab check", ("check", "task"), spoil)
            allowed = (*DECIDE, "--allow-scorer-code")
            yield Case(f"task.toml {name} = {value}: lab decide", allowed, spoil)
    for name, code in SCORERS.items():

        def scorer(folder: Path, code=code) -> None:
            path = folder / "task" / "task.toml"
            path.write_text(path.read_text().replace('scorer = "exact"', 'scorer = "mine:score"'))
            (folder / "task" / "mine.py").write_text(code)
            (folder / "mine.py").write_text(code)

        yield Case(f"a scorer that {name}: lab decide", (*DECIDE, "--allow-scorer-code"), scorer)
    for name, template in TEMPLATES.items():

        def chat(folder: Path, template=template) -> None:
            path = folder / "tiny" / "tokenizer_config.json"
            path.write_text(json.dumps(json.loads(path.read_text()) | {"chat_template": template}))
            (folder / "tiny" / "chat_template.jinja").unlink(missing_ok=True)

        yield Case(f"a chat template that {name}: lab decide", DECIDE, chat)


GOOD: dict[str, tuple[str, ...]] = {
    "init": ("rows.csv", "--out", "new"),
    "view": ("report", "--no-browser"),
    "get": ("nothing",),
    "decide": ("task", *QUICK, "--plan-only"),
    "check": ("task", "--model", "tiny"),
    "import": ("rows.csv", "--out", "new"),
    "import-probe": ("hellaswag", "suite.jsonl", "--out", "new"),
    "report": ("report",),
    "share": ("site", "report"),
    "sweep": ("task",),
    "why": (),
    "memory": ("--model", "tiny"),
    "predict": ("report", "rows.csv", "--input", "input", "--arm", "zero_shot", "--out", "answers.jsonl"),
    "export": ("report", "--out", "taken", "--arm", "zero_shot"),
    "prices": (),
    "runs": (),
    "keep": ("report", "--out", "new"),
    "prune": ("--damaged",),
    "generate": ("--out", "new", "--train", "20", "--validation", "10", "--test", "10"),
    "card": ("--model", "nowhere"),
    "embedder-card": ("nowhere",),
    "train-embedder": ("--text", "nowhere", "--out", "new"),
    "pretrain": ("--work", "new", "--text", "nowhere"),
}
"""A command line of each command that would do; ``open`` and ``serve`` go on until they are stopped."""
VALUES = {
    "empty": "",
    "a word": "nonsense",
    "negative": "-1",
    "zero": "0",
    "nan": "nan",
    "inf": "inf",
    "huge": "1" + "0" * 400,
    "large": "1000000000",
    "a fraction": "0.5",
    "half a character": "\udcff",
    "markup": "[/bold]",
    "a list": "1,x,,2",
    "a file": "rows.csv",
    "a folder": "documents",
    "a line break": "a\nb",
}
"""What can stand where an option's value stands."""
NUMBERS = ("negative", "zero", "nan", "large")
"""Of these, what every option that is a number meets."""


def wrong_options() -> Iterator[Case]:
    """Every option and argument of every command, each with a third of the values, by turns, and numbers with more."""
    turns = itertools.cycle(range(3))
    for name, good in GOOD.items():
        command = typer.main.get_command(app).commands[name]
        types = get_type_hints(inspect.unwrap(command.callback))
        for parameter in command.params:
            if getattr(parameter, "is_flag", False):
                continue
            met = list(VALUES)[next(turns) :: 3]
            if types.get(parameter.name) in (int, float, float | None):
                met = dict.fromkeys([*met, *NUMBERS])
            for how in met:
                value = VALUES[how]
                if parameter.param_type_name == "argument":
                    given = (name, value, *good[1:]) if good else (name, value)
                else:
                    given = (name, *good, max(parameter.opts, key=len), value)
                yield Case(f"lab {name} {parameter.name} {how}", given)


def all_cases() -> list[Case]:
    """All of them."""
    return [*damaged_files(), *wrong_fields(), *settings_of_tasks(), *wrong_options()]
