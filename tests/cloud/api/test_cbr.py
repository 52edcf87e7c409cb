"""What is asked of the backup service, and how its vaults read."""

import json
from typing import Any

import pytest

from doorman.cloud.api import cbr
from doorman.cloud.api.base import Answer, Request
from doorman.models import Vault

BILLING = {"object_type": "server", "protect_type": "backup", "status": "available", "size": 100, "used": 2048}
ROW = {
    "id": "d14r5tef-1bc3-4c4f-823e-3e471rg65e65",
    "name": "daily",
    "tags": [{"key": "team", "value": "images"}],
    "auto_expand": True,
    "locked": True,
    "billing": BILLING,
}


def page(rows: Any) -> tuple[list[Vault], int]:
    """Read one page."""
    return cbr.read_vaults(Answer(status=200, body=json.dumps({"vaults": rows}).encode()))


def test_request() -> None:
    """Vaults that can take server backups, from a place on."""
    assert cbr.list_vaults(project_id="p", offset=1000) == Request(
        method="GET",
        service="cbr",
        path="/v3/p/vaults",
        params=(
            ("object_type", "server"),
            ("protect_type", "backup"),
            ("status", "available"),
            ("limit", "1000"),
            ("offset", "1000"),
        ),
    )


def test_vault() -> None:
    """The size comes in GB, what is used in MB."""
    vault = Vault(
        vault_id="d14r5tef-1bc3-4c4f-823e-3e471rg65e65",
        name="daily",
        size=100.0,
        used=2.0,
        object_type="server",
        protect_type="backup",
        status="available",
        tags=(("team", "images"),),
        auto_expand=True,
        locked=True,
    )
    assert page([ROW]) == ([vault], 1)
    assert vault.free == 98.0


def test_least_vault() -> None:
    """An ID and a size; what is not told does not speak for it."""
    (vault,), _ = page([{"id": "v", "billing": {"size": 1.5}, "auto_expand": "true", "locked": None}])
    assert vault == Vault(
        vault_id="v", size=1.5, used=0.0, object_type="None", protect_type="None", status="None", tags=()
    )


@pytest.mark.parametrize(
    "row",
    [
        5,
        {},
        {**ROW, "id": None},
        {**ROW, "id": "../x"},
        {**ROW, "billing": None},
        {**ROW, "billing": {**BILLING, "size": None}},
        {**ROW, "billing": {**BILLING, "size": "100"}},
        {**ROW, "billing": {**BILLING, "size": True}},
        {**ROW, "billing": {**BILLING, "size": 10**4000}},
        {**ROW, "billing": {**BILLING, "size": -1}},
        {**ROW, "billing": {**BILLING, "used": None}},
        {**ROW, "billing": {**BILLING, "used": 10**400}},
    ],
)
def test_row_that_cannot_be_used(row: Any) -> None:
    """It is left out, yet it was a row of the page."""
    assert page([row]) == ([], 1)


@pytest.mark.parametrize(
    ("tags", "read"),
    [
        (None, ()),
        ({}, ()),
        ([5, {}, {"key": "a"}, {"value": "b"}, {"key": 1, "value": 2}, {"key": "a", "value": ""}], (("a", ""),)),
    ],
)
def test_tags(tags: Any, read: tuple[tuple[str, str], ...]) -> None:
    """Pairs of texts."""
    (vault,), _ = page([{**ROW, "tags": tags}])
    assert vault.tags == read
