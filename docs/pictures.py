"""Draws the README's pictures of a busy cloud (`tests/busy.py`): `python -m docs.pictures`, which needs chromium.

What `doorman pending` shows becomes `terminal.svg`, the page of `doorman run --report` becomes `report.png`.
"""

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import DIMMED_MONOKAI
from rich.text import Text

from doorman.sandbox.cloud import create_app
from doorman.sandbox.serving import serve
from doorman.sandbox.state import Cloud
from tests import terminal
from tests.busy import BUSY_POLICY, DOORMAN, fill

HERE, WIDTH = Path(__file__).resolve().parent, 100


def draw(shown: str) -> str:
    """Draw what a terminal shows; no font is loaded from elsewhere."""
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere:
        console = Console(record=True, width=WIDTH, file=nowhere)
        console.print(Text("$ doorman pending"))
        console.print(Text.from_ansi(shown), no_wrap=True)
        svg = console.export_svg(title="Doorman", theme=DIMMED_MONOKAI, unique_id="terminal")
    return re.sub(r"(?s)\s*@font-face \{.*?\}", "", svg)


def main() -> None:
    """Draw both."""
    cloud = Cloud()
    cloud.settings.job_seconds = 0
    cloud.add_user("doorman", "secret", [])
    projects = fill(cloud)
    with tempfile.TemporaryDirectory() as folder, serve(create_app(cloud)) as url:
        policy, page = Path(folder) / "policy.yaml", Path(folder) / "report.html"
        policy.write_text(BUSY_POLICY)
        environ = {
            **os.environ,
            "DOORMAN_POLICY": str(policy),
            "OS_AUTH_URL": f"{url}/v3",
            "OS_PASSWORD": "secret",
            "OS_PROJECT_ID": ",".join(projects),
            "OS_USERNAME": "doorman",
            "OS_USER_DOMAIN_NAME": "Default",
            "PYTHONPATH": os.pathsep.join(sys.path),
        }
        _, shown = terminal.show([*DOORMAN, "pending"], environ=environ, width=WIDTH, is_bare=False)
        (HERE / "terminal.svg").write_text(draw(shown), "utf-8")
        terminal.show([*DOORMAN, "run", "--report", str(page)], environ=environ)
        words = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--window-size=900,1150"]
        shot = f"--screenshot={HERE / 'report.png'}"
        subprocess.run(["chromium", *words, shot, page.as_uri()], check=True, capture_output=True)  # noqa: S603, S607 - a browser


if __name__ == "__main__":
    main()
