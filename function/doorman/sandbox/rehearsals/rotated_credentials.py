"""The password is changed while a run is at work: the new one is read from clouds.yaml, and nothing is restarted."""

from doorman.sandbox.rehearsals.harness import PASSWORD, USER, Stage
from doorman.sandbox.serving import await_that
from doorman.sandbox.world import GOLDEN

JOB_SECONDS = 2.0
NEW = "a-new-password"
CLOUDS = """\
clouds:
  doorman:
    auth: {{auth_url: "{url}/identity/v3", username: {user}, password: {password}, user_domain_name: Default, project_id: {project}}}
    region_name: {region}
"""  # noqa: E501 - one entry, as short as clouds.yaml has it


def play(stage: Stage) -> None:
    """Change the password before a run, and in the middle of another one."""
    project = stage.projects[0]
    first = [(stage.cloud.add_share(GOLDEN, project), project)]
    _write(stage, PASSWORD)
    _rotate(stage, "somebody-changed-it")
    stage.say("The password was changed, and nobody told Doorman. It says so, and the share waits:\n")
    settings = {"OS_CLOUD": "doorman", "OS_CLIENT_CONFIG_FILE": str(stage.folder / "clouds.yaml"), "OS_PROJECT_ID": ""}
    refused, said = stage.doorman("run", settings=settings)
    waited = stage.stand(first)
    _write(stage, "somebody-changed-it")
    stage.say("\nThe file gets the new one. A run begins, and while its job runs the password is changed again, as a")
    stage.say("rotation does: the cloud first, the file right after, and all tokens of old are void.\n")
    stage.cloud.settings.job_seconds = JOB_SECONDS
    process = stage.start("run", settings=settings)
    await_that(lambda: bool(stage.cloud.jobs))
    _rotate(stage, NEW)
    _write(stage, NEW)
    output, _ = process.communicate()
    stage.say(output)
    stage.see("the refused login was told, and without the password", holds=refused == 1 and PASSWORD not in said)
    stage.see("nothing was lost meanwhile", holds=waited == {"pending"})
    stage.see("the run that was in the middle ended well", holds=process.returncode == 0)
    stage.see("the share is accepted", holds=stage.stand(first) == {"accepted"})


def _rotate(stage: Stage, password: str) -> None:
    """Change the password at the cloud; what was issued for the old one is void."""
    for user in stage.cloud.directory.users.values():
        if user.name == USER:
            user.password = password
    stage.cloud.directory.tokens.clear()


def _write(stage: Stage, password: str) -> None:
    text = CLOUDS.format(
        url=stage.url, user=USER, password=password, project=stage.projects[0], region=stage.cloud.settings.region
    )
    (stage.folder / "clouds.yaml").write_text(text)
