"""One real Keystone and Glance for all tests here, and the functions that serve a project on it."""

from collections.abc import Iterator

import pytest

from tests.openstack import install, keystone_glance
from tests.openstack.chain import Chain, run_chain
from tests.openstack.worlds import RealWorld


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
