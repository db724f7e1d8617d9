"""The same flow on a GPU, where there is one."""

from __future__ import annotations

import pytest
import torch

from lab.context.base import Tools
from lab.flow.bench import Bench
from lab.flow.plan import expand
from lab.flow.runner import Runner
from lab.models.device import machine
from lab.models.loading import load_model
from lab.store import Store
from tests.conftest import make_task

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device on this machine"),
]


def test_the_flow_runs_in_bf16_on_cuda(tmp_path):
    here = machine("cuda")
    assert here.dtype == "bfloat16"
    model = load_model("nano", here)
    task, store = make_task(120), Store(tmp_path, committed=None)
    plan = expand(["zero_shot", "few_shot", "rag", "lora", "rag_lora", "full"], [4], [60], 2, task)
    study = Runner(Bench(task, model, store, Tools(cache=store.cache))).run(plan)
    assert {c.method for c in study.cells} >= {"zero_shot", "rag", "lora", "full"}
    assert all(len(c.outcomes) == len(task.test) for c in study.cells)
    assert next(c for c in study.cells if c.method == "rag_lora" and c.control == "oracle").accuracy > 0.5
