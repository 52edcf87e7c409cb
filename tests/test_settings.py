"""The environment is read once; every fault is one message that names the variable and no secret."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doorman.cloud.auth.environ import NO_LOGIN
from doorman.errors import Misconfigured
from doorman.settings import VARIABLES, Settings
from doorman.sinks.huaweicloud import Target
from tests.builders import ENVIRON, RECEIVER

FUNCTION = "urn:fss:eu-de:p1:function:default:check:latest"


def read(**environ: str) -> Settings:
    """Read the usual environment, changed."""
    return Settings.from_environ({**ENVIRON, **environ}, is_sink_required=True)


def refusal(**environ: str) -> str:
    """Say why an environment is refused."""
    with pytest.raises(Misconfigured) as caught:
        read(**environ)
    return str(caught.value)


def shown(settings: Settings) -> dict[str, Any]:
    """Give all settings but the login."""
    return {each.name: getattr(settings, each.name) for each in dataclasses.fields(settings) if each.name != "identity"}


# each setting by its default, the variable that changes it, its text there, and what that text means
TABLE: dict[str, tuple[Any, str, str, Any]] = {
    "policy": ("policy.yaml", "DOORMAN_POLICY", "/etc/doorman/policy.yaml", "/etc/doorman/policy.yaml"),
    "mode": ("enforce", "DOORMAN_MODE", "AUDIT", "audit"),
    "api": ("ims", "DOORMAN_API", "Glance", "glance"),
    "max_images_per_call": (100, "DOORMAN_MAX_IMAGES_PER_CALL", "7", 7),
    "visibility_window": (60.0, "DOORMAN_VISIBILITY_WINDOW", "0", 0.0),
    "check_budget": (20.0, "DOORMAN_CHECK_BUDGET", "0.5", 0.5),
    "job_deadline": (3600.0, "DOORMAN_JOB_DEADLINE", "86400", 86_400.0),
    "request_timeout": (10.0, "DOORMAN_REQUEST_TIMEOUT", "0.01", 0.01),
    "sink_timeout": (30.0, "DOORMAN_SINK_TIMEOUT", "999999999.5", 999_999_999.5),
    "sweep_fanout": (50, "DOORMAN_SWEEP_FANOUT", "200", 200),
    "log_level": ("info", "LOG_LEVEL", "Debug", "debug"),
    "log_format": ("json", "LOG_FORMAT", "console", "console"),
    "sink": ("http://sink.test/", "K_SINK", "https://broker.test/ns?a=b", "https://broker.test/ns?a=b"),
    "overrides": ({}, "K_CE_OVERRIDES", '{"extensions": {"team": "images"}}', {"team": "images"}),
    "sink_ca": (None, "K_CA_CERTS", "-----BEGIN CERTIFICATE-----", "-----BEGIN CERTIFICATE-----"),
    "channels": (None, "DOORMAN_CHANNELS", "channels.yaml", "channels.yaml"),
}
DEFAULTS = {"notes": (), **{name: default for name, (default, *_) in TABLE.items()}}


def test_defaults() -> None:
    """As documented; every variable has a row."""
    settings = read()
    assert shown(settings) == DEFAULTS
    assert [account.project.id for account in settings.identity.accounts] == [RECEIVER]
    assert {variable for _, variable, *_ in TABLE.values()} == {*VARIABLES}


def test_who_tells_people_needs_channels_alone() -> None:
    """No login and no sink, nor does it look at one."""
    wanted = {"is_sink_required": False, "is_telling": True}
    settings = Settings.from_environ({"DOORMAN_CHANNELS": "channels.yaml", "OS_PASSWORD": "x"}, **wanted)
    assert shown(settings) == {**DEFAULTS, "sink": None, "channels": "channels.yaml"}
    assert settings.identity.accounts == ()
    with pytest.raises(Misconfigured, match=r"^DOORMAN_CHANNELS: missing; set it to the file of channels$"):
        Settings.from_environ(ENVIRON, **wanted)


def test_empty_variable_counts_as_unset() -> None:
    """Knative sets K_CE_OVERRIDES to nothing where there is none."""
    assert shown(read(**dict.fromkeys([name for name in VARIABLES if name != "K_SINK"], ""))) == DEFAULTS


def test_everything_set() -> None:
    """Words in any case, times with fractions."""
    settings = read(**{variable: text for _, variable, text, _ in TABLE.values()})
    assert shown(settings) == {"notes": (), **{name: meant for name, (*_, meant) in TABLE.items()}}


def test_sink_is_required() -> None:
    """The functions cannot work without; commands can."""
    assert refusal(K_SINK="").startswith("K_SINK: missing; set it to")
    environ = {name: value for name, value in ENVIRON.items() if name != "K_SINK"}
    assert Settings.from_environ(environ, is_sink_required=False).sink is None


@pytest.mark.parametrize(
    ("text", "sink"),
    [
        *(
            (url, url)
            for url in (
                "http://broker-ingress.knative-eventing.svc.cluster.local/ns/default",
                "http://127.0.0.1:8080",
                "http://[::1]:8080/x",
                "https://user:pass@sink.test",
            )
        ),
        (f"functiongraph:{FUNCTION}", Target(service="functiongraph", urn=FUNCTION, project_id="p1")),
        ("smn:urn:smn:eu-de:p1:topic", Target(service="smn", urn="urn:smn:eu-de:p1:topic", project_id="p1")),
    ],
)
def test_sinks(text: str, sink: str | Target) -> None:
    """A URL is kept as it is; a function or a topic with the project that it lies in."""
    assert read(K_SINK=text).sink == sink


NO_TIMES = ("x", "-1", "1e3", "inf", "nan", "1.", ".5", "1_000", "1" * 10, "\u0661", "5s", "0x5")
NO_URLS = (
    "sink.test", "ftp://sink.test", "http://", "http:///x", "http://a b", "http://a:b", "http://a:99999", "http://[::1",
    "http://a:0", "http://a/\n", "kafka:x", "http://?x", "file:///etc/passwd",
)  # fmt: skip
NO_NAMES = ("Team", "my-team", "", "ä", "id", "source", "type", "time", "data", "specversion")
WRONG: tuple[tuple[str, str, Sequence[str]], ...] = (
    ("DOORMAN_MODE", "expected one of enforce, audit, got '{:.40}'", ("x", "forward", "x" * 1000)),
    ("DOORMAN_API", "expected one of ims, glance, got 'x'", ("x",)),
    ("LOG_LEVEL", "expected one of debug, info, warning, error, got 'x'", ("x",)),
    ("LOG_FORMAT", "expected one of json, console, got 'x'", ("x",)),
    (
        "DOORMAN_MAX_IMAGES_PER_CALL",
        "expected a whole number from 1, got '{}'",
        ("x", "0", "-1", "1.5", "1e3", "1000000", " 5", "\u0661", "05"),
    ),
    ("DOORMAN_SWEEP_FANOUT", "expected a whole number from 1, got '{}'", ("0",)),
    ("DOORMAN_VISIBILITY_WINDOW", "expected seconds as a number from 0, got '{}'", NO_TIMES),
    ("DOORMAN_CHECK_BUDGET", "expected seconds as a number from 0, got 'x'", ("x",)),
    ("DOORMAN_JOB_DEADLINE", "expected seconds as a number from 0, got 'x'", ("x",)),
    ("DOORMAN_REQUEST_TIMEOUT", "expected seconds as a number from 0.01, got '{}'", ("x", "0", "0.009", "0.0")),
    ("DOORMAN_SINK_TIMEOUT", "expected seconds as a number from 0.01, got '{}'", ("x", "0")),
    ("K_SINK", "expected an http(s) URL", NO_URLS),
    ("K_SINK", "expected functiongraph:urn:fss:<region>", ("functiongraph:x", "smn:urn:smn:eu-de")),
    ("K_CE_OVERRIDES", "not JSON", ("{", "team=images", "\udcff", "[" * 999)),
    (
        "K_CE_OVERRIDES",
        'expected JSON such as {{"extensions": {{"team": "images"}}}}',
        ("[]", "5", '"x"', '{"extensions": []}', '{"extensions": {"a": 1}}'),
    ),
    *(
        ("K_CE_OVERRIDES", f"{name!r} is no extension name (lower-case", (f'{{"extensions": {{"{name}": "x"}}}}',))
        for name in NO_NAMES
    ),
    # a name of ours, but for one or two letters, would be ignored in silence
    ("DOORMAN_MODES", "unknown; DOORMAN_MODE is meant?", ("audit",)),
    ("DOORMAN_POILCY", "unknown; DOORMAN_POLICY is meant?", ("x",)),
    ("DOORMAN_CHECK_BUGDET", "unknown; DOORMAN_CHECK_BUDGET is meant?", ("1",)),
    ("DOORMAN_IPA", "unknown; DOORMAN_API is meant?", ("ims",)),
)


@pytest.mark.parametrize(("name", "message", "value"), [(*row, value) for *row, values in WRONG for value in values])
def test_what_is_wrong(name: str, message: str, value: str) -> None:
    """The variable is named, with what would be right, in one line that people can read."""
    assert refusal(**{name: value}).startswith(f"{name}: {message.format(value)}")


def test_all_faults_at_once() -> None:
    """Who mends one setting should not have to start again to hear of the next."""
    assert refusal(DOORMAN_MODE="x", K_SINK="", OS_PASSWORD="", OS_AUTH_URL="") == (
        "DOORMAN_MODE: expected one of enforce, audit, got 'x'; "
        "K_SINK: missing; set it to the URL that follow-up events are POSTed to; "
        "OS_PASSWORD is missing: a login with a user name needs its password; "
        "OS_AUTH_URL is missing: the URL of Keystone, such as https://iam.eu-de.otc.t-systems.com/v3"
    )


def test_strange_names_are_noted() -> None:
    """Kubernetes puts such names there by itself, for a service called doorman."""
    notes = read(DOORMAN_PORT="tcp://10.0.0.1:80", DOORMAN_SERVICE_HOST="10.0.0.1", DOORMAN_MODES="").notes
    assert notes == ("unknown variables, ignored: DOORMAN_PORT, DOORMAN_SERVICE_HOST",)


class TestSender:
    """`DOORMAN_MODE=forward`, for the one function that may do without a login."""

    @staticmethod
    def read(**environ: str) -> Settings:
        """Read as the function does."""
        return Settings.from_environ(
            {"DOORMAN_MODE": "forward", **environ}, is_sink_required=False, is_login_required=False
        )

    def test_a_url_is_enough(self) -> None:
        """No login, no endpoint; the receivers, where they are named."""
        settings = self.read(K_SINK="https://broker.test/", OS_PROJECT_ID="a,b")
        found = (settings.mode, settings.sink, settings.identity.projects)
        assert found == ("forward", "https://broker.test/", ("a", "b"))

    def test_what_is_missing(self) -> None:
        """A sink always; for a topic also where the cloud is."""
        with pytest.raises(Misconfigured, match="K_SINK: missing; set it"):
            self.read(OS_IMAGE_ENDPOINT_OVERRIDE="https://ims.test")
        with pytest.raises(Misconfigured, match="OS_IMAGE_ENDPOINT_OVERRIDE: missing"):
            self.read(K_SINK="smn:urn:smn:eu-de:p:notices")


@pytest.mark.parametrize("text", ["{}", '{"extensions": {}}', '{"extensions": null}', '{"other": 1}', "null"])
def test_nothing_to_override(text: str) -> None:
    """Knative writes it in several ways."""
    assert read(K_CE_OVERRIDES=text).overrides == {}


def test_longer_extension_names() -> None:
    """The specification recommends short names, and demands only their letters."""
    name = "averyveryverylongname1"
    assert read(K_CE_OVERRIDES=f'{{"extensions": {{"{name}": ""}}}}').overrides == {name: ""}


class TestLogin:
    """Most of it is the identity's concern."""

    def test_none_at_all(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """The ways in are named, and the entries of the clouds.yaml in sight."""
        monkeypatch.chdir(tmp_path)
        (tmp_path / "clouds.yaml").write_text("clouds: {team-a: {}, team-b: {}}")
        with pytest.raises(Misconfigured) as caught:
            Settings.from_environ({}, is_sink_required=False)
        assert str(caught.value) == f"{NO_LOGIN}. {tmp_path}/clouds.yaml has the entries team-a, team-b: set OS_CLOUD"

    def test_lent_with_each_call(self) -> None:
        """Where no login is needed, the settings must name the image service."""
        with pytest.raises(Misconfigured, match=r"^OS_IMAGE_ENDPOINT_OVERRIDE: missing"):
            Settings.from_environ({}, is_sink_required=False, is_login_required=False)
        lent = Settings.from_environ(
            {"OS_IMAGE_ENDPOINT_OVERRIDE": "https://ims.test"}, is_sink_required=False, is_login_required=False
        )
        assert lent.identity.accounts == ()


SECRET = "s3cr3t-word"
SECRETS = {
    "OS_PASSWORD": SECRET,
    "OS_ACCESS_KEY": "",
    "K_SINK": f"https://user:{SECRET}@sink.test/",
    "K_CA_CERTS": SECRET,
}


def test_secrets_do_not_show() -> None:
    """Neither the password nor one in the sink's URL."""
    settings = read(**SECRETS)
    assert SECRET not in f"{settings!r} {settings}"


@given(
    st.dictionaries(
        st.sampled_from([name for name in VARIABLES if name not in SECRETS]),
        st.text(st.characters(blacklist_characters="\x00"), max_size=20),
    )
)
def test_any_environment_is_read_or_refused(environ: dict[str, str]) -> None:
    """In one line that names the variable, and without a secret."""
    try:
        read(**{**SECRETS, **environ})
    except Misconfigured as error:
        text = str(error)
    else:
        return
    assert text.partition(":")[0] in environ
    assert SECRET not in text
    assert len(text.splitlines()) == 1
