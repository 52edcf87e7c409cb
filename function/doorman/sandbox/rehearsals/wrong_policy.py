"""A wrong policy is rolled out, and runs, before somebody sees it; it is rolled back, and what it did is put right."""

from doorman.sandbox.rehearsals.harness import POLICY, Stage
from doorman.sandbox.world import BANNED, GOLDEN, STRANGER

BROKEN = POLICY.replace("decision: accept", "decision: acept")
SWAPPED = POLICY.replace(GOLDEN, "?").replace(BANNED, GOLDEN).replace("?", BANNED)


def play(stage: Stage) -> None:
    """Roll out a broken policy, then a wrong one; roll back; look; enforce."""
    project = stage.projects[0]
    golden = [(stage.cloud.add_share(GOLDEN, project), project) for _ in range(3)]
    banned = [(stage.cloud.add_share(BANNED, project), project) for _ in range(2)]
    stranger = [(stage.cloud.add_share(STRANGER, project), project)]
    stage.say("Somebody mistypes a word. Nothing starts with such a policy, so nothing can go wrong:\n")
    stage.write_policy(BROKEN)
    refused, _ = stage.doorman("run")
    stage.say("\nSomebody swaps two owners. That is a sound policy, only not the one that was meant:\n")
    stage.write_policy(SWAPPED)
    stage.doorman("run")
    harm = (stage.stand(golden), stage.stand(banned))
    stage.say("\nIt is rolled back. What would have been decided otherwise shows at once:\n")
    stage.write_policy(POLICY)
    code, _ = stage.doorman("reconcile")
    stage.say("\nAnd is put right:\n")
    repaired, _ = stage.doorman("reconcile", "--enforce", "--yes")
    stage.see("the mistyped policy was refused with exit code 2", holds=refused == 2)  # noqa: PLR2004 - wrong usage
    stage.see("the wrong one did harm", holds=harm == ({"rejected"}, {"accepted"}))
    stage.see(
        "reconcile said so with exit code 1, and with 0 once it was told to enforce", holds=(code, repaired) == (1, 0)
    )
    stage.see("everything stands as the right policy wants it", holds=stage.stand(golden) == {"accepted"})
    stage.see("what was let in by mistake is out again", holds=stage.stand(banned) == {"rejected"})
    stage.see("what waits for a person still waits", holds=stage.stand(stranger) == {"pending"})
