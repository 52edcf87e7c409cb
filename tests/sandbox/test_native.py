"""The native image API: the statuses that a real Glance gives to owners, receivers, readers and everybody else."""

from doorman.sandbox.cloud import create_app
from doorman.sandbox.serving import serve
from doorman.sandbox.state import Cloud
from tests.openstack.calls import STATUSES, calls, furnish
from tests.openstack.worlds import SandboxWorld


def test_the_statuses_of_a_real_glance() -> None:
    """For every call that we make to it or to Keystone, and every way to go wrong, as `tests/openstack` sees them."""
    cloud = Cloud()
    with serve(create_app(cloud)) as url:
        side = furnish(SandboxWorld(cloud, url))
        assert {name: side.send(call).status_code for name, call in calls().items()} == STATUSES
