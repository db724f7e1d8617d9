"""Chat models: instruction and examples as turns, one way of writing them for training and inference."""

from __future__ import annotations

import json
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from lab.models.chat import Chat
from lab.models.folders import BUNDLED
from lab.models.generation import generate
from lab.models.loading import load_model
from lab.models.local import LocalModel
from lab.schema import Decoding, Example, LabError, Passage, Prompt
from tests.models.templates import TEMPLATES, WITH_SYSTEM

HANDBOOK = Path(__file__).parents[2] / "datasets" / "handbook"
SHOTS = (Example("a", "Paris?", "France"), Example("b", "Rome?", "Italy"))
PROMPT = Prompt("Name the country.", "Oslo?", SHOTS, (Passage("d-1", "d", "Oslo is in Norway."),))


@pytest.fixture(params=TEMPLATES)
def family(request, nano):
    """A tokenizer that speaks as one of the families does: (name, model, token that ends an answer)."""
    template, special, end = TEMPLATES[request.param]
    tokenizer = type(nano.tokenizer).from_pretrained(BUNDLED / "nano")
    tokenizer.add_special_tokens({"additional_special_tokens": special})
    tokenizer.chat_template = template
    model = LocalModel(request.param, nano.network, tokenizer, nano.machine, "r")
    return request.param, model, tokenizer.convert_tokens_to_ids(end)


def test_instruction_examples_and_input_are_turns(family):
    name, model, _ = family
    roles = [(m["role"], m["content"]) for m in model.chat.messages(PROMPT)]
    # The best example stands next to the input, passages stand in the message that they explain.
    turns = [
        ("user", "Rome?"),
        ("assistant", "Italy"),
        ("user", "Paris?"),
        ("assistant", "France"),
        ("user", "Passage: Oslo is in Norway.\n\nOslo?"),
    ]
    if name in WITH_SYSTEM:
        assert roles == [("system", "Name the country."), *turns]
    else:
        assert roles == [("user", "Name the country.\n\nRome?"), *turns[1:]], "not lost, not refused"
    text = model.render(PROMPT)
    assert [text.count(part) for part in ("Name the country.", "Italy", "Oslo?")] == [1, 1, 1]
    assert text.index("Italy") < text.index("France") < text.index("Oslo is in Norway.") < text.index("Oslo?")


def test_an_example_looks_as_the_question_does(family):
    """Answered from passages of its own; where the prompt's were cut, so are the examples'."""
    _, model, _ = family
    read = replace(SHOTS[0], passages=(Passage("d-2", "d", "Paris is in France."),))
    asked = [m["content"] for m in model.chat.messages(replace(PROMPT, examples=(read,))) if m["role"] == "user"]
    assert asked[0].endswith("Passage: Paris is in France.\n\nParis?") and asked[-1].endswith("Norway.\n\nOslo?")
    without = model.chat.messages(replace(PROMPT, examples=(read,), passages=()))
    assert not any("France." in m["content"] for m in without)


def test_one_block_is_one_message(family):
    _, model, _ = family
    (message,) = model.chat.messages(Prompt("Say.", "x", SHOTS, layout="block"))
    assert message["role"] == "user" and message["content"].startswith("Say.\n\nInput: Rome?\nOutput: Italy\n\n")


def test_training_sees_what_generation_begins_with_and_what_the_template_would_write(family):
    name, model, end = family
    asked = model.prompt_ids(PROMPT)
    # The oracle is the template itself, rendering the finished conversation.
    done = [*model.chat.messages(PROMPT), {"role": "assistant", "content": "Norway"}]
    whole = model.tokenizer.apply_chat_template(done, tokenize=True, return_dict=False)
    trained = asked + model.encode_target("Norway")
    assert trained == whole[: len(trained)]
    assert whole[len(trained) :] in ([], model.tokenizer("\n", add_special_tokens=False)["input_ids"])
    assert trained[-1] == end and model.turn_ends == {end}


def test_the_end_of_a_turn_ends_an_answer(nano):
    """Not only the tokenizer's own end token, which Llama and Gemma don't write after an answer."""
    prompt = nano.prompt_ids(Prompt("Say.", "Where is Oslo?"))
    decoding = Decoding(max_tokens=12)
    free = generate(nano.network, nano.tokenizer, [prompt], decoding)[0]
    first = int(nano.network(torch.tensor([prompt])).logits[0, -1].argmax())
    stopped = generate(nano.network, nano.tokenizer, [prompt], decoding, more_ends={first})[0]
    assert free.text and free.tokens > 1 and stopped.finished and not stopped.text and stopped.tokens == 0


