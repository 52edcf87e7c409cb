"""A model of what `kubectl` and Knative make of a few commands: three-way merge, patches, Revisions, traffic.

It knows Services alone, and every Revision is ready at once. The real API server is not asked.
"""

import json
import shlex
from copy import deepcopy
from itertools import groupby
from typing import Any

import yaml

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
LATEST = {"latestRevision": True, "percent": 100}


class Refused(Exception):
    """The API server says no."""


class Terminal:
    """A person's shell in a folder with `doorman.yaml`, and the cluster that it speaks with."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.live: dict[str, Any] = {}
        self.revisions: dict[str, list[Any]] = {}

    def run(self, command: str) -> None:
        """Type one recipe; ValueError for a command that is not modelled."""
        for is_and, words in groupby(shlex.split(command), "&&".__eq__):
            if not is_and:
                self._run([*words])

    def _run(self, words: list[str]) -> None:
        match words:
            case ["sed", "-i", script, "doorman.yaml"]:
                _, old, new, _ = script.split("/")
                self.file = self.file.replace(old, new)
            case ["kubectl", "apply", "-f", "doorman.yaml"]:
                self._apply(is_server_side=False)
            case ["kubectl", "apply", "--server-side", "--force-conflicts", "-f", "doorman.yaml"]:
                self._apply(is_server_side=True)
            case ["kubectl", "-n", "doorman", "patch", "ksvc", *names, "--type", "json", "-p", patch]:
                for name in names:
                    self._admit(json_patched(self.live[name], json.loads(patch)))
            case ["kubectl", "-n", "doorman", "patch", "ksvc", name, "--type", "merge", "-p", patch]:
                self._admit(three_way({}, self.live[name], json.loads(patch)))
            case _:
                raise ValueError(shlex.join(words))

    def _apply(self, *, is_server_side: bool) -> None:
        for service in yaml.safe_load_all(self.file):
            if service["kind"] == "Service":
                live = self.live.get(service["metadata"]["name"], {})
                last = live.get("metadata", {}).get("annotations", {}).get(LAST_APPLIED, "{}")
                applied = three_way({} if is_server_side else json.loads(last), live, service)
                self._admit(applied, last_applied=service)

    def replace(self, name: str) -> None:
        """Send an object back as it was read: `kubectl get -o yaml | kubectl replace -f -`."""
        read = deepcopy(self.live[name])
        del read["metadata"]["annotations"][LAST_APPLIED]
        self._admit(read, last_applied=read)

    def _admit(self, sent: Any, last_applied: Any = None) -> None:
        """Do what the API server, Knative's defaults and the SinkBinding do; a changed template is a new Revision."""
        service = deepcopy(sent)
        metadata, spec = service["metadata"], service["spec"]
        name, template = metadata["name"], spec["template"]
        if name in self.live and "resourceVersion" not in metadata:
            raise Refused("metadata.resourceVersion: Invalid value: 0")
        metadata["resourceVersion"] = "1"
        if last_applied is not None:
            metadata.setdefault("annotations", {})[LAST_APPLIED] = json.dumps(last_applied)
        spec["traffic"] = [
            {"latestRevision": "revisionName" not in each} | each for each in spec.get("traffic", [LATEST])
        ]
        env = template["spec"]["containers"][0]["env"]
        if env[-1]["name"] != "K_SINK":
            env.append({"name": "K_SINK", "value": "http://broker.test"})
        self.live[name] = service
        revisions = self.revisions.setdefault(name, [])
        if revisions[-1:] != [template]:
            revisions.append(template)

    def served(self) -> dict[str, str]:
        """Tell which Revision of each function gets the whole traffic, and the mode that it runs in."""
        served = {}
        for name, service in self.live.items():
            [target] = service["spec"]["traffic"]
            number = int(target.get("revisionName", f"{len(self.revisions[name])}").removeprefix(f"{name}-"))
            env = self.revisions[name][number - 1]["spec"]["containers"][0]["env"]
            served[name] = f"{number} {next(each['value'] for each in env if each['name'] == 'DOORMAN_MODE')}"
        return served


def three_way(last: Any, live: Any, file: Any) -> Any:
    """Merge as apply does for custom resources: fields that only the last file had go, lists are taken whole."""
    if not (isinstance(file, dict) and isinstance(live, dict)):
        return file
    last = last if isinstance(last, dict) else {}
    kept = {key: value for key, value in live.items() if key in file or key not in last}
    return kept | {key: three_way(last.get(key), live.get(key), value) for key, value in file.items()}


def json_patched(live: Any, patch: Any) -> Any:
    """Patch by RFC 6902, as far as `test`, `replace` and `add` of members of objects go."""
    patched = deepcopy(live)
    for each in patch:
        *path, key = each["path"].split("/")[1:]
        parent = patched
        for step in path:
            parent = parent[int(step) if isinstance(parent, list) else step]
        if each["op"] == "test" and parent[key] != each["value"]:
            raise Refused(f"testing path {each['path']} failed")
        parent[key] = each["value"]
    return patched
