"""A copy of deploy/functiongraph for each test."""

from pathlib import Path

import pytest

from tests.deploy.workspace import Workspace


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """Give a copy of the files, in which Terraform works offline."""
    return Workspace(tmp_path)
