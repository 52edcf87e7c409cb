"""An owner whose images were accepted for months turns out to be compromised: everything of it is taken back."""

from doorman.sandbox.rehearsals.harness import PARTNER, POLICY, Stage
from doorman.sandbox.world import GOLDEN, STRANGER

TRUSTED = POLICY.replace("rules:\n", f"rules:\n  - {{name: partner, owners: [{PARTNER}], decision: accept}}\n")
COMPROMISED = POLICY.replace("rules:\n", f"rules:\n  - {{name: compromised, owners: [{PARTNER}], decision: reject}}\n")


def play(stage: Stage) -> None:
    """Accept, learn of it, change the policy, look, enforce."""
    stage.write_policy(TRUSTED)
    bad, good = _share(stage, PARTNER), _share(stage, GOLDEN)
    strangers = _share(stage, STRANGER)
    stage.doorman("run", is_shown=False)
    by_hand = {strangers[0]: "approve", strangers[1]: "reject"}
    for (image, project), verb in by_hand.items():
        stage.doorman(verb, image, "--project", project, "--reason", "ticket 4711", "--yes", is_shown=False)
    used = [stage.cloud.add_server(project, image, name="shop").id for image, project in bad[::2]]
    for image, project in good:
        stage.cloud.add_server(project, image)
    stage.say(
        f"{len(bad)} images of the partner are accepted in {len(stage.projects)} projects, {len(used)} servers run"
    )
    stage.say("from them. Then the partner calls: its project was taken over. The policy gets a rule, and you look.\n")
    stage.write_policy(COMPROMISED)
    before = len(stage.cloud.writes)
    stage.doorman("reconcile", "--usage")
    after = len(stage.cloud.writes)
    stage.say("\nNothing is changed yet. Now it is:\n")
    _, said = stage.doorman("reconcile", "--enforce", "--yes", "--usage")
    stage.see("looking wrote nothing", holds=before == after)
    stage.see(
        "every share of the compromised owner is rejected, in every project", holds=stage.stand(bad) == {"rejected"}
    )
    stage.see("the servers that were booted from them are listed", holds=all(server in said for server in used))
    stage.see("the shares of the others stand as they stood", holds=stage.stand(good) == {"accepted"})
    stage.see(
        "what a person decided by hand is untouched",
        holds=[stage.stand([share]) for share in by_hand] == [{"accepted"}, {"rejected"}],
    )


def _share(stage: Stage, owner: str) -> list[tuple[str, str]]:
    """Share two images of an owner with each project; image and project of each."""
    return [
        (stage.cloud.add_share(owner, project, name=f"image-{number}"), project)
        for project in stage.projects
        for number in range(2)
    ]
