"""What Kustomize makes of `deploy/kustomize` is the template, and every overlay of it passes the same checks."""

import os
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.fill_in import fill, without_kafka
from deploy.ready_made import render
from doorman.planning import channels
from doorman.policy.policy import load_file
from doorman.settings import Settings
from tests.template.checker import check, read
from tests.template.mutants import IMAGE, POLICY, TEMPLATE
from tests.template.whole import environment, target

ROOT = TEMPLATE.parent
OVERLAYS = ROOT / "deploy" / "kustomize" / "overlays"
COMPONENTS = OVERLAYS.parent / "components"
SAMPLE = ROOT / "examples" / "kubernetes" / "gitops"
pytestmark = pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not installed")

Documents = dict[tuple[str, str], Any]


@cache
def build(folder: Path) -> str:
    """Give what `kubectl kustomize` prints."""
    return subprocess.run(["kubectl", "kustomize", folder], check=True, capture_output=True, text=True).stdout


def parsed(text: str) -> Documents:
    """Read all documents, by kind and name; the policy's name is the hash of its content, in one way or the other."""
    plain = re.sub(r"\bpolicy-[0-9a-z]{10}\b", "policy", text)
    return {(each["kind"], each["metadata"]["name"]): each for each in yaml.safe_load_all(plain)}


def own(folder: Path, *, overlay: str = "kafka", components: list[str] | None = None) -> Path:
    """Make a folder of one's own out of the sample: its addresses point here, and all is filled in."""
    text = (SAMPLE / "kustomization.yaml").read_text("utf-8").replace("FILL-IN-DIGEST", "1" * 64)
    here = os.path.relpath(ROOT, folder.resolve())
    sample = yaml.safe_load(text.replace("../../..", here).replace("overlays/kafka", f"overlays/{overlay}"))
    if components is not None:
        sample["components"] = [os.path.relpath(COMPONENTS / each, folder.resolve()) for each in components]
    if overlay == "in-memory":
        sample["configMapGenerator"].pop()
    sample["namespace"] = "doorman2"
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(sample))
    (folder / "policy.yaml").write_text(POLICY)
    return folder


def test_the_template_is_the_default_overlay() -> None:
    """Letter by letter, the comments aside; and the Namespace stands first."""
    made = build(OVERLAYS / "kafka")
    assert parsed(made) == parsed(TEMPLATE.read_text("utf-8"))
    assert made.startswith("apiVersion: v1\nkind: Namespace\n")


def test_the_trial_is_the_same_by_both_ways() -> None:
    """`fill_in.py --in-memory` and the overlay."""
    assert parsed(build(OVERLAYS / "in-memory")) == parsed(without_kafka(TEMPLATE.read_text("utf-8")))


def test_audit_and_enforce_differ_in_the_mode_alone() -> None:
    """The default is audit."""
    audit, enforce = build(OVERLAYS / "audit"), build(OVERLAYS / "enforce")
    assert audit == build(OVERLAYS / "kafka")
    assert enforce == audit.replace("value: audit", "value: enforce")
    assert enforce.count("value: enforce") == 3


@pytest.mark.parametrize("overlay", ["kafka", "in-memory", "audit", "enforce"])
def test_an_overlay_in_another_namespace_is_complete(overlay: str, tmp_path: Path) -> None:
    """All of it is there, filter and Brokers included, and nothing is left to fill in."""
    made = build(own(tmp_path, overlay=overlay, components=[]))
    assert check(made) == []
    values = {"namespace": "doorman2", "image": IMAGE, "policy": POLICY}
    text = TEMPLATE.read_text("utf-8")
    if overlay == "in-memory":
        filled = fill(without_kafka(text), **values)
    else:
        filled = fill(text, kafka="my-cluster-kafka-bootstrap.kafka:9092", **values)
    assert parsed(made) == parsed(filled.replace("value: audit", "value: enforce") if overlay == "enforce" else filled)


