"""Where clouds.yaml is found, and that it is read anew."""

from pathlib import Path

import pytest

from doorman.cloud.auth.accounts import Account, ApplicationCredential, Project
from doorman.cloud.auth.cloud_files import CloudFiles, list_folders, name_entries
from doorman.cloud.auth.environ import Identity
from doorman.cloud.auth.variables import Values
from doorman.errors import Misconfigured

ENTRY = """
clouds:
  one:
    auth_type: v3applicationcredential
    auth: {auth_url: "https://iam.test/v3", application_credential_id: ac1, project_id: %s}
"""
SECURE = "clouds: {one: {auth: {application_credential_secret: %s}}}"


def account(secret: str) -> Account:
    """The account that the entry stands for."""
    login = ApplicationCredential(id="ac1", secret=secret)
    return Account(project=Project(id="p1"), login=login, auth_url="https://iam.test/v3", entry="one")


@pytest.fixture
def files(tmp_path: Path) -> CloudFiles:
    """A clouds.yaml and a secure.yaml side by side."""
    (tmp_path / "clouds.yaml").write_text(ENTRY % "p1")
    (tmp_path / "secure.yaml").write_text(SECURE % "first")
    return CloudFiles.find(Identity(), folders=(tmp_path,))


def test_usual_search_path() -> None:
    """Here, then the user's folder, then the system's; a user without a home has none."""
    system = Path("/etc/openstack")
    for environ, user in (
        ({"HOME": "/home/doorman"}, "/home/doorman/.config/openstack"),
        ({"HOME": "/home/doorman", "XDG_CONFIG_HOME": "/xdg"}, "/xdg/openstack"),
    ):
        assert list_folders(Values(environ)) == (Path.cwd(), Path(user), system)
    assert list_folders(Values({})) == (Path.cwd(), system)


def test_first_file_counts(tmp_path: Path) -> None:
    """The first folder with the file wins, in any of its suffixes; secrets are looked for beside it first."""
    for name in ("a", "b", "c"):
        (tmp_path / name).mkdir()
    for name in ("b/clouds.yml", "c/clouds.yaml", "a/secure.yaml", "b/secure.json"):
        (tmp_path / name).touch()
    found = CloudFiles.find(Identity(), folders=[tmp_path / name for name in ("a", "b", "c")])
    assert (found.config, found.secure) == (tmp_path / "b/clouds.yml", tmp_path / "b/secure.json")


def test_named_files_come_before_any_search(tmp_path: Path) -> None:
    """The files that the environment names are taken, wherever they are; secure.yaml may be missing."""
    environ = {"OS_CLIENT_CONFIG_FILE": "/run/clouds.yaml", "OS_CLIENT_SECURE_FILE": "/run/secrets/secure.yaml"}
    identity = Identity(values=Values(environ))
    found = CloudFiles.find(identity, folders=(tmp_path,))
    assert (found.config, found.secure) == (Path("/run/clouds.yaml"), Path("/run/secrets/secure.yaml"))
    identity = Identity(values=Values({**environ, "OS_CLIENT_SECURE_FILE": ""}))
    assert CloudFiles.find(identity, folders=(tmp_path,)).secure is None


@pytest.mark.parametrize(("clouds", "more"), [("one", {"OS_PROJECT_ID": "p1"}), ("one, two", {})])
def test_environment_fills_the_gaps(clouds: str, more: dict[str, str]) -> None:
    """What entries do not say comes from there; with several of them, whose project is meant would be a guess."""
    environ = {"OS_CLIENT_CONFIG_FILE": "x", "OS_CLOUD": clouds, "OS_PASSWORD": "p", "OS_PROJECT_ID": "p1"}
    usual = {"OS_CACERT": "/etc/ca.pem", "OS_REGION_NAME": "eu-de", "OS_INTERFACE": "internal"}
    identity = Identity.from_environ({**environ, **usual, "OS_INTERFACE": "", "OS_ENDPOINT_TYPE": "internal"})
    assert identity.accounts == ()
    assert CloudFiles.find(identity, folders=()).fallbacks == usual | more


def test_no_file_names_the_places(tmp_path: Path) -> None:
    """Where none is found, the message lists where it was looked for."""
    with pytest.raises(Misconfigured) as caught:
        CloudFiles.find(Identity(), folders=(tmp_path / "a", tmp_path / "b"))
    assert str(caught.value) == f"no clouds.yaml in {tmp_path}/a, {tmp_path}/b: set OS_CLIENT_CONFIG_FILE"


def test_files_are_read_anew(files: CloudFiles) -> None:
    """A rotated secret is seen at the next reading."""
    assert files.accounts("one") == (account("first"),)
    files.config.with_name("secure.yaml").write_text(SECURE % "second")
    assert files.read_again(account("first")) == account("second")


