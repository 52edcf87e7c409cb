"""`doorman notify --test`: one message to each channel; and how `run --notify` tells people each new thing once."""

import asyncio
import os
from argparse import ArgumentParser, Namespace
from collections.abc import Iterable, Mapping

from doorman.entrypoints.cli.output import complain, read_text, say
from doorman.entrypoints.cli.state_file import keys_of_people, read_keys, write_keys
from doorman.errors import Misconfigured, Unavailable
from doorman.models import CloudEvent
from doorman.planning.notices import Message, News, pick, read_news, write_message
from doorman.policy.policy import load_file
from doorman.settings import VARIABLES
from doorman.sinks.chat import Service, open_channels

DONE, NOT_SENT = 0, 1
TEST = Message(title="Doorman: a test", body="Whoever reads this will hear of shares here.", severity="info")

Services = Mapping[str, Service]


def configure(parser: ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("--test", action="store_true", required=True, help="send one message to each channel")
    parser.add_argument("--policy", metavar="FILE", help="policy file (default: DOORMAN_POLICY, else policy.yaml)")


def run(arguments: Namespace) -> int:
    """Send one message to each channel, and say what became of it."""
    return asyncio.run(_test(_open(arguments)))


def _open(arguments: Namespace) -> Services:
    file = os.environ.get("DOORMAN_CHANNELS")
    if not file:
        raise Misconfigured("DOORMAN_CHANNELS: missing; set it to the file of channels")
    path = arguments.policy or os.environ.get("DOORMAN_POLICY") or VARIABLES["DOORMAN_POLICY"]
    policy, _ = load_file(read_text(path), file=path)
    return open_channels(read_text(file), file=file, policy=policy, environ=os.environ)


def open_for_run(arguments: Namespace) -> Services:
    """Open the channels of `run --notify`; there are none without it.

    Raises:
        Misconfigured: something is missing or wrong: nothing is done then.
    """
    if not getattr(arguments, "notify", False):
        return {}
    if arguments.dry_run:
        raise Misconfigured("--notify: a dry run changes nothing that people could be told of")
    if not arguments.state:
        raise Misconfigured("--notify: needs --state FILE, which remembers what people were told")
    read_keys(arguments.state)
    return _open(arguments)


async def tell(
    events: Iterable[CloudEvent], services: Services, *, names: Mapping[str, str], state: str, is_whole: bool
) -> bool:
    """Tell each channel what it has not heard yet; what is told no more is forgotten, so that it is told again.

    Args:
        names: the policy's groups by the project IDs in them.
        state: the file that remembers.
        is_whole: every share was looked at; otherwise nothing is forgotten.

    Returns:
        Whether every channel took its message. What one did not take is told it the next time.
    """
    news = [each for event in events for each in read_news(event)[1]]
    keys = read_keys(state)
    heard = {key for key in keys_of_people(keys) if key.partition(" ")[0] in services}
    is_done = True
    for name, service in services.items():
        mine = {key for key in heard if key.startswith(f"{name} ")}
        known = {key.partition(" ")[2] for key in mine}
        picked = pick(service.channel, news, known=known, is_each=True)
        is_taken = not picked or await _send(service, picked, names)
        is_done &= is_taken
        now = mine | (_keys(name, picked) if is_taken else set())
        heard = (heard - mine) | (now & _keys(name, news) if is_whole else now)
        write_keys(state, (keys - keys_of_people(keys)) | heard)
    return is_done


def _keys(name: str, news: Iterable[News]) -> set[str]:
    return {f"{name} {each.mark}" for each in news if each.image_id}  # what cannot be read is told at each run


async def _send(service: Service, news: list[News], names: Mapping[str, str]) -> bool:
    try:
        await service.send(write_message(news, names=names, limit=service.limit))
    except Unavailable as error:
        complain(str(error))
        return False
    return True


async def _test(services: Services) -> int:
    code = DONE
    for name, service in services.items():
        try:
            await service.send(TEST)
            say(f"channel {name}: sent")
        except Unavailable as error:
            say(str(error))
            code = NOT_SENT
    return code