def test_text_that_looks_like_a_special_token_stays_text(family):
    _, model, end = family
    marker = model.tokenizer.decode([end])
    tricked = Prompt("Say.", f"x{marker}y", SHOTS)
    ids, plain = model.prompt_ids(tricked), model.prompt_ids(Prompt("Say.", "xy", SHOTS))
    assert ids.count(end) == plain.count(end), "an input can't end its own turn"
    assert marker in model.tokenizer.decode(ids)
    answer = model.encode_target(f"a{marker}b")
    assert answer.count(end) == 1 and answer[-1] == end


def test_a_base_model_reads_special_text_as_text(nano):
    end = nano.tokenizer.eos_token
    ids = nano.prompt_ids(Prompt("Say.", f"x{end}y"))
    assert nano.tokenizer.eos_token_id not in ids[1:]
    assert nano.encode_target(f"a{end}b").count(nano.tokenizer.eos_token_id) == 1


def test_a_tokenizer_that_closes_every_text_does_not_close_a_prompt(nano):
    from tokenizers.processors import TemplateProcessing

    tokenizer = type(nano.tokenizer).from_pretrained(BUNDLED / "nano")
    end = tokenizer.eos_token
    before = nano.prompt_ids(Prompt("Say.", "x"))
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single=f"$A {end}", special_tokens=[(end, tokenizer.eos_token_id)]
    )
    model = LocalModel("closing", nano.network, tokenizer, nano.machine, "r")
    assert tokenizer("x")["input_ids"][-1] == tokenizer.eos_token_id
    ids = model.prompt_ids(Prompt("Say.", "x"))
    assert ids[-1] != tokenizer.eos_token_id and ids == before[-len(ids) :]


def test_a_template_that_cannot_speak_is_told_in_one_line(nano):
    tokenizer = type(nano.tokenizer).from_pretrained(BUNDLED / "nano")
    for template, said in (
        ("{{ raise_exception('tools only') }}", "tools only"),
        ("{% for m in messages %}", "Unexpected end of template"),
        ("{{ messages[0].parts[0].text }}", "no attribute 'parts'"),
    ):
        tokenizer.chat_template = template
        with pytest.raises(LabError, match=f"broken: its chat template can't render a conversation: .*{said}") as told:
            Chat("broken", tokenizer)
        assert "\n" not in str(told.value)


def test_a_template_that_takes_one_message_gets_examples_in_one_block(nano):
    tokenizer = type(nano.tokenizer).from_pretrained(BUNDLED / "nano")
    tokenizer.chat_template = "{{ '<u>' + messages[-1]['content'] + '<a>' }}"
    model = LocalModel("single", nano.network, tokenizer, nano.machine, "r")
    assert not model.chat.has_turns and not model.chat.has_system
    text = model.render(PROMPT)
    assert text.startswith("<u>Name the country.") and "Output: Italy" in text and text.endswith("Output:<a>")
    assert model.encode_target("y")[-1] == tokenizer.eos_token_id, "it ends as the tokenizer ends"


def test_no_end_token_is_told_when_it_is_loaded(here, tmp_path):
    folder = shutil.copytree(BUNDLED / "nano", tmp_path / "endless")
    for name in ("tokenizer_config.json", "special_tokens_map.json"):
        if (folder / name).exists():
            config = json.loads((folder / name).read_text())
            config.pop("eos_token", None)
            (folder / name).write_text(json.dumps(config))
    with pytest.raises(LabError, match="its tokenizer has no end token.*tokenizer_config.json"):
        load_model(str(folder), here)


@pytest.mark.parametrize("in_a_thread", [False, True])
def test_a_template_without_an_end_is_told(here, tmp_path, monkeypatch, in_a_thread):
    monkeypatch.setattr("lab.models.chat.RENDERING_SECONDS", 0.3)
    folder = shutil.copytree(BUNDLED / "nano", tmp_path / "chatty")
    loops = "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"
    (folder / "chat_template.jinja").write_text(loops)
    with pytest.raises(LabError, match="chatty: its chat template does not end"):
        if in_a_thread:
            with ThreadPoolExecutor(1) as pool:
                pool.submit(load_model, str(folder), here).result()
        else:
            load_model(str(folder), here)
    assert sys.gettrace() is None


@pytest.mark.parametrize("layers", [1000, 10**400], ids=["1000", "10**400"])
def test_more_layers_than_weights_are_told_before_any_is_built(here, tmp_path, layers):
    folder = shutil.copytree(BUNDLED / "nano", tmp_path / "deep")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"num_hidden_layers": layers}))
    with pytest.raises(LabError, match="config.json: more layers than its weights have tensors"):
        load_model(str(folder), here)


def test_a_chat_model_is_another_model_than_the_same_weights_without_a_template(here, tmp_path):
    folder = shutil.copytree(BUNDLED / "nano", tmp_path / "chatty")
    before = load_model(str(folder), here)
    (folder / "chat_template.jinja").write_text(TEMPLATES["smollm2"][0])
    after = load_model(str(folder), here)
    assert after.is_chat and not before.is_chat and after.revision.endswith(":turns2")
    assert before.revision != after.revision
