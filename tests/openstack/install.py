"""Installs a real Keystone and Glance into an environment of their own below `.cache`, once."""

import hashlib
import subprocess
import venv
from pathlib import Path

REQUIREMENTS = Path(__file__).with_name("requirements.txt")
FOLDER = Path(__file__).parents[2] / ".cache" / "openstack"


def install(folder: Path = FOLDER) -> Path:
    """Install what `requirements.txt` names; give the folder of the programs.

    Raises:
        subprocess.CalledProcessError: the installation failed.
    """
    wanted = hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()
    environment, stamp = folder / "venv", folder / "installed"
    if not stamp.exists() or stamp.read_text() != wanted:
        print("Installing Keystone and Glance; this takes some minutes the first time ...", flush=True)  # noqa: T201 - a script
        venv.create(environment, with_pip=True, clear=True)
        pip = [str(environment / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, "--requirement", str(REQUIREMENTS)], check=True)
        stamp.write_text(wanted)
    return environment / "bin"


if __name__ == "__main__":
    install()