def test_entry_stays_with_its_project(files: CloudFiles) -> None:
    """An entry that names another project while we run is refused: events are served by project."""
    files.config.write_text(ENTRY % "p2")
    with pytest.raises(Misconfigured, match=r"clouds\.one has another project or login now: restart to use it$"):
        files.read_again(account("first"))


def test_one_entry_for_several_projects(tmp_path: Path) -> None:
    """One login may serve several projects, by ID or by name."""
    for projects in ("project_id: 'p1,p2'", "project_id: [p1, p2]", "project_name: [p1, p2], project_domain_id: d"):
        auth = f"{{auth_url: http://iam.test, user_id: u, password: p, {projects}}}"
        (tmp_path / "clouds.yaml").write_text(f"clouds: {{one: {{auth: {auth}}}}}")
        found = CloudFiles.find(Identity(), folders=(tmp_path,)).accounts("one")
        assert [each.project.id or each.project.name for each in found] == ["p1", "p2"]


@pytest.mark.parametrize(
    ("config", "secure", "notes"),
    [
        (0o600, 0o600, []),
        (0o644, 0o600, []),  # there is no secret in it
        (0o600, 0o604, ["{secure} holds secrets, and everybody on this machine may read it: chmod o-r"]),
    ],
)
def test_files_that_all_may_read_are_mentioned(files: CloudFiles, config: int, secure: int, notes: list[str]) -> None:
    """A person should know who else may read their secrets."""
    assert files.secure is not None
    files.config.write_text("clouds: {}")
    files.config.chmod(config)
    files.secure.chmod(secure)
    assert files.notes() == tuple(note.format(secure=files.secure) for note in notes)


@pytest.mark.parametrize(
    ("url", "is_refused"),
    [
        ("https://elsewhere.test/v3", False),
        ("http://127.0.0.1:5000/v3", False),
        ("http://localhost/v3", False),
        ("http://elsewhere.test/v3", True),
    ],
)
def test_secrets_laid_over_a_file_from_elsewhere(tmp_path: Path, url: str, *, is_refused: bool) -> None:
    """A folder may bring along a clouds.yaml that leads the home's secrets astray: told, and without TLS refused."""
    here, home = tmp_path / "here", tmp_path / "home"
    for folder, name, text in ((here, "clouds", ENTRY % "p1"), (home, "secure", SECURE % "first")):
        folder.mkdir()
        (folder / f"{name}.yaml").write_text(text.replace("https://iam.test/v3", url))
        (folder / f"{name}.yaml").chmod(0o600)
    files = CloudFiles.find(Identity(), folders=(here, home))
    secure, config = home / "secure.yaml", here / "clouds.yaml"
    assert files.notes() == (f"{secure} is laid over {config}, which names the host that its secrets go to",)
    if is_refused:
        with pytest.raises(Misconfigured, match=r"would go to elsewhere\.test unencrypted"):
            files.accounts("one")
    else:
        assert len(files.accounts("one")) == 1
    named = Identity(values=Values({"OS_CLIENT_CONFIG_FILE": str(config), "OS_CLIENT_SECURE_FILE": str(secure)}))
    assert CloudFiles.find(named, folders=()).notes() == ()
    assert len(CloudFiles.find(named, folders=()).accounts("one")) == 1


def test_entries_in_sight(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who sets no login at all is told which entries there are; a broken file is none of their concern then."""
    monkeypatch.chdir(tmp_path)
    assert name_entries({}) == ""
    file = tmp_path / "clouds.yaml"
    file.write_text("clouds: {one: {}, two: {}}")
    assert name_entries({"HOME": "/nowhere"}) == f". {file} has the entries one, two: set OS_CLOUD"
    named = tmp_path / "other.yaml"
    assert name_entries({"OS_CLIENT_CONFIG_FILE": str(named)}) == ""


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (None, "cannot be read: No such file or directory"),
        (b"\xff\xfe\xff", "is not UTF-8: save it as UTF-8"),
        ("clouds: {two: }".encode("utf-16"), "has no entry 'one' under clouds: check OS_CLOUD; there are two"),
        (b"clouds: {one: }", ": clouds.one.auth is missing: keys such as `username:` stand there"),
        (b"clouds: {one: {auth: [url: x]}}", ": clouds.one.auth must hold keys, such as `username:`"),
        (b"clouds: {one: {regions: eu-de}}", ": clouds.one.regions must hold a list of names"),
    ],
)
def test_unreadable_file_is_named(tmp_path: Path, content: bytes | None, error: str) -> None:
    """A file that is not there, or is no text, is one line."""
    path = tmp_path / "clouds.yaml"
    if content:
        path.write_bytes(content)
    with pytest.raises(Misconfigured) as caught:
        CloudFiles.find(Identity(values=Values({"OS_CLIENT_CONFIG_FILE": str(path)})), folders=()).accounts("one")
    assert str(caught.value).removeprefix(str(path)).lstrip() == error
