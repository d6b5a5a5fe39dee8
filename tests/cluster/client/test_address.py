"""Where a remote system is, and the token: what is read from where, sent where, and said of it."""

from dataclasses import replace
from pathlib import Path

import pytest

from adapters.errors import InputError, NotFoundError, SettingsError
from cluster.client.remote.address import Address, remote_address
from cluster.config import Config, RemoteConfig
from cluster.wire.headers import LONGEST_TOKEN

SECRET = "nacre_a-token-that-is-in-no-error"
HTTPS, HTTP = "https://nacre.example.com", "http://nacre.example.com"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "token"
    path.write_text(f"{SECRET}\n")
    path.chmod(0o600)
    return path


def address(config: Config | None = None, /, **said: object) -> Address | None:
    environment = {"environment": {}} | said
    return remote_address(config or Config(), **environment)  # type: ignore[arg-type]


def test_where_nothing_is_named_nothing_is_remote() -> None:
    assert address() is None


def test_the_words_of_a_command_go_before_the_environment_and_that_before_the_file(
    file: Path,
) -> None:
    config = Config(remote=RemoteConfig(url=f"{HTTPS}/of-the-file", token_file=str(file)))
    variables = {"NACRE_URL": f"{HTTPS}/of-the-environment", "NACRE_TOKEN": "of-the-environment"}
    assert address(config) == Address(url=f"{HTTPS}/of-the-file", token=SECRET)
    found = address(config, environment=variables)
    assert found == Address(url=f"{HTTPS}/of-the-environment", token="of-the-environment")
    said = address(config, environment=variables, url=f"{HTTPS}/said/", token_file=file)
    assert said == Address(url=f"{HTTPS}/said", token=SECRET)


def test_the_file_of_the_environment_goes_before_its_token(file: Path) -> None:
    variables = {"NACRE_TOKEN_FILE": str(file), "NACRE_TOKEN": "other"}
    found = address(url=HTTPS, environment=variables)
    assert found is not None
    assert found.token == SECRET


def test_the_token_of_the_configuration_goes_to_the_address_there_alone(file: Path) -> None:
    config = Config(remote=RemoteConfig(url=HTTPS, token_file=str(file)))
    assert address(config, url=f"{HTTPS}/") == Address(url=HTTPS, token=SECRET)
    assert address(config, url="https://elsewhere.example.com") == Address(
        url="https://elsewhere.example.com"
    )


def test_a_token_without_a_system_is_refused(file: Path) -> None:
    for said in ({"token_file": file}, {"insecure": True}):
        with pytest.raises(InputError, match="are for a system elsewhere"):
            address(**said)


def test_a_token_is_not_sent_unencrypted_to_another_machine(file: Path) -> None:
    with pytest.raises(SettingsError, match="unencrypted: name an https:// address, or say"):
        address(url=HTTP, token_file=file)
    assert address(url=HTTP, token_file=file, insecure=True) == Address(url=HTTP, token=SECRET)
    config = Config(remote=RemoteConfig(url=HTTP, token_file=str(file)))
    with pytest.raises(SettingsError, match="unencrypted"):
        address(config)
    allowed = replace(config, remote=replace(config.remote, insecure=True))
    assert address(allowed) == Address(url=HTTP, token=SECRET)
    with pytest.raises(SettingsError, match="unencrypted"):
        address(allowed, url="http://elsewhere.example.com", token_file=file)
    assert address(url=HTTP) == Address(url=HTTP)  # there is nothing to hide


@pytest.mark.parametrize("host", ["127.0.0.1:8000", "localhost:8000", "[::1]:8000"])
def test_on_this_machine_nobody_listens_on_the_way(file: Path, host: str) -> None:
    assert address(url=f"http://{host}", token_file=file) == Address(
        url=f"http://{host}", token=SECRET
    )


