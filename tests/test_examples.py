"""The samples in `examples/`: each passes its own tool's check, and its settings lead a run to its end."""

import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from doorman.entrypoints.cli.main import main
from doorman.planning import channels
from doorman.policy.policy import load, load_file
from doorman.sandbox.cloud import create_app
from doorman.sandbox.serving import serve
from doorman.sandbox.state import Cloud
from doorman.settings import VARIABLES
from tests.template.checker import read

EXAMPLES = Path(__file__).parents[1] / "examples"
SERVICE = EXAMPLES / "systemd" / "doorman.service"
CRONJOB = EXAMPLES / "kubernetes" / "cronjob.yaml"
GOLDEN = "9c61004714024f9586705d090530f9fa"
PROJECT = "7f2a9c4e1b6d4f0e8a3c5d7b9e1f2a4c"
ANALYZE = shutil.which("systemd-analyze")


def run(*words: str | Path) -> tuple[int, str]:
    """Run a tool: its exit code, and all that it said."""
    done = subprocess.run([*words], capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.skipif(ANALYZE is None, reason="needs systemd's own checker")
def test_the_units_are_right_and_hardened(tmp_path: Path) -> None:
    """`systemd-analyze verify` has nothing to say, and `security` finds them hardly exposed (at most 1.5 of 10)."""
    shutil.copy(EXAMPLES / "systemd" / "doorman.timer", tmp_path)
    service = tmp_path / "doorman.service"
    service.write_text(SERVICE.read_text().replace("/opt/doorman/bin/doorman", sys.executable))
    assert ANALYZE is not None
    assert run(ANALYZE, "verify", service, tmp_path / "doorman.timer") == (0, "")
    (tmp_path / "doorman.service.d").mkdir()
    notify = (EXAMPLES / "systemd" / "notify.conf").read_text().replace("/opt/doorman/bin/doorman", sys.executable)
    (tmp_path / "doorman.service.d" / "notify.conf").write_text(notify)
    assert run(ANALYZE, "verify", service) == (0, "")
    code, said = run(ANALYZE, "security", "--offline=true", "--threshold=15", service)
    assert code == 0, said


def test_the_channels_are_sound() -> None:
    """With the groups of the sample policy, each by its own name."""
    policy, _ = load_file((EXAMPLES / "policy.yaml").read_text())
    environ = dict.fromkeys(("SLACK_URL", "MAIL_URL", "PAGER_URL"), "json://localhost")
    found = channels.load((EXAMPLES / "channels.yaml").read_text(), file="c", policy=policy, environ=environ)
    assert [channel.name for channel in found] == ["ops", "partners", "pager"]


def test_the_hooks_are_commands_of_ours() -> None:
    """What pre-commit runs is a question that `doorman policy` answers, and the samples pass it."""
    hooks = yaml.safe_load((EXAMPLES.parent / ".pre-commit-hooks.yaml").read_text())
    check, test = ([*hook["entry"].split()[1:], *hook.get("args", ())] for hook in hooks)
    assert main([*check, str(EXAMPLES / "policy.yaml")]) == 0
    assert main([*test[:-1], str(EXAMPLES / test[-1])]) == 0


def test_the_policy_for_plain_openstack_is_sound_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a warning; the other sample accepts something there, too."""
    monkeypatch.setenv("DOORMAN_API", "glance")
    assert main(["policy", "check", "--strict", str(EXAMPLES / "policy-glance.yaml")]) == 0
    assert main(["policy", "check", str(EXAMPLES / "policy.yaml")]) == 0


def cronjob() -> tuple[Any, Any]:
    """Read the Kubernetes sample, filled in."""
    words = {"FILL-IN-REGISTRY": "registry.example.com", "0" * 64: "5" * 64, "FILL-IN-OWNER": GOLDEN}
    text = CRONJOB.read_text()
    for word, value in words.items():
        text = text.replace(word, value)
    first, second = yaml.safe_load_all(text)
    return read(first), read(second)


def test_the_cronjob_is_what_kubernetes_takes() -> None:
    """Every field is known and strict, the pod fits the standard `restricted`, every mount has its volume."""
    config, job = cronjob()
    pod = job.spec.job_template.spec.template.spec
    (container,) = pod.containers
    assert container.command == ["doorman", "run", "--json"]
    assert {mount.name for mount in container.volume_mounts} == {volume.name for volume in pod.volumes}
    assert all(mount.read_only for mount in container.volume_mounts)
    assert config.metadata.name in {volume.config_map.name for volume in pod.volumes if volume.config_map}
    assert load(config.data["policy.yaml"]).default == "hold"


def test_every_variable_is_one_that_doorman_reads() -> None:
    """No sample sets or names what nobody looks at."""
    known = {*VARIABLES, "OS_CLOUD", "OS_CLIENT_CONFIG_FILE", "DOORMAN_CLOUDS"}
    files = [each for each in EXAMPLES.rglob("*") if each.is_file()]
    named = {word for each in files for word in re.findall(r"\b(?:OS|DOORMAN|K|LOG)_[A-Z_]+\b", each.read_text())}
    assert named <= known, named - known


def environment(sample: str) -> Mapping[str, str]:
    """Read the settings of a sample."""
    if sample == "systemd":
        return dict(re.findall(r"(?m)^Environment=(\w+)=(.*)$", SERVICE.read_text()))
    if sample == "kubernetes":
        (container,) = cronjob()[1].spec.job_template.spec.template.spec.containers
        return {each.name: each.value or "" for each in container.env}
    if sample == "github":
        return dict(re.findall(r"--env (\w+)=(\S+)", (EXAMPLES / "github" / "doorman.yml").read_text()))
    jobs: dict[str, Any] = yaml.safe_load((EXAMPLES / "gitlab" / "gitlab-ci.yml").read_text())
    return {**jobs["variables"], **jobs["run"]["variables"]}


@pytest.mark.parametrize("sample", ["systemd", "kubernetes", "github", "gitlab"])
def test_its_settings_lead_a_run_to_its_end(
    sample: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the clouds.yaml of the README and the CronJob's policy in place of the files that they name; audit first."""
    cloud = Cloud()
    cloud.settings.job_seconds = 0
    cloud.add_user("doorman", "...", [PROJECT], domain="OTC00000000001000000000")
    image = cloud.add_share(GOLDEN, PROJECT)
    policy = tmp_path / "policy.yaml"
    policy.write_text(cronjob()[0].data["policy.yaml"])
    (clouds,) = re.findall(r"(?m)^    clouds:\n(?:    .*\n)+", (EXAMPLES / "README.md").read_text())
    with serve(create_app(cloud)) as url:
        file = tmp_path / "clouds.yaml"
        file.write_text(re.sub(r"https://iam\S+", f"{url}/v3", re.sub(r"(?m)^    ", "", clouds)))
        for name, value in environment(sample).items():
            place = {"OS_CLIENT_CONFIG_FILE": file, "DOORMAN_POLICY": policy}.get(name, value)
            monkeypatch.setenv(name, str(place))
        assert main(["run"]) == 0
        assert capsys.readouterr().out.splitlines()[-1] == "1 share: 1 would be accepted"
        assert cloud.member_status(image, PROJECT) == "pending"
        monkeypatch.setenv("DOORMAN_MODE", "enforce")
        assert main(["run"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "1 share: 1 accepted"
    assert cloud.member_status(image, PROJECT) == "accepted"
