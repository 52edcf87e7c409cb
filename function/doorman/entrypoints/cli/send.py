"""`doorman send`: posts event files as CloudEvents, as they are: also malformed ones, to see them refused."""

import argparse
import os
from typing import Final

import httpx

from doorman.entrypoints.cli.output import bare, read_bytes, say
from doorman.events.files import read_message
from doorman.runtime.http import open_sender, parse_url

_LOCAL: Final = "http://127.0.0.1:8080"
_TIMEOUT: Final = 30.0


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("events", nargs="+", metavar="EVENT", help="event files: JSON, a batch, or a whole request")
    parser.add_argument("--to", metavar="URL", help=f"a broker or function (default: K_SINK, else {_LOCAL})")


def run(arguments: argparse.Namespace) -> int:
    """Post each file; 1 where one was not taken."""
    named = arguments.to or os.environ.get("K_SINK")
    url, hint = named or _LOCAL, "" if named else " (the default: K_SINK or --to names another)"
    with open_sender(url, timeout=_TIMEOUT) as client:
        taken = [_send(client, url, file, hint=hint) for file in arguments.events]
    return 0 if all(taken) else 1


def _send(client: httpx.Client, url: str, file: str, *, hint: str) -> bool:
    message = read_message(read_bytes(file))
    try:
        headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in message.headers.items()]
        answer = client.post(parse_url(url), content=message.body, headers=headers)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        # of a URL that is none, the error quotes a part, which may be half a password
        why = "this is no URL" if isinstance(error, httpx.InvalidURL) else str(error) or type(error).__name__
        say(f"{file}: not sent to {bare(url)}{hint}: {why}", style="red")
        return False
    text = f"{file}: {answer.status_code} {answer.reason_phrase}: {answer.text.strip()}"
    say(text.removesuffix(": "), style="green" if answer.is_success else "red")
    return answer.is_success