@pytest.mark.parametrize(
    "url",
    [
        *("nacre.example.com", "ftp://nacre.example.com", "https://", "https:///v1", ""),
        *("https://anna:secret-word@nacre.example.com", "https://secret-word@nacre.example.com"),
        *("https://nacre.example.com?token=secret-word", "https://nacre.example.com/#secret-word"),
        *("https://nacre.example.com:port", "https://[::1", "https://nacre example.com"),
    ],
)
def test_what_is_no_address_is_refused_without_what_it_may_hide(url: str) -> None:
    with pytest.raises(SettingsError, match="expected the address of a system") as refused:
        address(environment={"NACRE_URL": url or " "})
    assert "secret-word" not in str(refused.value)


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("nacre.example.com", "one that does not begin with https:// or http://"),
        ("localhost:8000", "one that does not begin with https:// or http://"),
        ("https://nacre.example.com:port", "one whose host or port cannot be read"),
        ("https://anna:secret-word@nacre.example.com", "a user in it; a token goes into a file"),
        ("https://nacre.example.com?a=b", "a query or a fragment behind it; leave it out"),
    ],
)
def test_what_is_wrong_with_an_address_is_said(url: str, found: str) -> None:
    with pytest.raises(SettingsError, match=f"found {found}"):
        address(url=url)


@pytest.mark.parametrize("url", [f"{HTTPS}/", f"{HTTPS}//", f"{HTTPS}/behind/a/path/"])
def test_slashes_at_the_end_of_an_address_change_nothing(url: str) -> None:
    assert address(url=url) == Address(url=url.rstrip("/"))


@pytest.mark.parametrize(
    "content",
    [
        *(f"{SECRET}\r\n", f"\ufeff{SECRET}\n", f"  {SECRET}  ", f"Bearer {SECRET}\n"),
        f"\ufeffbearer   {SECRET}\r\n",
    ],
)
def test_a_token_is_read_however_editors_and_scripts_write_it(file: Path, content: str) -> None:
    file.write_bytes(content.encode())
    assert address(url=HTTPS, token_file=file) == Address(url=HTTPS, token=SECRET)


@pytest.mark.parametrize("content", ["", "\n", "\ufeff", "  \r\n"])
def test_a_file_without_a_token_is_told_to_have_none(file: Path, content: str) -> None:
    file.write_bytes(content.encode())
    with pytest.raises(SettingsError, match="found none; `nacre token create` makes one"):
        address(url=HTTPS, token_file=file)


def test_a_token_of_a_provider_with_many_groups_is_taken_up_to_a_length_that_is_said(
    file: Path,
) -> None:
    file.write_text("x" * LONGEST_TOKEN)
    assert address(url=HTTPS, token_file=file) == Address(url=HTTPS, token="x" * LONGEST_TOKEN)
    file.write_text("x" * (LONGEST_TOKEN + 1))
    with pytest.raises(SettingsError, match="of at most 16384 characters, found 16385; where a"):
        address(url=HTTPS, token_file=file)


@pytest.mark.parametrize(
    "content", ["two words", "two\nlines", "grün", "a\x00b", "x" * 70_000 + " "]
)
def test_what_is_no_token_is_refused_and_not_said(tmp_path: Path, content: str) -> None:
    file = tmp_path / "token"
    file.write_text(content)
    for said in ({"token_file": file}, {"environment": {"NACRE_TOKEN": content or " "}}):
        with pytest.raises(SettingsError, match="expected one token in") as refused:
            address(url=HTTPS, **said)
        told = str(refused.value).removeprefix("expected one token in")
        assert not any(word in told for word in ("two", "grün", "xxx"))


def test_a_file_that_is_not_there_or_is_a_folder_is_told(tmp_path: Path) -> None:
    for path in (tmp_path / "gone", tmp_path):
        with pytest.raises(NotFoundError, match="expected a file with a token at"):
            address(url=HTTPS, token_file=path)


def test_a_file_that_others_can_read_is_warned_of(file: Path) -> None:
    for mode in (0o640, 0o604, 0o660):
        file.chmod(mode)
        found = address(url=HTTPS, token_file=file)
        assert found is not None
        assert found.warning == f"others can read {file}, which holds a token: `chmod 600 {file}`"


def test_a_token_is_in_no_text_of_its_address(file: Path) -> None:
    assert SECRET not in repr(address(url=HTTPS, token_file=file))
