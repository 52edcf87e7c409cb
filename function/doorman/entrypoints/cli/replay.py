"""`doorman replay`: shows dead letters and why each died, sends them again when told to, or collects them."""

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from shutil import get_terminal_size
from textwrap import wrap
from typing import Final

import httpx
from pydantic_core import to_json

from doorman.entrypoints.cli import dead_letter_sink
from doorman.entrypoints.cli.output import bare, read_bytes, say, table
from doorman.entrypoints.cli.tables import NOTHING
from doorman.errors import Misconfigured, Unavailable
from doorman.events.dead_letters import Letter, read_letters
from doorman.parsing import counted, visible
from doorman.runtime.http import open_sender, parse_url

TIMEOUT: Final = 60.0
HEADING: Final = ("ID", "TYPE", "PROJECT", "IMAGES", "CODE", "WHY", "SAID")
_STRUCTURED: Final = {"content-type": "application/cloudevents+json"}


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("source", metavar="FILE|URL", help="a file of dead letters, or where they can be fetched")
    parser.add_argument("--send", action="store_true", help="send them again; without it they are only shown")
    parser.add_argument("--only", action="append", default=[], metavar="ID", help="only this event; may be repeated")
    parser.add_argument("--to", metavar="URL", help="the broker to send them to (default: K_SINK)")
    parser.add_argument("--json", action="store_true", help="write one JSON object a line")
    parser.add_argument(
        "--collect", metavar="[HOST:]PORT", help="be a dead letter sink there, and append what comes to FILE"
    )
    parser.add_argument("--give", action="store_true", help="give what was collected to other machines as well")


def run(arguments: argparse.Namespace) -> int:
    """Show or send dead letters; 1 where one could not be sent.

    Raises:
        Misconfigured: an argument is wrong.
        Unavailable: they cannot be fetched now.
        Rejected: what was read are no dead letters.
    """
    if arguments.collect:
        return dead_letter_sink.collect(arguments.source, arguments.collect, is_giving=arguments.give)
    url = _find_sink(arguments) if arguments.send else ""
    letters = _choose(read_letters(_read(arguments.source), bare(arguments.source)), arguments.only)
    with open_sender(url, timeout=TIMEOUT) as client:
        results = [_send(client, url, letter) if url else None for letter in letters]
    _show(letters, results, arguments)
    return 0 if all(result is None or result.startswith("sent") for result in results) else 1


def _find_sink(arguments: argparse.Namespace) -> str:
    url = arguments.to or os.environ.get("K_SINK") or ""
    if not url.startswith(("http://", "https://")):
        raise Misconfigured("--to: name the broker's URL, or set K_SINK to it")
    return str(url)


def _read(source: str) -> bytes:
    if not source.startswith(("http://", "https://")):
        return read_bytes(source)
    try:
        with open_sender(source, timeout=TIMEOUT) as client:
            answer = client.get(parse_url(source))
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise Unavailable(f"{bare(source)}: cannot be fetched ({type(error).__name__})") from error
    if not answer.is_success:
        raise Unavailable(f"{bare(source)}: answered {answer.status_code}")
    return answer.content


def _choose(letters: list[Letter], ids: list[str]) -> list[Letter]:
    known = {letter.key[1] for letter in letters}
    if strange := [each for each in ids if each not in known]:
        raise Misconfigured(f"--only: there is no dead letter with the id {strange[0]}")
    return [letter for letter in letters if not ids or letter.key[1] in ids]


def _send(client: httpx.Client, url: str, letter: Letter) -> str:
    if not letter.event:
        return "not sent (no event)"
    try:
        answer = client.post(parse_url(url), content=to_json(letter.revive()), headers=_STRUCTURED)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        return f"not sent ({type(error).__name__})"
    word = "sent" if answer.is_success else "not taken"
    return f"{word} ({answer.status_code})"


def _show(letters: list[Letter], results: list[str | None], arguments: argparse.Namespace) -> None:
    if arguments.json:
        for letter, result in zip(letters, results, strict=True):
            say(to_json(_describe(letter, result)).decode())
        return
    heading = (*HEADING, *(("SENT",) if arguments.send else ()))
    rows = [(*_row(letter), *((result,) if result else ())) for letter, result in zip(letters, results, strict=True)]
    lay_out = _blocks if sys.stdout.isatty() else table
    for line in lay_out([heading, *rows]) if rows else []:
        say(line)
    note = "" if arguments.send or not letters else ": nothing was sent, --send sends them again"
    say(f"{counted(len(letters), 'dead letter')}{note}")


def _blocks(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Lay out each row below the other, a cell a line, for a screen that is narrower than a table of them."""
    names, *letters = rows
    for event_id, kind, *cells in letters:
        yield f"{event_id}  {kind}"
        for name, cell in zip(names[2:], cells, strict=True):
            if cell != NOTHING:
                shown = visible(f"  {name.lower():8}{cell}")
                yield from wrap(shown, get_terminal_size().columns, subsequent_indent=" " * 10)


def _row(letter: Letter) -> tuple[str, ...]:
    told = _describe(letter, None)
    cells = (told["id"], told["type"], told["project_id"], told["images"], told["code"], told["why"], told["said"])
    return tuple(" ".join(str(cell or NOTHING).split()) for cell in cells)


def _describe(letter: Letter, result: str | None) -> dict[str, str | int | None]:
    data = letter.event.get("data")
    data = data if isinstance(data, dict) else {}
    images = data.get("images")
    return {
        "id": letter.key[1],
        "source": letter.key[0],
        "type": str(letter.event.get("type", "")),
        "project_id": str(data.get("project_id") or ""),
        "images": len(images) if isinstance(images, list) else None,
        "code": letter.code,
        "why": letter.why,
        "said": letter.said,
        "result": result,
    }
