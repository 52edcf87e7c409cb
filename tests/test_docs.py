"""Keeps the documents true: no dead link, no command that does not exist, every setting and every command described."""

import io
import re
import shlex
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout, suppress
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml

from doorman.entrypoints.cli.main import COMMANDS, main
from doorman.policy.policy import load
from doorman.settings import VARIABLES

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("docs", "events", "events/functiongraph", "examples")
PAGES = sorted([*ROOT.glob("*.md"), *(page for folder in FOLDERS for page in (ROOT / folder).glob("*.md"))])
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]
NEEDS = {
    "kubectl": "cluster",
    "kcat": "Kafka",
    "docker": "image",
    "podman": "image",
    "terraform": "Terraform",
    "openstack": "OpenStack",
    "systemctl": "systemd",
}
"""Programs that no test runs, with the word by which a page says what they need."""
PLAIN = {
    *("cat", "cd", "cp", "curl", "eval", "export", "git", "grep", "head", "jq", "mkdir", "sed", "sort", "tail", "tee"),
    *(".", "pip", "pip-audit"),
}
"""Programs of any machine."""
PYTHON = {"python", "python3", "python3.11", ".venv/bin/python"}
OURS = ("events/", "examples/", "deploy/", "docs/", "function/", "tests/", "bench/")
QUAINT = (
    r"(?i)\b(he|him|his|himself|she|her|hers|whyever|no business|refuses us|minds|slip of the finger|office|errands?)\b"
)


@cache
def read(name: str) -> str:
    """Give a page's text."""
    return (ROOT / name).read_text("utf-8")


@cache
def anchors(name: str) -> set[str]:
    """Give the anchors of a page's headings, as the common hosts make them."""
    text = re.sub(r"(?ms)^ *```.*?^ *```", "", read(name))
    heads = [re.sub(r"\[(.*?)\]\(.*?\)", r"\1", head) for head in re.findall(r"(?m)^#+ (.*)$", text)]
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


@cache
def help_of(*words: str) -> str:
    """Give the help of a command, "" where there is no such command."""
    out = io.StringIO()
    with suppress(SystemExit), redirect_stdout(out), redirect_stderr(io.StringIO()):
        main([*words, "--help"])
    return out.getvalue()


def blocks(text: str) -> Iterator[str]:
    """Give the lines of shell in a page: of fenced blocks, and of indented ones where they begin with a program."""
    for indent, language, block in re.findall(r"(?ms)^( *)```(\w*)\n(.*?)^ *```", text):
        lines = re.sub(rf"(?m)^{indent}", "", block)
        if language == "console":
            yield from re.findall(r"(?m)^\$ (.*)$", lines)
        elif language == "sh":
            yield from join(lines)
    rest = re.sub(r"(?ms)^ *```.*?^ *```", "", text)
    for block in re.findall(r"(?m)(?:^\n|\A)((?:(?: {4,}|\t)\S.*\n)+)", rest):
        yield from (line for line in join(re.sub(r"(?m)^ +", "", block)) if program(line) in known())


def spans(text: str) -> Iterator[str]:
    """Give what stands in the text as code and begins with a program of ours."""
    rest = re.sub(r"(?ms)^ *```.*?^ *```", "", text)
    for code in re.findall(r"`([^`\n]+)`", rest):
        with suppress(ValueError):
            if program(code) in PYTHON | {"doorman", "make"} and " " in code:
                yield code


def join(block: str) -> Iterator[str]:
    """Join what a backslash or an open quote continues."""
    line = ""
    for part in (re.sub(r"(^|\s)#\s.*", "", each) for each in block.splitlines()):
        line += part.removesuffix("\\")
        if part.endswith("\\") or line.count("'") % 2:
            continue
        if line.strip():
            yield line
        line = ""


def program(line: str) -> str:
    """Give the first word that sets no variable."""
    words = [word for word in shlex.split(line, comments=True) if not re.match(r"[A-Z_]+=", word)]
    return words[0].removeprefix(".venv/bin/") if words else ""


def known() -> set[str]:
    """Give every program that a page may name."""
    return {*NEEDS, *PLAIN, *PYTHON, "doorman", "make", "pytest", "functions-framework"}


