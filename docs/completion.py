"""Writes the shells' completion of `doorman` out of its own parsers: `make completion`.

The files lie in the package, and `doorman --print-completion SHELL` prints them: who types waits for no import.
"""

from argparse import Action, ArgumentParser, _SubParsersAction
from collections.abc import Iterable, Iterator, Sequence
from importlib import import_module
from pathlib import Path
from shlex import quote
from typing import Any

from doorman.entrypoints.cli.main import COMMANDS

FOLDER = Path(__file__).resolve().parents[1] / "function" / "doorman" / "entrypoints" / "cli" / "completions"
NOTE = "# Completion of doorman, written by `make completion`.\n"
ZSH = "autoload -Uz compinit bashcompinit && compinit && bashcompinit\n"
BASH = """_doorman() {
  local word="${COMP_WORDS[COMP_CWORD]}" before="${COMP_WORDS[COMP_CWORD-1]}" words="" options=""
  case "${COMP_WORDS[*]:1:$((COMP_CWORD-1))} " in
%s  esac
  case "$before" in
%s  esac
  [[ "$word" == -* ]] && words="$options"
  COMPREPLY=($(compgen -W "$words" -- "$word"))
}
complete -o default -F _doorman doorman
"""


def parsers() -> Iterator[tuple[tuple[str, ...], str, ArgumentParser]]:
    """Give each command's words, its help and its parser; a command with its own commands comes after those."""
    for name, help_ in COMMANDS.items():
        parser = ArgumentParser(prog=f"doorman {name}")
        import_module(f"doorman.entrypoints.cli.{name}").configure(parser)
        for group in (action for action in parser._actions if isinstance(action, _SubParsersAction)):  # noqa: SLF001 - argparse has no other door
            helps = {choice.dest: choice.help or "" for choice in group._choices_actions}  # noqa: SLF001
            for inner, inside in group.choices.items():
                yield (name, inner), helps[inner], inside
        yield (name,), help_, parser


def options(parser: ArgumentParser) -> Sequence[Action]:
    """Give what begins with hyphens."""
    return [action for action in parser._actions if action.option_strings]  # noqa: SLF001


def write_bash() -> str:
    """Write it for bash; zsh reads it, too."""
    cases: list[str] = []
    values: dict[str, Iterable[Any]] = {}
    for words, _, parser in parsers():
        said = " ".join(each for action in options(parser) for each in action.option_strings)
        inner = " ".join(each[1] for each, _, _ in parsers() if len(each) > 1 and each[:1] == words)
        cases.append(f'    "{" ".join(words)} "*) words="{inner}" options="{said}" ;;\n')
        values |= {each: a.choices for a in options(parser) for each in a.option_strings if a.choices}
    cases.append(f'    " ") words="{" ".join(COMMANDS)}" options="--help --version --print-completion" ;;\n')
    values["--print-completion"] = ("bash", "zsh", "fish")
    chosen = [f'    {option}) words="{" ".join(map(str, choices))}" ;;\n' for option, choices in values.items()]
    return BASH % ("".join(cases), "".join(chosen))


def write_fish() -> Iterator[str]:
    """Write it for fish."""
    nested = " ".join(words[1] for words, _, _ in parsers() if len(words) > 1)
    for words, help_, parser in parsers():
        before = f"__fish_seen_subcommand_from {words[0]}" if len(words) > 1 else "__fish_use_subcommand"
        before += f"; and not __fish_seen_subcommand_from {nested}" if len(words) > 1 else ""
        yield f"complete -c doorman -n {quote(before)} -f -a {words[-1]} -d {quote(help_)}\n"
        inside = "; and ".join(f"__fish_seen_subcommand_from {word}" for word in words)
        for action in options(parser):
            (name,) = (each.removeprefix("--") for each in action.option_strings if each.startswith("--"))
            value = "" if action.nargs == 0 else " -r"
            value = f" -xa {quote(' '.join(map(str, action.choices)))}" if action.choices else value
            yield f"complete -c doorman -n {quote(inside)} -l {name}{value} -d {quote(action.help or '')}\n"


def render() -> dict[str, str]:
    """Give the text of each file by its name."""
    bash = write_bash()
    return {"bash": NOTE + bash, "zsh": NOTE + ZSH + bash, "fish": NOTE + "".join(write_fish())}


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for shell, text in render().items():
        (FOLDER / f"doorman.{shell}").write_text(text, "utf-8")
