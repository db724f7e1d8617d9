"""How a structured Prompt becomes text, and how it is cut to a window.

One real instance (wording ``input_output``)::

    Name the warden.

    Passage: The warden of Tarnwick Hall is Dana Orvik.

    Input: Who is the warden of Tarnwick Hall?
    Output:
"""

from __future__ import annotations

from lab.schema import Prompt


def shared_head(prompt: Prompt) -> str:
    """The part of the text that does not depend on the item where examples are fixed: instruction, then examples.

    Where there are passages they come first after the instruction, so that the examples stand next to the
    input they explain; then only the instruction is shared.
    """
    blocks = [prompt.instruction] if prompt.instruction else []
    if not prompt.passages:
        blocks += [example_block(prompt, e.input, e.target) for e in reversed(prompt.examples)]
    return "".join(block + "\n\n" for block in blocks)


def example_block(prompt: Prompt, text: str, target: str) -> str:
    """A worked example, answer included."""
    return f"{question_block(prompt, text)} {target}"


def question_block(prompt: Prompt, text: str) -> str:
    """An input followed by the word that asks for the output;
    ends without a space, so that a completion starts with one."""
    return f"{prompt.wording.input}: {text}\n{prompt.wording.output}:"


def render(prompt: Prompt) -> str:
    """The whole prompt as plain text; the completion follows directly, beginning with a space."""
    blocks = []
    if prompt.passages:
        blocks += [f"{prompt.wording.passage}: {p.text}" for p in prompt.passages]
        blocks += [example_block(prompt, e.input, e.target) for e in reversed(prompt.examples)]
    return shared_head(prompt) + "".join(b + "\n\n" for b in blocks) + question_block(prompt, prompt.input)
