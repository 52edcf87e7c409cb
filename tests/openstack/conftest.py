"""One real Keystone and Glance for all tests here, and the functions that serve a project on it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.openstack import install, keystone_glance
from tests.openstack.chain import CLOUDS, POLICY, Chain, run_chain
from tests.openstack.worlds import OWNERS, RECEIVER, SECRET, RealWorld


@pytest.fixture(scope="session")
def world() -> Iterator[RealWorld]:
    """Two projects that own images, one that receives them, on real services."""
    programs = install.install()
    seed, folder = programs.parent / "seed", install.FOLDER / "run"
    with keystone_glance.start(programs, seed=seed, folder=folder) as cloud:
        world = RealWorld(cloud)
        yield world
        world.close()


@pytest.fixture(scope="module")
def chain(world: RealWorld, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chain]:
    """The functions as deployed, with a broker between them, serving the receiving project."""
    with run_chain(world, tmp_path_factory.mktemp("chain")) as chain:
        yield chain


@pytest.fixture
def environ(world: RealWorld, tmp_path: Path) -> dict[str, str]:
    """A folder with a policy and a clouds.yaml, as a person has it."""
    golden, banned = (world.projects[owner] for owner in OWNERS)
    (tmp_path / "policy.yaml").write_text(POLICY.format(golden=golden, banned=banned))
    (tmp_path / "clouds.yaml").write_text(CLOUDS.format(auth_url=world.auth_url))
    secrets = tmp_path / "secure.yaml"
    secrets.write_text(f"clouds: {{{RECEIVER}: {{auth: {{password: {SECRET}}}}}}}")
    secrets.chmod(0o600)
    root = str(Path(__file__).parents[2] / "function")
    return {"OS_CLOUD": RECEIVER, "DOORMAN_API": "glance", "PYTHONPATH": root, "PATH": "/usr/bin:/bin"}
