"""Shapes that training data comes in, told by their columns and made into input and target.

``shaped(table)`` gives the table with an ``input`` and a ``target`` column, and one line on what became of every field,
for chats (OpenAI's ``messages``, ShareGPT's ``conversations``, chats in ``prompt`` and ``completion``), preferences
(``chosen`` and ``rejected``), Alpaca, and answers as SQuAD has them. Any other table stays as it is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lab.tasks.tables import Row, Table, as_text

Turn = tuple[str, str]
"""Who says it (system, user or assistant), and what."""
UNLIKE = "not of the shape of the others"
ROLES = {"human": "user", "gpt": "assistant", "bot": "assistant", "model": "assistant", "developer": "system"}


def shaped(table: Table) -> Table:
    """The table by input and target, where its shape is known; rows that don't fit join the bad ones."""
    for recognise in (_messages, _conversations, _prompt_completion, _preferences, _alpaca, _answers):
        if found := recognise(table):
            words, make = found
            return _remade(table, words, make)
    return table


def _remade(table: Table, words: str, make: Callable[[dict[str, Any]], dict[str, Any]]) -> Table:
    made = Table(table.source, [], [], [*table.notes, words], list(table.bad))
    for row in table.rows:
        try:
            made.rows.append(Row(row.line, make(row.cells)))
        except (ValueError, TypeError, KeyError, IndexError, AttributeError) as error:
            made.bad.append((row.line, str(error) if isinstance(error, ValueError) else UNLIKE))
    made.columns = list(dict.fromkeys(name for row in made.rows for name in row.cells))
    return made


def _first(table: Table, column: str) -> Any:
    return next((row.cells[column] for row in table.rows if row.cells.get(column) not in (None, "")), None)


def _is_chat(value: Any) -> bool:
    return (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(t, dict) for t in value)
        and bool({"content", "value"} & value[0].keys())
    )


def turns(chat: list[dict[str, Any]]) -> list[Turn]:
    """A chat's turns under either set of names; raises ValueError for one that says nothing in text."""
    found = []
    for turn in chat:
        role = str(turn.get("role", turn.get("from", "")))
        said = turn.get("content", turn.get("value"))
        if isinstance(said, list):
            if any(part.get("type", "text") != "text" for part in said):
                raise ValueError("a turn holds more than text (an image, a tool call)")
            said = "\n".join(part.get("text", "") for part in said)
        if not isinstance(said, str):
            raise ValueError(f"the turn of {role or 'nobody'} holds no text")
        found.append((ROLES.get(role, role), said.strip()))
    return found


def asked(said: list[Turn]) -> str:
    """What stands before an answer as one input: the system's words, then the question, or the turns by name."""
    before = [text for role, text in said if role == "system" and text]
    rest = [(role, text) for role, text in said if role != "system"]
    if len(rest) == 1:
        return "\n\n".join([*before, rest[0][1]])
    return "\n\n".join([*before, "\n".join(f"{role}: {text}" for role, text in rest)])


def _ended(chat: list[dict[str, Any]]) -> dict[str, str]:
    said = turns(chat)
    if not said or said[-1][0] != "assistant" or len(said) < 2:
        raise ValueError("the chat does not end in an answer of the assistant")
    return {"input": asked(said[:-1]), "target": said[-1][1]}


def _others(cells: dict[str, Any], *used: str) -> dict[str, Any]:
    return {k: v for k, v in cells.items() if k not in used}


def _chats(table: Table, column: str, name: str):
    if column not in table.columns or not _is_chat(_first(table, column)):
        return None
    words = (
        f"{name}: the last answer of the assistant is the target, what stands before it the input (the system's words "
        "first, several turns by name)"
    )
    return words, lambda cells: _others(cells, column) | _ended(cells[column])


def _messages(table: Table):
    return _chats(table, "messages", "chats (messages)")


def _conversations(table: Table):
    return _chats(table, "conversations", "chats (ShareGPT)")


def _prompt_completion(table: Table):
    if not {"prompt", "completion"} <= set(table.columns) or not _is_chat(_first(table, "completion")):
        return None

    def make(cells: dict[str, Any]) -> dict[str, Any]:
        prompt, completion = cells["prompt"], turns(cells["completion"])
        if len(completion) != 1:
            raise ValueError("the completion holds more than one turn")
        before = asked(turns(prompt)) if _is_chat(prompt) else as_text(prompt)
        return _others(cells, "prompt", "completion") | {"input": before, "target": completion[0][1]}

    return (
        "chats in prompt and completion: the prompt's turns are the input, the completion's one turn the target",
        make,
    )


def _preferences(table: Table):
    if not {"chosen", "rejected"} <= set(table.columns) or "target" in table.columns:
        return None

    def make(cells: dict[str, Any]) -> dict[str, Any]:
        prompt, chosen, rejected = (cells.get(name) for name in ("prompt", "chosen", "rejected"))
        rest = _others(cells, "prompt", "chosen", "rejected")
        if prompt not in (None, ""):
            rest |= {"input": asked(turns(prompt)) if _is_chat(prompt) else as_text(prompt)}
        if not _is_chat(chosen):
            return rest | {"target": chosen, "rejected": rejected}
        told = {"input": "", "target": turns(chosen)[-1][1]} if "input" in rest else _ended(chosen)
        return told | rest | {"rejected": turns(rejected)[-1][1]}

    return "preferences: the chosen answer is the target, the rejected one is kept beside it", make


def _alpaca(table: Table):
    if not {"instruction", "output"} <= set(table.columns):
        return None

    def make(cells: dict[str, Any]) -> dict[str, Any]:
        parts = [as_text(cells.get(name)) for name in ("instruction", "input")]
        joined = "\n\n".join(part for part in parts if part)
        return _others(cells, "instruction", "input", "output") | {"input": joined, "target": cells["output"]}

    return "Alpaca: instruction and input are joined to the input, output is the target", make


def _answers(table: Table):
    first = _first(table, "answers") if "answers" in table.columns else None
    if not (isinstance(first, dict) and isinstance(first.get("text"), list)):
        return None

    def make(cells: dict[str, Any]) -> dict[str, Any]:
        texts = list(dict.fromkeys(as_text(t) for t in cells["answers"]["text"]))
        if not texts:
            raise ValueError("no answer among answers")
        more = {"accept": texts[1:]} if len(texts) > 1 else {}
        return _others(cells, "answers") | {"target": texts[0]} | more

    return "answers as SQuAD has them: the first is the target, others are accepted, their places are not used", make
