"""`doorman reconcile`: what was settled earlier against today's policy; changes nothing unless it is told to."""

import asyncio
import sys
from argparse import ArgumentParser, Namespace
from functools import partial
from uuid import uuid4

from doorman.entrypoints.cli.output import ask, complain, cut, is_screen, say, table
from doorman.entrypoints.cli.progress import supervise
from doorman.entrypoints.cli.run import FAILED, configure_look, exit_code, is_failed, open_look, show_report
from doorman.entrypoints.cli.session import Session
from doorman.entrypoints.cli.tables import lines, still_drifted, uses
from doorman.handlers.reconcile import reconcile
from doorman.handlers.run import Report, Run
from doorman.planning.drift import PERHAPS_PERSON


def configure(parser: ArgumentParser) -> None:
    """Declare the command's arguments."""
    configure_look(parser)
    parser.add_argument("--enforce", action="store_true", help="settle anew what the policy accepts or rejects")
    parser.add_argument("--yes", action="store_true", help="with --enforce: do it without showing it first and asking")
    parser.add_argument(
        "--usage", action="store_true", help="list the servers booted from shares that should not be used"
    )


def run(arguments: Namespace) -> int:
    """Compare, tell, and with `--enforce` settle anew; 1 as long as something stands otherwise."""
    if arguments.enforce and not arguments.yes:
        # The look is not yet what is told: it must not be remembered as such.
        look = Namespace(**{**vars(arguments), "state": None, "new": False})
        code, is_any = asyncio.run(_run(look, is_enforced=False))
        if code != FAILED:
            return code
        if not is_any or not ask("settle anew what the policy accepts or rejects?"):
            complain("nothing was changed")
            return FAILED
    return asyncio.run(_run(arguments, is_enforced=arguments.enforce))[0]


async def _run(arguments: Namespace, *, is_enforced: bool) -> tuple[int, bool]:
    """Give the exit code, and whether something drifted that the policy would settle anew."""
    is_telling = is_enforced or not arguments.enforce
    async with open_look(arguments, is_telling=is_telling) as session:
        once = Run(
            session.projects,
            run_id=f"reconcile-{uuid4()}",
            task=partial(reconcile, is_enforced=is_enforced, has_usage=arguments.usage),
        )
        report, stop = await supervise(once, session.named, show=partial(_show, arguments, session))
        left = still_drifted(lines(report.told))
        # What a person may have wanted is no failure.
        is_done = all(PERHAPS_PERSON.items() <= (line.entry["facts"] or {}).items() for line in left)
        is_done &= report.is_faultless and not is_failed(arguments, session, report)
        is_any = any(line.entry["decision"] != "hold" for line in left)
        return exit_code(is_done=is_done, stop=stop), is_any


def _show(arguments: Namespace, session: Session, report: Report) -> None:
    show_report(arguments, session, report, nothing="nothing drifted")
    if arguments.usage and not arguments.json:
        rows = uses(report.events, session.known)
        say()
        for line in table(rows) if rows else ["no server was booted from a share that should not be used"]:
            say(cut(line) if is_screen(sys.stdout) else line)