def faults(page: str, line: str) -> Iterator[str]:
    """Name what is wrong with one line of shell."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    words: list[str] = []
    for word in [*lexer, ";"]:
        if word not in {"&&", "||", "|", ";", "&"}:
            words.append(word)
            continue
        yield from faults_of(page, words)
        words = []


def faults_of(page: str, words: list[str]) -> Iterator[str]:
    """Name what is wrong with one command."""
    words = [word for word in words if not re.match(r"[A-Z_]+=", word)]
    name = words[0].removeprefix(".venv/bin/") if words else ""
    if name and name not in known():
        yield f"{name}: not a program that these pages may use"
    if name in NEEDS and NEEDS[name] not in read(page):
        yield f"{name}: the page does not say that it needs {NEEDS[name]}"
    if name == "doorman":
        yield from faults_of_ours(words[1:])
    if name == "make":
        yield from (f"make {word}: no such target" for word in words[1:] if not is_target(word))
    if name in PYTHON and "-m" in words and find_spec(words[words.index("-m") + 1]) is None:
        yield f"{' '.join(words)}: no such module"
    paths = [word.lstrip("@") for word in words if word.lstrip("@").startswith(OURS)]
    yield from (f"{path}: no such file" for path in paths if not list(ROOT.glob(path.rstrip("/"))))


def faults_of_ours(words: list[str]) -> Iterator[str]:
    """Name what is wrong with one call of the command `doorman`."""
    said = [word for word in words if re.fullmatch(r"[a-z]+", word)]
    depth = 2 if said[:1] == ["policy"] else 1
    text = help_of(*said[:depth]) if said else help_of()
    if not text:
        yield f"doorman {' '.join(said[:depth])}: no such command"
    offered = set(re.findall(r"--[a-z-]+", text))
    for option in (option for word in words for option in re.findall(r"^\[?(--[a-z-]+)", word)):
        if option not in offered:
            yield f"doorman {' '.join(said[:depth])} {option}: no such option"


def is_target(word: str) -> bool:
    """Whether `make` knows it; a variable, or what stands for something else, is none."""
    return not re.fullmatch(r"[a-z-]+", word) or re.search(rf"(?m)^{word}:", read("Makefile")) is not None


@pytest.mark.parametrize("page", NAMES)
def test_no_link_is_dead(page: str) -> None:
    """Files and headings that a page leads to exist; what leads elsewhere is encrypted."""
    text = re.sub(r"(?ms)^ *```.*?^ *```", "", read(page))
    wrong = []
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        path, _, anchor = link.partition("#")
        target = (ROOT / page).parent / path if path else ROOT / page
        if "://" in link:
            is_right = link.startswith("https://")
        else:
            is_right = target.exists() and (not anchor or anchor in anchors(str(target.resolve().relative_to(ROOT))))
        wrong += [] if is_right else [link]
    assert wrong == []


@pytest.mark.parametrize("page", NAMES)
def test_every_command_exists(page: str) -> None:
    """Commands, options, modules, targets and files that a page names; what needs a cluster or a cloud says so."""
    lines = [*blocks(read(page)), *spans(read(page))]
    assert [fault for line in lines for fault in faults(page, line)] == []


def test_the_checker_sees_what_is_wrong() -> None:
    """One of each kind of fault."""
    text = """
```sh
wget x
doorman nonsense
OS_CLOUD=a doorman run --dry
rot13 | make nowhere
python -m doorman.nowhere
doorman send events/none.json && terraform apply
```

    doorman policy lint x

In a `make nothing` way.
"""
    found = [fault for line in [*blocks(text), *spans(text)] for fault in faults("LICENSE", line)]
    assert ", ".join(fault.partition(":")[0] for fault in found) == (
        "wget, doorman nonsense, doorman run --dry, rot13, make nowhere, python -m doorman.nowhere, events/none.json, "
        "terraform, doorman policy lint, make nothing"
    )


def test_every_setting_is_described() -> None:
    """Each variable stands in the table, with its default."""
    rows = dict(re.findall(r"(?m)^\| (`[^|]*) \| ([^|]*?) \|", read("docs/settings.md")))
    found = {name: default for names, default in rows.items() for name in re.findall(r"`([A-Z_]+)`", names)}
    ours = {name: default for name, default in VARIABLES.items() if name.startswith("DOORMAN_")}
    assert {name: found.get(name) for name in ours} == {
        name: f"`{default}`" if default else "none" for name, default in ours.items()
    }
    assert sorted(set(VARIABLES) - set(found)) == []


def test_every_command_is_described() -> None:
    """Each command has a row."""
    assert sorted(set(COMMANDS) - set(re.findall(r"(?m)^\| `doorman ([a-z]+)", read("docs/commands.md")))) == []


def test_the_readme_shows_a_sound_policy() -> None:
    """What it shows is read without a fault, and the whole language is one link away."""
    (sample,) = re.findall(r"(?ms)```yaml\n(.*?)```", read("README.md"))
    shown, demo = load(sample), yaml.safe_load(read("examples/policy.yaml"))
    assert {rule.name for rule in shown.rules} <= {rule["name"] for rule in demo["rules"]}
    assert "](docs/policy.md)" in read("README.md")


def test_the_english_is_plain() -> None:
    """In pages, samples and the code a person is "they", and nobody has to solve a riddle."""
    folders = ("examples", "function", "deploy")
    files = [path for folder in folders for path in (ROOT / folder).rglob("*.*") if path.suffix in {".py", ".yaml"}]
    names = [*NAMES, *(str(path.relative_to(ROOT)) for path in files)]
    assert [line for name in names for line in read(name).splitlines() if re.search(QUAINT, line)] == []
