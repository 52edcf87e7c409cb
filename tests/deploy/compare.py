"""Compares schema.yaml with the provider's own schema: `terraform providers schema -json` of a machine with a network.

python -m tests.deploy.compare SCHEMA.json: names every argument of ours that the real one lacks or has otherwise.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.deploy.provider import Schema, describe_type, load_schema

FLAGS = ("required", "optional", "computed", "sensitive")


def compare(ours: Schema, real: dict[str, Any], where: str) -> Iterator[str]:
    """Name the differences of one block, nested ones included; what we do not list is no difference."""
    for name, words in ours.get("attributes", {}).items():
        kind, *flags = words.split()
        found = real.get("attributes", {}).get(name)
        if found is None:
            yield f"{where}.{name}: the provider has no such argument"
            continue
        told = [flag for flag in FLAGS if found.get(flag)]
        if found["type"] != json.loads(describe_type(kind)) or sorted(flags) != sorted(told):
            yield f"{where}.{name}: {words}, but the provider says {found['type']} {' '.join(told)}"
    for name, block in ours.get("blocks", {}).items():
        found = real.get("block_types", {}).get(name)
        if found is None:
            yield f"{where}.{name}: the provider has no such block"
            continue
        bounds = (found["nesting_mode"], found.get("min_items", 0), found.get("max_items", 0))
        if bounds != (block["nesting"], block.get("min", 0), block.get("max", 0)):
            yield f"{where}.{name}: the provider nests it as {bounds}"
        yield from compare(block, found["block"], f"{where}.{name}")


def compare_all(real: dict[str, Any]) -> list[str]:
    """Name all differences from the output of `terraform providers schema -json`."""
    (provider,) = (each for name, each in real["provider_schemas"].items() if name.endswith("/opentelekomcloud"))
    ours = load_schema()
    faults = list(compare(ours["provider"], provider["provider"]["block"], "provider"))
    for name, block in ours["resources"].items():
        found = provider["resource_schemas"].get(name)
        faults += compare(block, found["block"], name) if found else [f"{name}: the provider has no such resource"]
    return faults


if __name__ == "__main__":
    differences = compare_all(json.loads(Path(sys.argv[1]).read_text()))
    sys.stdout.write("".join(f"{line}\n" for line in differences))
    sys.exit(bool(differences))
