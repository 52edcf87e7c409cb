"""`python -m doorman.sandbox`: cloud, broker and functions until Ctrl-C; with `--demo` all samples, once through."""

import argparse
import signal
import sys
import tempfile
import time
import webbrowser
from pathlib import Path
from shlex import quote
from typing import NoReturn

from doorman.entrypoints.cli.output import read_text
from doorman.entrypoints.cli.sandbox import configure
from doorman.errors import Misconfigured
from doorman.parsing import visible
from doorman.policy.document.faults import BrokenFile
from doorman.policy.policy import load
from doorman.sandbox import replay, world
from doorman.sandbox.assembly import Stage, environment, open_stage
from doorman.sandbox.demo import Demo
from doorman.sandbox.envelope import Event, outcomes
from doorman.sandbox.processes import NotStartedError
from doorman.sandbox.report import Progress
from doorman.sandbox.samples import EVENTS, POLICY
from doorman.sandbox.serving import serve

FIXED_PORT = 8400


def main(arguments: list[str] | None = None) -> int:
    """Run; the exit code is 0 when all went as it should."""
    options = _read(arguments)
    policy = (options.policy or POLICY).resolve()  # to be pasted into any shell
    signal.signal(signal.SIGTERM, _interrupt)
    progress = Progress(sys.stdout.isatty())
    started = time.monotonic()
    try:
        if options.replay:
            _replay(options, progress)
        progress.say("Starting a cloud, a broker and triage, check_job and sweep on this machine.")
        load(read_text(str(policy)), file=str(options.policy or policy))  # once, before each function says the same
        with tempfile.TemporaryDirectory(prefix="doorman-") as folder:
            logs = Path(folder) if options.demo else None
            console = {"LOG_FORMAT": "console", "LOG_LEVEL": options.log_level}
            extra = {"LOG_FORMAT": "json"} if options.demo else console
            with open_stage(policy=policy, profile=options.profile, port=options.port, logs=logs, extra=extra) as stage:
                progress.say(f"Ready after {time.monotonic() - started:.1f} s.")
                return (
                    _demo(stage, progress) if options.demo else _serve(stage, progress, policy, is_shown=options.open)
                )
    except BrokenFile as error:
        print(error, file=sys.stderr)
        return 1
    except (NotStartedError, Misconfigured) as error:
        print(f"doorman sandbox: {error}", file=sys.stderr)
        return 1
    except (OSError, OverflowError) as error:  # the port is taken, or is none
        print(f"doorman sandbox: {str(error).rstrip('.')}; --port 0 takes free ports", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nEnded.")
        return 0


def _read(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="doorman sandbox", description=__doc__, allow_abbrev=False)
    configure(parser)
    return parser.parse_args(arguments)


def _replay(options: argparse.Namespace, progress: Progress) -> NoReturn:
    """Answer as a recording says."""
    try:
        recording = replay.read(options.replay)
    except (OSError, ValueError) as error:
        raise NotStartedError(f"{options.replay}: no recording ({error})") from error
    with serve(replay.create_app(recording), port=options.port) as url:
        progress.say(f"Answering at {url} as the recording in {options.replay} says, until Ctrl-C. Settings to use it:")
        for name, value in replay.environment(recording, url).items():
            progress.say(f"export {name}={quote(value)}")
        _wait()


def _demo(stage: Stage, progress: Progress) -> int:
    progress.say("Sending the sample events:")
    is_right = Demo(stage, progress).run()
    if not is_right:
        for each in stage.functions.values():
            print(f"--- {each.target}\n{each.tail()}")
        return 1
    command = _short(Path(sys.executable).with_name("doorman"))
    print("To send one by hand, leave the sandbox running in one shell:")
    print(f"  {command} sandbox --port {FIXED_PORT}")
    print("and post an event from another:")
    print(f"  {_curl(f'http://127.0.0.1:{FIXED_PORT + 1}{stage.broker.path}')}")
    print(f"  curl http://127.0.0.1:{FIXED_PORT + 1}/events")
    return 0


def _serve(stage: Stage, progress: Progress, policy: Path, *, is_shown: bool) -> int:
    progress.say(f"  page      {stage.page}")
    progress.say(f"  cloud     {stage.cloud_url}   (its state: {stage.cloud_url}/sandbox/state)")
    progress.say(f"  broker    {stage.sink}   (seen: {stage.broker_url}/events and /dead-letters)")
    for each in stage.functions.values():
        progress.say(f"  {each.target:9} {each.url}")
    progress.say("Settings for a command or a function of your own:")
    for name, value in environment(stage.cloud_url, stage.sink, policy).items():
        progress.say(f"export {name}={quote(value)}")
    progress.say("Send an event, for example:")
    progress.say(f"  {_curl(stage.sink)}")
    progress.say(f"The samples in {_short(EVENTS)} are for project {world.RECEIVER}. Ctrl-C ends everything.")
    stage.broker.on_event = _tell
    if is_shown and not webbrowser.open(stage.page):
        progress.say("No browser was found here: open the page's address in yours.")
    _wait()


def _curl(url: str) -> str:
    """Write the command that posts a sample."""
    sample = quote(f"@{_short(EVENTS / 'golden-image.json')}")
    return f"curl -i {url} -H 'Content-Type: application/cloudevents+json' --data {sample}"


def _tell(event: Event) -> None:
    """Print what became of each image, as it is told."""
    for outcome, entry in outcomes(event):
        print(f"{outcome:9} {entry['image_id']}  {visible(entry['name'] or '-')}  {entry['reason']}", flush=True)


def _wait() -> NoReturn:
    """Wait for Ctrl-C."""
    while True:
        time.sleep(3600)


def _interrupt(*_: object) -> NoReturn:
    """End as on Ctrl-C."""
    raise KeyboardInterrupt


def _short(path: Path) -> Path:
    """Write a path as seen from here, where that is shorter."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


if __name__ == "__main__":
    sys.exit(main())
