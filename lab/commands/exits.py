"""What a command's exit status says: the one place where it is written; ``lab --help`` ends in these words."""

from __future__ import annotations

DONE = 0
FAILED = 1
"""What was asked to hold does not."""
WRONG = 2
FAULT = 70
STOPPED = 130
"""As shells number an end by Ctrl-C."""
MEANING = {
    DONE: "done",
    FAILED: "a check or a wish failed: lab check found errors, lab decide --fail-under was not reached",
    WRONG: "the input was wrong; one line on standard error says what, and the way out",
    FAULT: "a fault of the lab's own",
    STOPPED: "stopped by Ctrl-C; what is finished is stored",
}


def in_words() -> str:
    """The table as plain text, for the end of the help (``\\b`` keeps its lines)."""
    return "\b\nExit status:\n" + "\n".join(f"  {status:>3}  {words}" for status, words in MEANING.items())
