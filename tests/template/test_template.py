"""The template deploys as it stands once it is filled in, and every defect in it is found for its own reason."""

import json
import re

import pytest
import yaml

from deploy.fill_in import fill, without_kafka
from tests.template.checker import check
from tests.template.mutants import IMAGE, POLICY, TEMPLATE, filled_in, mutants, mutate

MUTANTS = mutants()


def test_the_filled_in_template_is_right() -> None:
    """Nothing to say against it."""
    assert check(filled_in()) == []


def test_the_trial_without_kafka_is_right_too() -> None:
    """The same file with Brokers in memory, and nothing of Kafka left."""
    trial = fill(without_kafka(TEMPLATE.read_text("utf-8")), namespace="doorman", image=IMAGE, policy=POLICY)
    assert check(trial) == []
    assert re.findall(r"(?m)^[^#\n]*(?:kafka|Kafka)", trial) == []


def test_the_sample_tick_passes_the_filter_of_the_sweep() -> None:
    """So that a person can ask for a sweep now, in the namespace that the docs use."""
    tick = json.loads((TEMPLATE.parent / "events" / "ping-tick.json").read_text("utf-8"))
    triggers = {each["metadata"]["name"]: each for each in yaml.safe_load_all(filled_in()) if each["kind"] == "Trigger"}
    exact, prefix = triggers["sweep"]["spec"]["filters"]
    assert exact == {"exact": {"type": tick["type"]}}
    assert tick["source"].startswith(prefix["prefix"]["source"])


def test_no_document_can_be_applied_before_it_is_filled_in() -> None:
    """The namespace stands in every document and has a name that no API server takes, so nothing is created at all."""
    faults = check(TEMPLATE.read_text("utf-8"))
    kinds = re.findall(r"(?m)^kind: (\w+)\nmetadata:\n", TEMPLATE.read_text("utf-8"))
    refused = {fault.split(":")[0] for fault in faults if fault.endswith("at most 63, got 'FILL-IN-NAMESPACE'")}
    assert (len(refused), {name.split("/")[0] for name in refused}) == (len(kinds), set(kinds))


def test_the_words_to_fill_in_are_explained_at_the_top() -> None:
    """Each word below stands in the comment that opens the file."""
    top, body = TEMPLATE.read_text("utf-8").split("\napiVersion:", 1)
    words = set(re.findall(r"FILL-IN-[A-Z]+", body))
    assert (
        words
        == set(re.findall(r"FILL-IN-[A-Z]+", top))
        == {"FILL-IN-NAMESPACE", "FILL-IN-REGISTRY", "FILL-IN-KAFKA", "FILL-IN-OWNER"}
    )


@pytest.mark.parametrize("mutant", MUTANTS, ids=[each["defect"] for each in MUTANTS])
def test_a_defect_is_refused_for_its_own_reason(mutant: dict[str, object]) -> None:
    """One defect, exactly its faults."""
    assert check(mutate(filled_in(), mutant)) == mutant["refused"]
