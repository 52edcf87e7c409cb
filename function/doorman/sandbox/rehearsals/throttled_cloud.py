"""The cloud throttles everything for a while: a run waits it out without a storm of calls, or the next one goes on."""

import threading
import time

from doorman.sandbox.rehearsals.harness import Stage
from doorman.sandbox.world import GOLDEN

SECONDS = 4.0
CALLS_A_SECOND = 12.0
"""Not to be exceeded by one run over three projects while everything is refused."""


def play(stage: Stage, *, seconds: float = SECONDS) -> None:
    """Refuse every call of the image service for some seconds, while a run begins."""
    shares = [(stage.cloud.add_share(GOLDEN, project), project) for project in stage.projects for _ in range(8)]
    stage.cloud.faults.add("flow_control", path="/v[12]/(cloud)?images", retry_after=1)
    stage.say(f"For {seconds:g} s the cloud answers everything with its error for flow control (IMG.0060).\n")
    healed = threading.Timer(seconds, stage.cloud.faults.clear)
    started = time.time()
    healed.start()
    code, _ = stage.doorman("run")
    healed.join()
    struck = [call for call in stage.cloud.calls if call.fault]
    rate = len(struck) / seconds
    stage.say(f"\nthe run took {time.time() - started:.1f} s; {len(struck)} calls were refused, {rate:.1f} a second")
    stage.say("What lasts longer than half a minute ends a run with exit code 1, and the next one goes on.\n")
    stage.see("the run went on by itself once the cloud let it", holds=code == 0)
    stage.see("every share is accepted", holds=stage.stand(shares) == {"accepted"})
    stage.see(f"at most {CALLS_A_SECOND:g} calls a second met the throttle", holds=rate <= CALLS_A_SECOND)
