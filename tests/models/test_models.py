"""Generation against plain ``generate``, cutting by the stated rule, and what is refused."""

from __future__ import annotations

import shutil

import pytest
import torch

from lab.files import folder_revision
from lab.models.device import DEVICES, machine
from lab.models.folders import BUNDLED
from lab.models.generation import generate
from lab.models.loading import load_model
from lab.models.prefix import common_prefix
from lab.models.prompts import render
from lab.schema import Decoding, Example, LabError, Passage, Prompt, Wording

EXAMPLES = tuple(Example(f"e{i}", f"the lamp number {i} is red", f"<lamp {i}>") for i in range(5))
PROMPTS = [
    Prompt("Follow the examples.", text, EXAMPLES)
    for text in (
        "the lamp number 7 is red",
        "the dog of Ida Skel sleeps",
        "a",
        "the green boat was seen by Tom Orvik near Marsham on Friday",
    )
]


def plain(model, prompt, tokens):
    ids = torch.tensor([model.tokenizer(model.render(prompt))["input_ids"]])
    made = model.network.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=tokens, do_sample=False)
    return model.tokenizer.decode(made[0, ids.shape[1] :], skip_special_tokens=True)


def test_rendering_by_hand():
    prompt = Prompt(
        "Say it.",
        "q",
        (Example("b", "best", "B"), Example("o", "other", "O")),
        (Passage("p", "d", "text"),),
        Wording("Question", "Answer", "Note"),
    )
    assert (
        render(prompt)
        == "Say it.\n\nNote: text\n\nQuestion: other\nAnswer: O\n\nQuestion: best\nAnswer: B\n\nQuestion: q\nAnswer:"
    )
    assert render(Prompt("", "q")) == "Input: q\nOutput:"


@pytest.mark.parametrize(
    "prompts", [PROMPTS, [Prompt("", p.input) for p in PROMPTS], PROMPTS[:1]], ids=["shared", "no prefix", "one"]
)
def test_cached_generation_equals_plain_generate(nano, prompts):
    completions = nano.complete([(str(i), p) for i, p in enumerate(prompts)], Decoding(16, ""))
    for prompt, completion in zip(prompts, completions):
        assert completion.text == plain(nano, prompt, 16).strip()
    assert (completions[0].usage.cached_tokens > 50) == (len(prompts) > 1 and bool(prompts[0].examples))


def test_batches_change_nothing(nano):
    encoded = [nano.encode(p, 16).tokens for p in PROMPTS]
    whole = generate(nano.network, nano.tokenizer, encoded, Decoding(12, "\n"))
    small = generate(nano.network, nano.tokenizer, encoded, Decoding(12, "\n"), cache_bytes=1)
    assert [g.text for g in whole] == [g.text for g in small]


def test_stop_text_ends_and_the_limit_is_told(nano):
    full = plain(nano, PROMPTS[0], 24)
    ended = nano.complete([("a", PROMPTS[0])], Decoding(24, "\n"))[0]
    assert ended.text == full.strip().split("\n")[0].strip() and ended.finished
    short = nano.complete([("a", PROMPTS[0])], Decoding(1, "\n"))[0]
    assert short.usage.completion_tokens == 1 and not short.finished


def test_common_prefix_leaves_each_prompt_a_token():
    assert common_prefix([[1, 2, 3], [1, 2, 3]]) == 2
    assert common_prefix([[1, 2, 3], [1, 4]]) == 1
    assert common_prefix([[1], [1, 2]]) == 0


def test_a_prompt_is_encoded_like_the_corpus(nano):
    """Pretraining encodes the parts of a document one by one; a whole prompt must have the same tokens."""
    parts = ["Follow the examples.\n\n", "Input: a 12\nOutput:", " b\n\n", "Input: c\nOutput:"]
    one_by_one = [t for p in parts for t in nano.tokenizer(p, add_special_tokens=False)["input_ids"]]
    assert nano.tokenizer("".join(parts), add_special_tokens=False)["input_ids"] == one_by_one


