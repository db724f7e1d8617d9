"""A user's own scorer, ``module:function`` in ``task.toml``: their code, whose mistakes are told as theirs.

``function(sample, completion)`` gives a ``lab.schema.Score``, as the lab's own do.
"""

from __future__ import annotations

import importlib
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

from lab.schema import OUTCOMES, Completion, LabError, Sample, Score, first_line


def own_scorer(name: str, folder: str) -> Callable[[Sample, Completion], Score]:
    """The function that a name stands for, looked for in the task's folder first.

    Raises LabError where it can't be had; the scorer itself raises LabError naming the item where it fails or gives no
    Score.
    """
    module, _, function = name.partition(":")
    if not all(part.isidentifier() for part in [*module.split("."), function]):
        raise LabError(f"scorer {name}: module:function is needed, such as mine:score for score in mine.py")
    sys.path[:0] = [p for p in (folder, ".") if p not in sys.path]
    try:
        score = getattr(importlib.import_module(module), function)
    except (Exception, SystemExit) as error:
        raise LabError(f"scorer {name}: {_said(error)}") from None
    if not callable(score):
        raise LabError(f"scorer {name}: it is no function but {type(score).__name__}")

    def told(sample: Sample, completion: Completion) -> Score:
        try:
            result = score(sample, completion)
        except (Exception, SystemExit) as error:
            raise LabError(f"scorer {name} on item {sample.id}: {_said(error)}") from None
        if not (isinstance(result, Score) and result.outcome in OUTCOMES):
            raise LabError(
                f"scorer {name} on item {sample.id}: it gave {str(result)[:60]!r}, and a lab.schema.Score with one of "
                f"{', '.join(OUTCOMES)} is needed"
            )
        return result

    return told


def _said(error: BaseException) -> str:
    """An error of the user's code: its kind, first words and line."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    inside = f" ({Path(last.filename).name}, line {last.lineno})" if last.name != "import_module" else ""
    words = first_line(error)
    return (words if words == type(error).__name__ else f"{type(error).__name__}: {words}") + inside
