"""A wheel and a source distribution built from this checkout, and an environment that holds the wheel alone."""

import os
import re
import subprocess
import sys
import venv
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.terminal import show

ROOT = Path(__file__).resolve().parents[2]
CLEAN = {name: value for name, value in os.environ.items() if not name.startswith(("OS_", "DOORMAN_", "K_", "PYTHON"))}
"""Our environment without what leads to real clouds, or to the checkout."""


@dataclass(frozen=True)
class Built:
    """What was built: one wheel from the checkout, a source distribution, and another wheel from that."""

    wheel: Path
    sdist: Path
    wheel_of_sdist: Path
    tools: Path


@dataclass(frozen=True)
class Installed:
    """An environment with the wheel and what it depends on."""

    programs: Path

    def run(self, *words: str, cwd: Path, **settings: str) -> subprocess.CompletedProcess[str]:
        """Run one of its programs in the folder `cwd`; its exit code, output and errors."""
        path = f"{self.programs}{os.pathsep}{CLEAN['PATH']}"
        command = [str(self.programs / words[0]), *words[1:]]
        return subprocess.run(
            command,
            cwd=cwd,
            env=CLEAN | {"PATH": path} | settings,
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )

    def show(self, *words: str, cwd: Path, **settings: str) -> tuple[int, str]:
        """Run a program on a terminal of 80 columns; its exit code, and what stands there without styles."""
        path = f"{self.programs}{os.pathsep}{CLEAN['PATH']}"
        return show(words, cwd=cwd, environ=CLEAN | {"PATH": path} | settings)


def do(*words: str | Path) -> None:
    """Run a program that must succeed; what it says is shown where it does not."""
    done = subprocess.run(words, env=CLEAN, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 0, done.stdout


def make_environment(folder: Path, *requirements: str) -> Path:
    """Make a virtual environment with these, in the versions of the image where it has them; gives its programs."""
    venv.create(folder, with_pip=True)
    pins = folder / "pins.txt"
    pins.write_text("\n".join(re.findall(r"(?m)^[a-z0-9-]+==\S+", (ROOT / "requirements.txt").read_text("utf-8"))))
    options = ["--quiet", "--disable-pip-version-check", "--constraint", str(pins)]
    do(folder / "bin" / "python", "-m", "pip", "install", *options, *requirements)
    return folder / "bin"


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """Build everything once."""
    folder = tmp_path_factory.mktemp("built")
    python = make_environment(folder / "tools", "build", "twine", "check-wheel-contents") / "python"
    do(python, "-m", "pip", "--disable-pip-version-check", "wheel", "--no-deps", "-w", folder / "direct", ROOT)
    do(python, "-m", "build", "--outdir", folder / "dist", ROOT)
    (wheel,), (sdist,) = (folder / "direct").glob("*.whl"), (folder / "dist").glob("*.tar.gz")
    (second,) = (folder / "dist").glob("*.whl")
    return Built(wheel=wheel, sdist=sdist, wheel_of_sdist=second, tools=python.parent)


@pytest.fixture(scope="session")
def installed(built: Built, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """Install the wheel where there is nothing else."""
    assert sys.prefix != sys.base_prefix
    return Installed(make_environment(tmp_path_factory.mktemp("installed") / "venv", str(built.wheel)))


@pytest.fixture
def strange_folder(tmp_path: Path) -> Path:
    """A working folder whose own `doorman`, `function` and `sandbox` must not be run."""
    for name in ("doorman", "doorman/sandbox", "function", "sandbox"):
        (tmp_path / name).mkdir()
        for file in ("__init__.py", "__main__.py", "main.py", "functions.py"):
            (tmp_path / name / file).write_text("raise SystemExit('not what was asked for')\n")
    return tmp_path
