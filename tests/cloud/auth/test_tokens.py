"""When logins are sent, shared, kept, spaced out and given up."""

import asyncio

import httpx
import pytest

from doorman.cloud.auth.accounts import Account, Agency, ApplicationCredential, Domain, Password, Project
from doorman.cloud.auth.keystone import LoginRefused
from doorman.errors import Misconfigured
from tests.fake_keystone import USER, World, fails

pytestmark = pytest.mark.anyio


async def test_cancelled_waiter_takes_nobody_with_it(world: World) -> None:
    """A waiter that goes away leaves the shared login running for the others."""
    world.keystone.gate = asyncio.Event()
    source = world.source()
    first, second = (asyncio.create_task(source.current()) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.wait([first])
    world.keystone.gate.set()
    assert ((await second).value, len(world.keystone.logins)) == ("token-1", 1)


async def test_login_without_listeners_may_fail_quietly(world: World) -> None:
    """When all waiters have gone, a failed login disturbs nobody and the next one is made afresh."""
    world.keystone.gate = asyncio.Event()
    world.keystone.failure = httpx.Response(503)
    source = world.source()
    waiter = asyncio.create_task(source.current())
    await asyncio.sleep(0)
    waiter.cancel()
    await asyncio.wait([waiter])
    world.keystone.gate.set()
    await asyncio.sleep(0.01)
    world.keystone.failure = None
    world.clock.seconds = 1.0
    assert (await source.current()).value == "token-2"


@pytest.mark.parametrize(("life", "margin"), [(86_400.0, 120.0), (100.0, 10.0)])
async def test_token_is_renewed_before_it_ends(life: float, margin: float) -> None:
    """Two minutes before its end, or a tenth of its life, whichever is less; by Keystone's own clock."""
    world = World(life=life)
    source = world.source()
    values = []
    for moment in (0.0, life - margin - 0.1, life - margin):
        world.clock.seconds = moment
        values.append((await source.current()).value)
    assert values == ["token-1", "token-1", "token-2"]


async def test_living_token_outlasts_an_outage() -> None:
    """While Keystone is down, a token serves until its very end."""
    world = World(life=1000.0)
    source = world.source()
    await source.current()
    world.keystone.failure = httpx.Response(503)
    world.clock.seconds = 999.0
    late = (await source.current()).value
    world.clock.seconds = 1000.0
    found = (late, await fails(source.current()))
    assert found == ("token-1", "Keystone at https://iam.test/v3/auth/tokens answered 503")


async def test_useless_renewals_stop(world: World) -> None:
    """When a fresh token gets a 401 too, none is asked for during the next second."""
    source = world.source()
    old = await source.current()
    fresh = await source.renew(old)
    assert fresh is not None
    source.distrust(old)
    source.distrust(fresh)
    values = []
    for moment in (0.9, 1.0):
        world.clock.seconds = moment
        token = await source.renew(fresh)
        values.append(token.value if token else None)
    assert values == [None, "token-3"]


async def test_account_is_read_anew_for_every_login(world: World) -> None:
    """A rotated password is used at the next login; a broken file is a passing failure."""
    passwords = iter(("old", "new"))

    def load() -> Account:
        secret = next(passwords, None)
        if secret is None:
            raise Misconfigured("clouds.yaml cannot be read: FileNotFoundError")
        login = Password(user_id="u1", secret=secret)
        return Account(project=Project(id="p1"), login=login, auth_url="https://iam.test/v3")

    source = world.source(load=load)
    await source.renew(await source.current())
    world.clock.seconds = 3600.0
    message = await fails(source.current())
    found = ([body["identity"]["password"]["user"]["password"] for body in world.keystone.logins], message)
    assert found == (["old", "new"], "clouds.yaml cannot be read: FileNotFoundError")


async def test_agency_logs_in_with_our_own_token(world: World) -> None:
    """The second step carries the first one's token, and its token is the one that counts."""
    agency = Agency(name="doorman", domain=Domain(name="OTC2"))
    account = Account(project=Project(id="p2"), login=USER, auth_url="https://iam.test/v3", agency=agency)
    token = await world.source(load=lambda: account).current()
    methods = [body["identity"]["methods"][0] for body in world.keystone.logins]
    assert (token.value, world.keystone.bearers, methods) == ("token-2", [None, "token-1"], ["password", "assume_role"])


async def test_token_of_another_project_is_refused() -> None:
    """An application credential is for its own project; one for another is never used."""
    login = ApplicationCredential(id="ac1", secret="s3cret")
    account = Account(project=Project(id="p2"), login=login, auth_url="https://iam.test/v3")
    with pytest.raises(LoginRefused, match=r"gave a token for another project: check OS_PROJECT_ID$"):
        await World().source(load=lambda: account).current()


async def test_renewal_of_a_replaced_token_may_log_in_again() -> None:
    """Who comes late with an old token gets the current one, renewed where that has ended meanwhile."""
    world = World(life=100.0)
    source = world.source()
    old = await source.current()
    await source.renew(old)
    world.clock.seconds = 100.0
    token = await source.renew(old)
    assert token is not None
    assert token.value == "token-3"
