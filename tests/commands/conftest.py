"""What the tests of commands share: ``lab ...`` in this process, in a folder of its own."""

from __future__ import annotations

import io
import sys

import pytest

from lab.cli import main


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Run ``lab ...`` in ``tmp_path`` with nobody at the terminal: (exit status, stdout, stderr)."""
    monkeypatch.setenv("LAB_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)

    def lab(*arguments):
        monkeypatch.setattr(sys, "argv", ["lab", *map(str, arguments)])
        monkeypatch.setattr(sys, "stdin", io.StringIO(""))
        with pytest.raises(SystemExit) as ended:
            main()
        out = capsys.readouterr()
        return ended.value.code, out.out, out.err

    return lab
