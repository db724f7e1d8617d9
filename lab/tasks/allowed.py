"""What a task's answers may be, for constrained decoding and for choosing: as JSON, so that it stands in the key.

``allowed_answers(task)`` is ``{"labels": [...]}``, ``{"schema": {...}}`` or ``{"pattern": "..."}``.
"""

from __future__ import annotations

import json
from typing import Any

from lab.schema import LabError
from lab.tasks.check import is_classification
from lab.tasks.task import Task

TYPES = {str: "string", bool: "boolean", int: "integer", float: "number", type(None): "null", list: "array"}


def allowed_answers(task: Task) -> dict[str, Any]:
    """The closed set of labels, the JSON schema (``schema`` in task.toml, else what the labelled targets have in
    common) or the record pattern; raises LabError for answers that are free text."""
    if task.scorer == "record":
        return {"pattern": task.settings["record"]}
    if task.scorer == "json":
        return {"schema": _own_schema(task) or schema_of([json.loads(s.target) for s in task.labelled])}
    if is_classification(task):
        return {"labels": list(task.labels)}
    raise LabError(
        f"{task.name}: its answers (scorer {task.scorer}) are free text, nothing constrains them; constrained decoding "
        "is for closed label sets, JSON and records"
    )


def _own_schema(task: Task) -> dict[str, Any] | None:
    text = task.settings.get("schema")
    if text is None:
        return None
    try:
        return text if isinstance(text, dict) else json.loads(text)
    except ValueError as error:
        raise LabError(f"{task.folder}/task.toml: schema is no JSON: {error}") from None


def schema_of(values: list[Any]) -> dict[str, Any]:
    """A JSON schema that all values meet: types, and of objects their fields, required where each value has them."""
    if all(isinstance(v, dict) for v in values):
        names = list(dict.fromkeys(name for v in values for name in v))
        fields = {n: schema_of([v[n] for v in values if n in v]) for n in names}
        required = [n for n in names if all(n in v for v in values)]
        return {"type": "object", "properties": fields, "required": required, "additionalProperties": False}
    kinds = {"object" if isinstance(v, dict) else TYPES[type(v)] for v in values}
    if kinds == {"integer", "number"}:
        return {"type": "number"}
    schema: dict[str, Any] = {"type": sorted(kinds)[0] if len(kinds) == 1 else sorted(kinds)}
    if kinds == {"array"}:
        schema["items"] = schema_of([i for v in values for i in v]) if any(values) else {}
    return schema
