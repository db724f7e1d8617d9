"""An arm as files that work without the lab: weights in their libraries' layouts, prompts, index, script and card.

``export(ready, study, arm, decision, Path("winner"))`` writes the folder whole; its parts by what the arm is:
``adapter/`` or ``model/``, ``arm.json`` (prompts with places for what differs), ``texts.jsonl`` and the indexes, and
``answer.py``.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from lab import __version__
from lab.context.retrieval.search import FUSION_CONSTANT, FUSION_DEPTH, RUN
from lab.decision import Decision
from lab.files import whole_folder, write_json, write_jsonl
from lab.flow.arm import Ready
from lab.live.llamacpp import write_gguf
from lab.measure.arms import Arm
from lab.measure.estimand import Live, live_of
from lab.measure.forgetting import forgotten
from lab.measure.words import points
from lab.models.folders import BUNDLED, folder_of
from lab.models.getting import catalogue
from lab.models.prompts import render
from lab.report.rendering import template
from lab.schema import Example, LabError, Passage, Prompt
from lab.study import Study

PLACE = "⟦{}⟧"
"""Where an input, a passage or an example is put; ``answer.py`` fills all places at once."""


def export(
    ready: Ready, study: Study, arm: Arm, decision: Decision, out: Path, merged: bool = False, gguf: str = ""
) -> list[str]:
    """Write the arm into the folder ``out``, which must not be there; the names of its parts.

    ``merged``: an adapter's weights within the base's, as one model; ``gguf``: that model in llama.cpp's format as
    well, in this number format. Raises LabError for an arm without a language model, whose training takes seconds
    wherever it is wanted.
    """
    if ready.is_baseline:
        raise LabError(
            f"{arm.label}: is no language model; lab predict answers with it, and scikit-learn makes it anew"
        )
    if out.exists():
        raise LabError(f"--out {out}: is there already; name a new folder")
    with whole_folder(out) as folder:
        parts = dict(_weights(ready, folder, "--gguf" if gguf else "--merged" if merged else ""))
        parts |= dict(_gguf(ready, folder, gguf)) if gguf else {}
        told = _no_script(ready)
        parts |= dict(_prompts(ready, folder)) if not told else {}
        packages = " ".join(_packages(ready, folder))
        if not told:
            script = template("lab.live", "answer.py.txt").render(packages=packages, virtual=_virtual(ready))
            (folder / "answer.py").write_text(script, encoding="utf-8")
            parts["answer.py"] = "answers inputs with all of this, without the lab"
        card = _card(ready, study, arm, decision, out.name, list(parts.items()), packages, told)
        (folder / "README.md").write_text(card, encoding="utf-8")
    return [*parts, "README.md"]


# Weights


def _weights(ready: Ready, folder: Path, merged: str) -> Iterator[tuple[str, str]]:
    """Write what was trained, and say what it is; nothing for frozen weights. ``merged`` names the option that asks for
    one model, and is empty where an adapter is to stay one."""
    if not ready.cell.adaptation:
        return
    weights, bench = ready.spec.candidate.weights, ready.bench
    if merged and not weights.merges:
        raise LabError(f"{merged}: {weights.name} stands before every text and can't be merged; leave it out")
    model = bench.adapted(ready.spec)
    if weights.adapter and not merged:
        kept = bench.store.find("adaptation", ready.cell.adaptation).folder
        (folder / "adapter").mkdir()
        for name in ("adapter_config.json", "adapter_model.safetensors"):
            shutil.copyfile(kept / name, folder / "adapter" / name)
        config = json.loads((folder / "adapter" / "adapter_config.json").read_text(encoding="utf-8"))
        write_json(
            folder / "adapter" / "adapter_config.json", config | {"base_model_name_or_path": base_of(ready)}, indent=2
        )
        yield "adapter/", "the adapter in peft's layout, on the base below"
        return
    model.save(folder / "model")
    yield "model/", "the whole model in transformers' layout" + (", the adapter merged into it" if merged else "")


def _gguf(ready: Ready, folder: Path, kind: str) -> Iterator[tuple[str, str]]:
    """Write the model of ``model/`` once more."""
    if not (folder / "model").is_dir():
        raise LabError(f"--gguf: {ready.name} trains nothing; its model is the base, {base_of(ready)}")
    write_gguf(folder / "model", folder / "model.gguf", kind)
    yield "model.gguf", f"the same model for llama.cpp ({kind}); its answers may differ by rounding"


def _virtual(ready: Ready) -> str:
    """The name of the method whose virtual tokens stand before every text; empty where none do."""
    weights = ready.spec.candidate.weights
    return weights.name if weights.before else ""


def base_of(ready: Ready) -> str:
    """What names the base for whoever takes the arm away: its Hub id where the lab knows it, else its folder here."""
    name = ready.bench.model.name
    if name in catalogue():
        return catalogue()[name].hub
    return str((ready.bench.model.folder or folder_of(name)).resolve())


# Prompts


def _no_script(ready: Ready) -> str:
    """Why no script can answer as was measured; empty where one can."""
    if ready.bench.decoding.allowed:
        return "Answers were constrained to what the task allows, which takes the lab: `lab serve`, `lab predict`."
    if ready.spec.candidate.context.depth and ready.fitted.searcher is None:
        return "More than one search stands behind each prompt, which takes the lab: `lab serve`, `lab predict`."
    return ""


def _prompts(ready: Ready, folder: Path) -> Iterator[tuple[str, str]]:
    """Write ``arm.json`` and what its search needs."""
    context, model, decoding = ready.spec.candidate.context, ready.bench.model, ready.bench.decoding
    (prompt,) = ready.prompts([("x", PLACE.format("input"))])
    searched = ready.fitted.searcher
    what = "" if searched is None else "passage" if context.needs_documents else "example"
    arm = {
        "arm": ready.name,
        "base": base_of(ready),
        "dtype": model.precision,
        "max_tokens": decoding.max_tokens,
        "stop": decoding.stop,
        "ends": sorted(ready.bench.adapted(ready.spec).ends),
        "extraction": ready.bench.extraction,
        "prompts": {str(n): _rendered(ready, _with(prompt, what, n)) for n in range(context.k + 1 if what else 1)},
        "search": None,
    }
    if what:
        named = searched.tools.embedder_name
        arm["search"] = {
            "what": what,
            "mode": searched.mode,
            "k": context.k,
            "depth": FUSION_DEPTH,
            "fusion": FUSION_CONSTANT,
            "unspaced": RUN.pattern,
            "words": searched.lexical.pattern if searched.lexical else "",
            "embedder": catalogue()[named].hub if named in catalogue() else str(folder_of(named)),
        }
        searched.save(folder)
        write_jsonl(folder / "texts.jsonl", ready.fitted.rows_searched)
        yield "texts.jsonl", f"the {what}s that are searched ({len(searched.texts):,})"
        if searched.dense:
            yield "index.faiss", "their vectors, in FAISS"
            # A bundled one, or one that was tuned for this arm: nobody else has them.
            if (BUNDLED / named).is_dir() or named != ready.bench.tools.embedder_name:
                shutil.copytree(folder_of(named), folder / "embedder")
                yield "embedder/", "what makes a question's vector"
        if searched.lexical:
            yield "bm25/", "their words, in bm25s"
    write_json(folder / "arm.json", arm, indent=2)
    yield "arm.json", "the prompt with places for what differs, and how the answer is decoded"


def _with(prompt: Prompt, what: str, count: int) -> Prompt:
    """The prompt with places for so many passages or examples."""
    numbers = range(1, count + 1)
    if what == "passage":
        places = (Passage(f"{n}", f"{n}", PLACE.format(f"passage {n} text")) for n in numbers)
        return replace(prompt, passages=tuple(places))
    if what == "example":
        places = (
            Example(f"{n}", *(PLACE.format(f"example {n} {part}") for part in ("input", "target"))) for n in numbers
        )
        return replace(prompt, examples=tuple(places))
    return prompt


def _rendered(ready: Ready, prompt: Prompt) -> Any:
    chat = ready.bench.model.chat
    return chat.messages(prompt) if chat else render(prompt)


def _packages(ready: Ready, folder: Path) -> list[str]:
    """What the script imports."""
    found = ["torch", "transformers"]
    found += ["peft"] if (folder / "adapter").is_dir() and not _virtual(ready) else []
    found += ["faiss-cpu", "sentence-transformers"] if (folder / "index.faiss").exists() else []
    return found + (["bm25s"] if (folder / "bm25").is_dir() else [])


# Card


def _card(
    ready: Ready,
    study: Study,
    arm: Arm,
    decision: Decision,
    folder: str,
    parts: list[tuple[str, str]],
    packages: str,
    no_script: str,
) -> str:
    cell, model = ready.cell, ready.bench.model
    known = catalogue().get(model.name)
    lost = forgotten(study, arm.name, cell.size, arm.rank)
    told = "" if lost is None or lost.headline is None else _lost(lost.headline)
    settings = {k: v for k, v in cell.weights.items() if k not in ("name", "version")}
    own = arm.interval
    return template("lab.live", "arm.md").render(
        base=base_of(ready),
        base_id=known.hub if known else "",
        base_licence=known.licence if known else "",
        library="peft" if any(name == "adapter/" for name, _ in parts) else "transformers",
        weights=cell.weights["name"],
        task=_one_line(study.task["name"]),
        # JSON texts are YAML texts.
        title=json.dumps(f"{study.task['name']}-{folder}"),
        named=json.dumps(study.task["name"]),
        digest=study.task["digest"],
        items=f"{len(study.items):,}",
        live=live_of(arm) or Live(cell.seed, cell.accuracy, *own),
        seeded=arm.is_seeded,
        label=arm.label,
        sentence=_one_line(decision.sentence),
        rows=[a for a in decision.arms],
        revision=model.revision,
        dtype=model.precision,
        size=cell.size,
        scorer=study.task["scorer"],
        data_licence=study.task.get("licence", ""),
        method=cell.method,
        rank=cell.rank,
        recipe=", ".join(f"{k} {v}" for k, v in settings.items()) or "nothing is trained",
        forgotten=told,
        date=study.made["date"],
        machine=cell.machine,
        version=__version__,
        command=_one_line(study.settings.get("command", "")).replace("`", "'"),
        parts=parts,
        script=not no_script,
        no_script=no_script,
        packages=packages,
    )


def _lost(drop: Any) -> str:
    between = f"{points(drop.low)} to {points(drop.high)}"
    return f"{points(drop.drop)} of what the base could do (95 % interval {between}), over all probes"


def _one_line(text: str) -> str:
    return re.sub(r"\s+", " ", text)
