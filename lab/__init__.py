"""The decision lab: matched experiments between prompting, retrieval and fine-tuning.

One command shows it all: ``lab decide datasets/triage --methods zero_shot,few_shot,rag,lora``. From Python the names
of ``lab.api`` are the package's own, loaded when they are asked for: ``lab.decide(...)``, ``lab.load_study(...)``.
"""

import importlib
import logging
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lab.api import *  # noqa: F403

__version__ = "0.1.0"

# Threads of torch that wait for each other by spinning hold their cores: beside one other busy process two threads took
# five times as long as one. Read when torch is first loaded; whoever set a policy keeps it.
if "OMP_WAIT_POLICY" not in os.environ:
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")

# bitsandbytes, which peft loads wherever it is installed, warns of a kernel that it would fetch from the Hub.
logging.getLogger("bitsandbytes").setLevel(logging.ERROR)

API = (
    "Decision",
    "LabError",
    "Settings",
    "Study",
    "Task",
    "answer",
    "check",
    "cost_chart",
    "decide",
    "load_study",
    "load_task",
    "quality_chart",
    "size_chart",
    "verdict",
    "write_report",
)
"""Names that ``lab.api`` defines."""


def __getattr__(name: str) -> Any:
    if name in API:
        return getattr(importlib.import_module("lab.api"), name)
    raise AttributeError(f"module 'lab' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *API})
