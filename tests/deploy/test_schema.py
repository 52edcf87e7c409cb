"""The comparison of schema.yaml with a real provider's schema, tried on one that is written from schema.yaml."""

import re
from collections.abc import Mapping
from typing import Any

from tests.deploy.compare import compare_all
from tests.deploy.provider import load_schema


def test_a_real_schema_can_be_compared() -> None:
    """No difference is found in our own, and every one that is put into it."""
    real = as_terraform_tells()
    assert compare_all(real) == []
    function = real["provider_schemas"]["registry.terraform.io/opentelekomcloud/opentelekomcloud"]["resource_schemas"]
    del function["opentelekomcloud_lts_group_v2"]
    block = function["opentelekomcloud_fgs_function_v2"]["block"]
    del block["attributes"]["memory_size"]
    block["attributes"]["timeout"]["type"] = "string"
    block["block_types"]["custom_image"]["max_items"] = 2
    del function["opentelekomcloud_fgs_async_invoke_config_v2"]["block"]["block_types"]["on_failure"]
    assert compare_all(real) == [
        "opentelekomcloud_lts_group_v2: the provider has no such resource",
        "opentelekomcloud_fgs_function_v2.memory_size: the provider has no such argument",
        "opentelekomcloud_fgs_function_v2.timeout: number required, but the provider says string required",
        "opentelekomcloud_fgs_function_v2.custom_image: the provider nests it as ('list', 0, 2)",
        "opentelekomcloud_fgs_async_invoke_config_v2.on_failure: the provider has no such block",
    ]


def as_terraform_tells() -> dict[str, Any]:
    """Write schema.yaml as `terraform providers schema -json` would."""

    def block(ours: Mapping[str, Any]) -> dict[str, Any]:
        attributes = {}
        for name, words in ours.get("attributes", {}).items():
            kind, *flags = words.split()
            found = re.fullmatch(r"(\w+)\((\w+)\)", kind)
            attributes[name] = {"type": [found[1], found[2]] if found else kind, **dict.fromkeys(flags, True)}
        nested = {
            name: {
                "nesting_mode": each["nesting"],
                "block": block(each),
                **{f"{end}_items": each[end] for end in ("min", "max") if end in each},
            }
            for name, each in ours.get("blocks", {}).items()
        }
        return {"attributes": attributes, "block_types": nested}

    schema = load_schema()
    told = {
        "provider": {"block": block(schema["provider"])},
        "resource_schemas": {name: {"block": block(each)} for name, each in schema["resources"].items()},
    }
    return {"provider_schemas": {"registry.terraform.io/opentelekomcloud/opentelekomcloud": told}}
