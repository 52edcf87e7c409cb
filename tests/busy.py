"""A busy cloud for people to look at: 300 shares in 12 projects, of which 250 are held and 4 fail."""

import sys
import time
from collections.abc import Sequence
from typing import Any

from doorman.sandbox import world
from doorman.sandbox.state import Cloud

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
            *[(RECOVERY, {"name": "erp", "full_ecs": True, "min_disk": 400})] * (1 if number < 2 else 2),
            (BANNED, {"name": "miner\x1b[2J"}),
        ]
        for owner, fields in [*shares, *[(FACTORY, {})] * (25 - len(shares))]:
            image = cloud.add_share(owner, project, **{"name": "golden-ubuntu-24.04", **fields})
        if number < 4:
            cloud.fail_image(image, "IMG.0064", at="job")
    (user,) = cloud.directory.users.values()
    user.roles.update((project, {"member"}) for project in projects)
    return projects
