"""What tests of exports share."""

from __future__ import annotations

import pytest

from tests.commands.conftest import run  # noqa: F401
from tests.standins import uv_without_imports


@pytest.fixture
def no_imports(tmp_path, monkeypatch):
    """A uv that finds no further files of the notebook."""
    monkeypatch.setenv("UV", str(uv_without_imports(tmp_path)))