def test_the_sample_folder_passes_with_all_components(tmp_path: Path) -> None:
    """As docs/gitops.md shows it: with alerts and EventTypes, which bear the namespace and the labels too."""
    made = build(own(tmp_path))
    assert check(made) == []
    assert {kind for kind, _ in parsed(made)} >= {"PrometheusRule", "EventType"}


def test_a_namespace_set_outside_comes_too_late(tmp_path: Path) -> None:
    """Why the transformers stand beside it: the sweep would hear no tick, and the Brokers not find their config."""
    outer = {"resources": [os.path.relpath(OVERLAYS / "kafka", tmp_path.resolve())], "namespace": "doorman2"}
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump(outer))
    made = parsed(build(tmp_path))
    assert made["Trigger", "sweep"]["metadata"]["namespace"] == "doorman2"
    source = "/apis/v1/namespaces/FILL-IN-NAMESPACE/pingsources/"
    assert made["Trigger", "sweep"]["spec"]["filters"][1] == {"prefix": {"source": source}}
    assert made["Broker", "default"]["spec"]["config"]["namespace"] == "FILL-IN-NAMESPACE"


def test_the_cron_overlay_is_the_sample_in_a_namespace_of_its_own() -> None:
    """No Knative, no broker; each document is one that Kubernetes takes."""
    words = {"FILL-IN-NAMESPACE": "doorman", "FILL-IN-REGISTRY": "registry.example.com", "0" * 64: "1" * 64}
    made = build(OVERLAYS / "cron")
    for word, value in words.items():
        made = made.replace(word, value)
    documents = parsed(made)
    assert [*documents] == [("Namespace", "doorman"), ("ConfigMap", "doorman-policy"), ("CronJob", "doorman")]
    found = [read(each).metadata.model_dump().get("namespace") for each in documents.values()]
    assert found == [None, *["doorman"] * 2]
    sample = parsed((ROOT / "examples" / "kubernetes" / "cronjob.yaml").read_text("utf-8"))
    pods = [
        each["CronJob", "doorman"]["spec"]["jobTemplate"]["spec"]["template"]["spec"] for each in (documents, sample)
    ]
    assert pods[0]["volumes"] == pods[1]["volumes"]


def test_the_overlay_that_tells_people_adds_what_it_needs(tmp_path: Path) -> None:
    """All else is as without it; each channel has a Trigger whose path names it, and the sweep hears the daily tick."""
    folders = (tmp_path / "with", tmp_path / "without")
    for folder in folders:
        folder.mkdir()
    documents = parsed(build(own(folders[0], overlay="notify", components=["enforce"])))
    own_ones = [("Service", "notify"), ("Trigger", "notify-ops"), ("PingSource", "sweep-daily")]
    service, trigger, tick = (documents.pop(each) for each in own_ones)
    (name,) = [name for kind, name in documents if name.startswith("channels-")]
    config = documents.pop(("ConfigMap", name))
    assert documents == parsed(build(own(folders[1], components=["enforce"])))
    path = trigger["spec"]["subscriber"].pop("uri")
    assert read(tick).spec.ce_overrides.extensions == {"daily": "true"}
    assert read(trigger).spec.subscriber.ref.name == "notify"
    assert tick["metadata"]["namespace"] == "doorman2"
    settings, policy = read(service), load_file(POLICY)[0]
    env, volumes = environment(settings), {each.name: each for each in settings.spec.template.spec.volumes}
    assert (target(settings), env["DOORMAN_MODE"]) == ("notify", "enforce")
    assert (volumes["channels"].config_map.name, volumes["policy"].config_map.name) == (name, "policy")
    Settings.from_environ(env, is_sink_required=False, is_telling=True)
    (channel,) = channels.load(
        config["data"]["channels.yaml"], file="c", policy=policy, environ={"OPS_URL": "json://x"}
    )
    assert path == f"/{channel.name}"
    assert [read(each).spec.template.spec.containers[0].image for each in (service, documents["Service", "sweep"])] == [
        IMAGE
    ] * 2


def test_what_is_ready_made_says_what_its_sources_say() -> None:
    """Alerts and event types: `python -m deploy.ready_made` would change nothing."""
    assert {path: path.read_text("utf-8") for path in render()} == render()
