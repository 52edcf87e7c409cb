"""A folder in which Terraform works on a copy of a module of `deploy`, with the provider of `provider.py`, offline."""

import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.deploy.provider import reattach

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "deploy" / "functiongraph"
FILLED_IN: Mapping[str, Any] = {
    "projects": [{"id": "7f2a9c4e1b6d4f0e8a3c5d7b9e1f2a4c", "name": "eu-de_landing-zone"}],
    "image_url": "swr.eu-de.otc.t-systems.com/my-organisation/doorman:2026-01-31",
}


class Workspace:
    """One copy; `path` holds the files, to be changed at will.

    Args:
        source: the module. filled_in: values of its variables.
    """

    def __init__(self, folder: Path, *, source: Path = SOURCE, filled_in: Mapping[str, Any] = FILLED_IN) -> None:
        self.path = folder / "module"
        self._filled_in = filled_in
        shutil.copytree(source, self.path)
        self._environ = {
            "PATH": os.environ["PATH"],
            "CHECKPOINT_DISABLE": "1",
            "TF_REATTACH_PROVIDERS": reattach(),
            "TF_IN_AUTOMATION": "1",
            "OS_USER_DOMAIN_NAME": "OTC-EU-DE-00000000000000000000",
        }

    def run(self, *words: str) -> tuple[int, str]:
        """Run a Terraform command; gives its exit code and all that it said, on one line."""
        command = ["terraform", f"-chdir={self.path}", *words]
        done = subprocess.run(command, env=self._environ, capture_output=True, text=True, timeout=120, check=False)
        return done.returncode, " ".join((done.stdout + done.stderr).split())

    def plan(self, **values: Any) -> tuple[int, str]:
        """Plan with these variables beside the filled-in ones."""
        self._fill_in(values)
        return self.run("plan", "-no-color", "-input=false")

    def apply(self, **values: Any) -> dict[str, dict[str, Any]]:
        """Apply with these variables; gives what every resource has become, by its address."""
        self._fill_in(values)
        code, said = self.run("apply", "-auto-approve", "-no-color", "-input=false")
        assert code == 0, said
        command = ["terraform", f"-chdir={self.path}", "show", "-json"]
        done = subprocess.run(command, env=self._environ, capture_output=True, text=True, timeout=120, check=True)
        module = json.loads(done.stdout)["values"]["root_module"]
        return {each["address"]: each["values"] for each in module["resources"]}

    def replace(self, file: str, old: str, new: str) -> None:
        """Change one place in a file."""
        text = (self.path / file).read_text()
        assert text.count(old) >= 1, old
        (self.path / file).write_text(text.replace(old, new, 1))

    def _fill_in(self, values: Mapping[str, Any]) -> None:
        filled_in = {key: value for key, value in {**self._filled_in, **values}.items() if value is not None}
        (self.path / "terraform.tfvars.json").write_text(json.dumps(filled_in))
