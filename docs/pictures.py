"""Draws the README's pictures of a busy cloud: `python -m docs.pictures`, which needs chromium.

What `doorman pending` shows becomes `terminal.svg`, the page of `doorman run --report` becomes `report.png`.
Tests look at the same cloud.
"""

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.terminal_theme import DIMMED_MONOKAI
from rich.text import Text

from doorman.sandbox import world
from doorman.sandbox.cloud import create_app
from doorman.sandbox.serving import serve
from doorman.sandbox.state import Cloud
from tests import terminal

HERE, WIDTH = Path(__file__).resolve().parent, 100
DAY = 86_400.0
FACTORY, RECOVERY, BANNED, STRANGE = world.GOLDEN, world.RECOVERY, world.BANNED, world.STRANGER
PARTNER = "c4e7a1d0b3f648529f8e7d6c5b4a3920"
BUSY_POLICY = f"""version: 1
default: hold
groups: {{image-factory: [{FACTORY}], partner: [{PARTNER}], disaster-recovery: [{RECOVERY}]}}
rules:
  - {{name: known-bad, owners: [{BANNED}], decision: reject}}
  - name: golden-images
    owners: [group:image-factory]
    images: {{names: [golden-*], age_days: {{at_most: 90}}, full_ecs: false}}
    decision: accept
  - {{name: recovery-backups, owners: [group:disaster-recovery], images: {{full_ecs: true}}, decision: accept}}
"""
DOORMAN = (sys.executable, "-P", "-c", "import sys; from doorman.entrypoints.cli.main import main; sys.exit(main())")


def fill(cloud: Cloud) -> Sequence[str]:
    """Share 300 images with 12 projects, of which 250 will be held and 4 fail; gives the projects."""
    projects = [f"7f2a9c4e1b6d4f0e8a3c5d7b9e1f2a{number:02}" for number in range(1, 13)]
    for number, project in enumerate(projects):
        cloud.add_project(project, name=f"eu-de_landing-zone-{number}")
        shares: list[tuple[str, dict[str, Any]]] = [
            *((STRANGE, {"name": f"tool-{each}"}) for each in range(8)),
            *((FACTORY, {"created_at": time.time() - (121 + each) * DAY}) for each in range(6)),
            *[(PARTNER, {"name": "appliance-with-a-rather-long-name-" * 3})] * 3,
            *[(FACTORY, {"name": "golden-server", "full_ecs": True, "min_disk": 100})] * 2,
            *[(RECOVERY, {"name": "erp", "full_ecs": True, "min_disk": 400})] * (1 if number < 2 else 2),  # noqa: PLR2004 - the cloud's own numbers
            (BANNED, {"name": "miner\x1b[2J"}),
        ]
        for owner, fields in [*shares, *[(FACTORY, {})] * (25 - len(shares))]:
            image = cloud.add_share(owner, project, **{"name": "golden-ubuntu-24.04", **fields})
        if number < 4:  # noqa: PLR2004
            cloud.fail_image(image, "IMG.0064", at="job")
    (user,) = cloud.directory.users.values()
    user.roles.update((project, {"member"}) for project in projects)
    return projects


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
