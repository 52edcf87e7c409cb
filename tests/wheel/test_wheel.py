"""The wheel alone, in any folder: what it holds, the sandbox and its demo, and the README's way to a first decision."""

import re
import shlex
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from zipfile import ZipFile

import pytest

from tests.wheel.conftest import CLEAN, ROOT, Built, Installed, do, make_environment

LOAD = f"""
import importlib.util, sys
spec = importlib.util.spec_from_file_location("main", {str(ROOT / "function" / "main.py")!r})
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
print(sys.modules["doorman.functions"].__file__)
"""
TUTORIAL = ["events.json", "new.yaml", "report.html", "shares.json"]
"""What the tutorial leaves in the folder."""

SETTINGS = {
    "DOORMAN_POLICY": str(ROOT / "examples" / "policy.yaml"),
    "K_SINK": "http://127.0.0.1:9/",
    "OS_AUTH_URL": "http://127.0.0.1:9/v3",
    "OS_USERNAME": "doorman",
    "OS_PASSWORD": "secret",
    "OS_USER_DOMAIN_NAME": "Default",
    "OS_PROJECT_ID": "receiver",
}


@contextmanager
def sandbox(installed: Installed, cwd: Path) -> Iterator[dict[str, str]]:
    """Run `doorman sandbox` in `cwd`; gives the settings that it prints."""
    command = [str(installed.programs / "doorman"), "sandbox"]
    with subprocess.Popen(command, cwd=cwd, env=CLEAN, stdout=subprocess.PIPE, text=True) as process:
        try:
            settings: dict[str, str] = {}
            for line in process.stdout or ():
                if line.startswith("export "):
                    name, _, value = shlex.split(line)[1].partition("=")
                    settings[name] = value
                if "Ctrl-C" in line:
                    break
            yield settings
        finally:
            process.terminate()
            process.communicate(timeout=30)
    assert process.returncode == 0


def listed(tree: Path) -> set[str]:
    """Give the files of the checkout below `tree` that are under version control, relative to it."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    return set(subprocess.run(command, cwd=tree, check=True, capture_output=True, text=True).stdout.splitlines())


def test_the_distributions_are_fit_to_be_published(built: Built) -> None:
    """The index's own check, and the one for what a wheel should not hold."""
    do(built.tools / "twine", "check", "--strict", built.wheel, built.sdist)
    do(built.tools / "check-wheel-contents", "--ignore", "W002", built.wheel)  # two samples are the same on purpose


def test_the_wheel_holds_the_package_and_the_samples(built: Built) -> None:
    """One name at the top; sample events and the demo's policy in it; the same from the source distribution."""
    names = {name for name in ZipFile(built.wheel).namelist() if ".dist-info/" not in name}
    package = {f"doorman/{name}" for name in listed(ROOT / "function" / "doorman")}
    samples = {f"doorman/sandbox/events/{name}" for name in listed(ROOT / "events")}
    assert names == package | samples | {"doorman/sandbox/policy.yaml"}
    assert sorted(ZipFile(built.wheel_of_sdist).namelist()) == sorted(ZipFile(built.wheel).namelist())


def test_nothing_is_missing_beside_it(installed: Installed, tmp_path: Path) -> None:
    """`pip check` finds every dependency, and the command says its version."""
    done = installed.run("python", "-m", "pip", "--disable-pip-version-check", "check", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "No broken requirements found.\n")
    assert installed.run("doorman", "--version", cwd=tmp_path).stdout.startswith("doorman ")


def test_a_policy_is_checked(installed: Installed, strange_folder: Path) -> None:
    """`doorman policy check FILE` needs nothing but the file, whatever lies beside it."""
    (strange_folder / "policy.yaml").write_text((ROOT / "examples" / "policy.yaml").read_text("utf-8"))
    done = installed.run("doorman", "policy", "check", "policy.yaml", cwd=strange_folder)
    assert (done.returncode, done.stdout.partition(" (")[0], done.stderr) == (0, "policy.yaml: no faults", "")


def test_the_demo_runs_beside_strange_folders(installed: Installed, strange_folder: Path) -> None:
    """Folders by the names of our modules change nothing, for the sandbox and for the functions that it starts."""
    done = installed.run("doorman", "sandbox", "--demo", cwd=strange_folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert [word for word in ("accepted", "rejected", "held") if word not in done.stdout] == []


@pytest.mark.parametrize(("page", "left"), [("README.md", ["report.html"]), ("docs/sandbox.md", TUTORIAL)])
def test_its_commands_run_as_written(page: str, left: list[str], installed: Installed, tmp_path: Path) -> None:
    """Typed in an empty folder with the sandbox's settings they print what stands below them."""
    (block,) = re.findall(r"(?ms)<!-- run by tests/wheel -->\n```console\n(.*?)```", (ROOT / page).read_text("utf-8"))
    with sandbox(installed, tmp_path) as settings:
        for command, expected in re.findall(r"(?m)^\$ (.*)\n((?:[^$].*\n)*)", block):
            code, told = installed.show("bash", "-c", command, cwd=tmp_path, **settings)
            shown = {line.rstrip() for line in told.splitlines()}
            wanted = [line for line in expected.splitlines() if line != "..."]
            is_no = command.startswith("doorman policy diff")
            assert (code, [line for line in wanted if line not in shown]) == (int(is_no), []), told
    assert sorted(path.name for path in tmp_path.iterdir()) == left


def test_main_runs_the_functions_beside_it(installed: Installed, strange_folder: Path) -> None:
    """Another `doorman` in site-packages, or before it on the path, is not taken; one already loaded ends the start."""
    own = str(ROOT / "function" / "doorman" / "functions.py")
    for settings in ({}, {"PYTHONPATH": str(strange_folder)}):
        done = installed.run("python", "-P", "-c", LOAD, cwd=strange_folder, **SETTINGS, **settings)
        assert (done.returncode, done.stdout.splitlines()[-1:]) == (0, [own]), done.stderr
    done = installed.run("python", "-P", "-c", f"import doorman\n{LOAD}", cwd=strange_folder, **SETTINGS)
    assert done.returncode == 1
    assert re.fullmatch(r"doorman: another package of that name was loaded, .*: uninstall it\n", done.stderr)


def test_an_editable_install_finds_the_samples_of_the_checkout(strange_folder: Path) -> None:
    """One source each: what the wheel carries is read where it lies."""
    programs = make_environment(strange_folder / "venv", "--no-deps", "--editable", str(ROOT))
    code = "from doorman.sandbox.samples import EVENTS, POLICY; print(EVENTS, POLICY)"
    done = Installed(programs).run("python", "-P", "-c", code, cwd=strange_folder)
    assert done.stdout.split() == [str(ROOT / "events"), str(ROOT / "examples" / "policy.yaml")], done.stderr
