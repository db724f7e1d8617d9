"""Templates of the lab: one environment for reports, pages and cards, and what a page needs to stand alone.

``template("lab.report", "report.html").render(...)``; a name that ends in ``.html`` is escaped, every other is not.
"""

from __future__ import annotations

import base64
import hashlib
import math
from collections.abc import Sequence
from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup


@cache
def template(package: str, name: str, folder: str = "templates") -> Template:
    """A template of a package's folder; a name that a template uses and nobody gave is an error."""
    environment = Environment(
        loader=PackageLoader(package, folder),
        autoescape=name.endswith(".html"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {
        "percent": lambda share: "" if share is None else f"{100 * share:.1f} %",
        "volume": lambda number: "no end" if number == math.inf else f"{number:,.0f}",
        "usd": lambda number: "" if number is None else f"{number:,.0f}" if number >= 100 else f"{number:.3g}",
        "points": lambda share: f"{100 * share:+.1f}",
        "cell": lambda text: str(text).replace("|", "\\|").replace("\n", " ").replace("<", "&lt;"),
        "sig": lambda v: "" if v is None else f"{v:,.0f}" if 1000 <= abs(v) < 1e9 else f"{v:.3g}",
        "thousands": lambda number: f"{number:,}",
    }
    return environment.get_template(name)


def script_hashes(scripts: Sequence[str]) -> Markup:
    """The scripts' hashes as a Content-Security-Policy names them."""
    return Markup(
        " ".join(f"'sha256-{base64.b64encode(hashlib.sha256(s.encode()).digest()).decode()}'" for s in scripts)
    )