def test_cutting_takes_whole_passages_then_whole_examples_last_first(tiny):
    passages = tuple(Passage(f"p{i}", "d", "word " * 90) for i in range(4))
    examples = tuple(Example(f"e{i}", "word " * 50, "y") for i in range(8))
    cut = tiny.encode(Prompt("x", "question", (), passages), 16)
    assert [p.id for p in cut.prompt.passages] == [
        f"p{i}" for i in range(4 - cut.cut_passages)
    ] and cut.cut_passages > 0
    assert len(cut.tokens) + 16 <= tiny.window
    cut = tiny.encode(Prompt("x", "question", examples), 16)
    assert [e.id for e in cut.prompt.examples] == [
        f"e{i}" for i in range(8 - cut.cut_examples)
    ] and cut.cut_examples > 0
    too_long = tiny.complete([("a", Prompt("x", "word " * 400)), ("b", Prompt("x", "fine"))], Decoding(4))
    assert "the window of tiny is 256" in too_long[0].error and too_long[1].error == ""


def test_text_likelihood_by_hand(tiny):
    ((nats, tokens, _),) = tiny.text_nll(["The mayor of Quenford"])
    ids = torch.tensor([tiny.tokenizer("The mayor of Quenford")["input_ids"]])
    with torch.no_grad():
        expected = tiny.network(ids, labels=ids).loss.item() * (ids.shape[1] - 1)
    assert tokens == ids.shape[1] - 1 and nats == pytest.approx(expected, rel=1e-4)


def test_folders_that_cannot_be_loaded_say_why(tmp_path, here):
    folder = tmp_path / "m"
    shutil.copytree(BUNDLED / "nano", folder)
    (folder / "model.safetensors").unlink()
    with pytest.raises(LabError, match="no .safetensors weights"):
        load_model(str(folder), here)
    (folder / "pytorch_model.bin").write_bytes(b"pickle")
    with pytest.raises(LabError, match="only pickle weights"):
        load_model(str(folder), here)
    (folder / "tokenizer.json").unlink()
    with pytest.raises(LabError, match="no tokenizer"):
        load_model(str(folder), here)
    (folder / "config.json").unlink()
    with pytest.raises(LabError, match="no config.json"):
        load_model(str(folder), here)
    with pytest.raises(LabError, match="there are nano"):
        load_model("nanoo", here)


def test_revision_follows_weights_not_names(tmp_path):
    shutil.copytree(BUNDLED / "nano", tmp_path / "copy")
    assert folder_revision(tmp_path / "copy") == folder_revision(BUNDLED / "nano")
    weights = tmp_path / "copy" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-2] + b"\0\1")
    assert folder_revision(tmp_path / "copy") != folder_revision(BUNDLED / "nano")


def test_a_chat_template_is_used(nano, tmp_path):
    from lab.models.local import LocalModel

    tokenizer = type(nano.tokenizer).from_pretrained(BUNDLED / "nano")
    tokenizer.chat_template = "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}<assistant>"
    model = LocalModel("chat", nano.network, tokenizer, nano.machine, "r")
    assert model.render(Prompt("Say.", "x")) == "<system>Say.<user>x<assistant>"
    assert model.render(Prompt("Say.", "x", layout="block")) == "<user>Say.\n\nInput: x\nOutput:<assistant>"
    assert model.encode_target("y")[-1] == tokenizer.eos_token_id


def test_devices_are_probed_not_assumed():
    found = machine("cpu")
    assert found.dtype in ("float32", "bfloat16") and found.threads == torch.get_num_threads()
    with pytest.raises(LabError, match=", ".join(DEVICES)):
        machine("tpu")
    if not torch.cuda.is_available():
        with pytest.raises(LabError, match="none that torch can use"):
            machine("cuda")
