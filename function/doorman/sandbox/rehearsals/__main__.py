"""`python -m doorman.sandbox.rehearsals NAME`: plays one rehearsal; exit code 0 when its end was seen."""

import argparse
import sys
from collections.abc import Callable

from doorman.sandbox.rehearsals import (
    compromised_owner,
    dead_letters,
    killed,
    rotated_credentials,
    throttled_cloud,
    wrong_policy,
)
from doorman.sandbox.rehearsals.harness import Stage, open_stage

REHEARSALS: dict[str, Callable[[Stage], None]] = {
    "compromised-owner": compromised_owner.play,
    "wrong-policy": wrong_policy.play,
    "throttled-cloud": throttled_cloud.play,
    "rotated-credentials": rotated_credentials.play,
    "dead-letters": dead_letters.play,
    "killed": killed.play,
}


def main(words: list[str] | None = None) -> int:
    """Play one rehearsal."""
    parser = argparse.ArgumentParser(prog="python -m doorman.sandbox.rehearsals", description=__doc__)
    parser.add_argument("name", choices=sorted(REHEARSALS))
    parser.add_argument("--times", type=int, help="how often, for `killed`")
    arguments = parser.parse_args(words)
    with open_stage() as stage:
        if arguments.name == "killed" and arguments.times:
            killed.play(stage, times=arguments.times)
        else:
            REHEARSALS[arguments.name](stage)
    return 1 if stage.failures else 0


if __name__ == "__main__":
    sys.exit(main())
