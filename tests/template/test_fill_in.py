"""Filling in changes the words to fill in and the policy, and nothing else."""

import subprocess
import sys
from pathlib import Path

import pytest

from deploy.fill_in import NotFilledIn, fill, hash_of, main, policy_of, without_kafka
from tests.template.mutants import IMAGE, TEMPLATE

TEXT = TEMPLATE.read_text("utf-8")
POLICY = "version: 1\ndefault: hold\n\nrules: [] # none yet\n"
VALUES = {"namespace": "doorman", "image": IMAGE, "kafka": "kafka.kafka:9092", "policy": POLICY}


def test_the_name_of_the_policy_is_the_hash_that_sha256sum_prints(tmp_path: Path) -> None:
    """Anybody can name the ConfigMap without this program."""
    (tmp_path / "policy.yaml").write_text(POLICY)
    printed = subprocess.run(["sha256sum", tmp_path / "policy.yaml"], check=True, capture_output=True, text=True).stdout
    assert hash_of(POLICY) == printed[:10]


def test_the_policy_is_taken_over_to_the_letter() -> None:
    """Comments and empty lines are part of it, and of its hash."""
    filled = fill(TEXT, **VALUES)
    assert policy_of(filled) == POLICY
    assert filled.count(f"policy-{hash_of(POLICY)}\n") == 4


def test_filling_in_again_only_renames() -> None:
    """A filled-in file whose policy was edited gets its new name, and keeps all else."""
    filled = fill(TEXT, **VALUES)
    edited = filled.replace("default: hold", "default: reject")
    renamed = hash_of(POLICY.replace("hold", "reject"))
    assert fill(filled) == filled
    assert fill(edited) == edited.replace(hash_of(POLICY), renamed)


def test_comments_survive() -> None:
    """Whoever reads the result learns the same reasons; only the lines that say what to fill in are gone."""
    lost = [
        line for line in TEXT.splitlines() if line.startswith("#") and line not in fill(TEXT, **VALUES).splitlines()
    ]
    assert all("FILL-IN" in line for line in lost)
    assert len(lost) == 4


@pytest.mark.parametrize(
    ("values", "fault"),
    [
        ({"namespace": "Doorman"}, "--namespace: lower case, digits and -, at most 63; got 'Doorman'"),
        ({"image": "doorman:latest"}, "--image: by digest, registry/path@sha256:<64 hex digits>; got 'doorman:latest'"),
        ({"kafka": "kafka"}, "--kafka: host:port, several with commas; got 'kafka'"),
        ({"image": ""}, "still to fill in: FILL-IN-REGISTRY; the top of the template says with what"),
        ({"policy": ""}, "still to fill in: FILL-IN-OWNER; the top of the template says with what"),
        (
            {"policy": "version: 1\ndefault: accept\n"},
            'policy.yaml:2:10: `default` must be `hold` or `reject`, not the text "accept"',
        ),
    ],
)
def test_a_wrong_or_missing_value_is_named(values: dict[str, str], fault: str) -> None:
    """The message says which one and how it should look."""
    with pytest.raises(NotFilledIn) as raised:
        fill(TEXT, **{**VALUES, **values})
    assert str(raised.value) == fault


def test_a_template_without_its_policy_is_named() -> None:
    """The block is found by its first line."""
    with pytest.raises(NotFilledIn, match=r"no block `  policy\.yaml: \|` any more"):
        policy_of("kind: Namespace\n")


def test_the_command_prints_what_kubectl_takes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Standard output holds the whole file."""
    (tmp_path / "policy.yaml").write_text(POLICY)
    options = f"--namespace=doorman --image={IMAGE} --kafka=kafka.kafka:9092 --policy={tmp_path}/policy.yaml"
    assert main([str(TEMPLATE), *options.split()]) == 0
    assert capsys.readouterr() == (fill(TEXT, **VALUES), "")


def test_the_command_makes_a_trial_without_kafka(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Then nobody is asked for Kafka's address."""
    (tmp_path / "policy.yaml").write_text(POLICY)
    options = f"--in-memory --namespace=d --image={IMAGE} --policy={tmp_path}/policy.yaml"
    assert main([str(TEMPLATE), *options.split()]) == 0
    trial = fill(without_kafka(TEXT), namespace="d", image=IMAGE, policy=POLICY)
    assert capsys.readouterr() == (trial, "")
    assert trial.count("broker.class: MTChannelBasedBroker") == 2


def test_a_policy_that_cannot_be_checked_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the package nobody would know whether the functions can start with it; nothing is skipped in silence."""
    monkeypatch.setitem(sys.modules, "doorman.policy.policy", None)
    with pytest.raises(NotFilledIn, match=r"the policy cannot be checked without doorman\.policy\.policy: pip install"):
        fill(TEXT, **VALUES)


def test_the_command_needs_nothing_but_python_to_say_what_is_missing() -> None:
    """Without values it does so in one line, and prints nothing that could be applied."""
    done = subprocess.run(
        [sys.executable, "-I", TEMPLATE.parent / "deploy" / "fill_in.py", TEMPLATE],
        check=False,
        capture_output=True,
        text=True,
    )
    words = "FILL-IN-KAFKA, FILL-IN-NAMESPACE, FILL-IN-OWNER, FILL-IN-REGISTRY"
    said = f"still to fill in: {words}; the top of the template says with what\n"
    assert (done.returncode, done.stdout, done.stderr) == (1, "", said)
