"""The image holds the pinned dependencies that the project asks for, and is started as the template starts it."""

import json
import re
import tomllib
from importlib.metadata import requires
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from doorman.version import VERSION
from tests.container.tree import ignored

PROJECT = Path(__file__).parents[2]
CONTAINERFILE = (PROJECT / "Containerfile").read_text("utf-8")
FILES = {
    "requirements.txt": [],
    "requirements-otel.txt": ["otel"],
    "requirements-openstack.txt": ["openstack"],
    "requirements-notify.txt": ["notify"],
}
"""Each with the extras that it is for."""
COMMAND_ONLY = {"rich", "jinja2"}
"""What only the command on a person's machine needs; in the image it prints plain text."""
PROJECT_FILE = tomllib.loads((PROJECT / "pyproject.toml").read_text("utf-8"))["project"]


def closure(requirements: list[str]) -> dict[str, list[Requirement]]:
    """Give every distribution that `requirements` lead to, with all that is asked of it."""
    asked: dict[str, list[Requirement]] = {}
    waiting = [(Requirement(text), "") for text in requirements]
    while waiting:
        requirement, extra = waiting.pop()
        if requirement.marker and not requirement.marker.evaluate({"extra": extra}):
            continue
        name = canonicalize_name(requirement.name)
        extras = requirement.extras or {""}
        if name not in asked or requirement.extras:
            below = [Requirement(text) for text in requires(name) or ()]
            waiting += [(each, extra) for each in below for extra in extras]
        asked.setdefault(name, []).append(requirement)
    return asked


@pytest.mark.parametrize(("file", "extras"), FILES.items())
def test_every_dependency_is_pinned_and_nothing_else(file: str, extras: list[str]) -> None:
    """What the project's own requirements lead to is what is pinned, in versions that satisfy all of them."""
    pinned = dict(re.findall(r"(?m)^([a-z0-9-]+)==(\S+)", (PROJECT / file).read_text("utf-8")))
    optional = PROJECT_FILE["optional-dependencies"]
    served = [each for each in PROJECT_FILE["dependencies"] if Requirement(each).name not in COMMAND_ONLY]
    asked = closure([*served, *(each for extra in extras for each in optional[extra])])
    assert set(asked) == set(pinned)
    assert [str(each) for name, all_ in asked.items() for each in all_ if pinned[name] not in each.specifier] == []


@pytest.mark.parametrize("file", FILES)
def test_every_pin_has_hashes_and_no_address(file: str) -> None:
    """An installer accepts no file but the known ones, wherever it finds them."""
    pins = (PROJECT / file).read_text("utf-8")
    entries = re.split(r"(?m)^(?=[a-z0-9-]+==)", pins)[1:]
    assert [entry.split("==")[0] for entry in entries if "--hash=sha256:" not in entry] == []
    assert re.findall(r"https?://|--index-url|--find-links", pins) == []


def test_the_image_carries_no_sandbox_and_no_caches() -> None:
    """What `COPY function` leaves out."""
    package = PROJECT / "function" / "doorman"
    assert ignored(str(package), ["sandbox", "__pycache__", "policy"]) == ["sandbox", "__pycache__"]
    assert ignored(str(package / "policy"), ["sandbox", "__pycache__", "schema.py"]) == ["__pycache__"]


def test_the_image_runs_as_a_user_without_rights() -> None:
    """The last word on the user is 1003, and the command is a list: the server itself gets SIGTERM."""
    assert re.findall(r"(?m)^USER (.*)$", CONTAINERFILE) == ["1003:1003"]
    assert len(re.findall(r"(?m)^(?:CMD|ENTRYPOINT) ", CONTAINERFILE)) == 1


def test_the_image_says_what_it_is() -> None:
    """The usual labels, of this version, with the project's own words."""
    labels = dict(re.findall(r'org\.opencontainers\.image\.([a-z.]+)="(.*?)"', CONTAINERFILE))
    assert labels == {
        "title": "Doorman",
        "description": PROJECT_FILE["description"].partition(",")[0],
        "licenses": PROJECT_FILE["license"],
        "version": "${VERSION}",
        "revision": "${REVISION}",
        "source": "${SOURCE}",
        "base.name": "${PYTHON}",
    }
    assert re.findall(r"(?m)^ARG VERSION=(.*)$", CONTAINERFILE) == [VERSION]


def test_the_image_starts_as_the_template_starts_triage() -> None:
    """One way to start, whoever starts it."""
    command = json.loads(re.findall(r"(?m)^CMD (.*)$", CONTAINERFILE)[0])
    documents = yaml.safe_load_all((PROJECT / "template.yaml").read_text("utf-8"))
    triage = next(each for each in documents if (each["kind"], each["metadata"]["name"]) == ("Service", "triage"))
    container = triage["spec"]["template"]["spec"]["containers"][0]
    assert [*container["command"], *container["args"]] == command
