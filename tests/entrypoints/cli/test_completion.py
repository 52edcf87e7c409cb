"""`doorman --print-completion`: what shells complete is what the parsers know."""

import subprocess

import pytest

from docs.completion import FOLDER, render
from doorman.entrypoints.cli.main import main


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_it_is_what_the_parsers_say(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    """`make completion` wrote it, and nothing changed since."""
    with pytest.raises(SystemExit):
        main(["--print-completion", shell])
    assert capsys.readouterr().out == (FOLDER / f"doorman.{shell}").read_text("utf-8") == render()[shell]


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("rec", ["reconcile"]),
        ("policy diff a b --sh", ["--shares"]),
        ("run --fail-on ", ["held", "failed", "drifted"]),
        ("report arch", []),
    ],
)
def test_bash_completes(typed: str, offered: list[str]) -> None:
    """Commands, options and their values; where it offers nothing, bash offers files."""
    words = ["doorman", *typed.split(" ")]
    type_ = 'COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)); _doorman; echo "${COMPREPLY[*]}"'
    script = f"source {FOLDER / 'doorman.bash'}; {type_}"
    done = subprocess.run(["bash", "-c", script, "-", *words], capture_output=True, text=True, check=True)
    assert (done.stdout.split(), done.stderr) == (offered, "")
