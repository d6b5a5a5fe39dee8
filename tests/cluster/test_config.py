"""Configuration: where it is looked for, what overrides what, and what each mistake says."""

from pathlib import Path
from textwrap import dedent

import pytest
import yaml

import cluster.config
from adapters.errors import NacreError, NotFoundError, SettingsError
from cluster.config import AdapterConfig, Config, ServeConfig, home, load_config, set_home
from workers.encoding.encoder_settings import EncoderSettings


@pytest.fixture(autouse=True)
def nothing_configured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in an empty folder, with none of nacre's variables set."""
    for name in ("NACRE_CONFIG", "NACRE_STORE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NACRE_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)


def written(path: Path, content: str) -> Path:
    path.write_text(content)
    return path


def test_without_any_file_the_defaults_hold(tmp_path: Path) -> None:
    config = load_config()
    assert config == Config()
    assert config.store == f"file://{tmp_path}/home/store"
    assert (config.adapter, config.ray, config.encoder.model) == ("main", "local", "tiny")
    assert config.of_adapter("main") == AdapterConfig()
    assert config.endpoint == "http://127.0.0.1:8000"


@pytest.mark.parametrize(
    ("host", "asked"), [("0.0.0.0", "127.0.0.1"), ("::", "[::1]"), ("10.0.0.7", "10.0.0.7")]
)
def test_what_listens_everywhere_is_asked_on_this_machine(host: str, asked: str) -> None:
    assert Config(serve=ServeConfig(host=host)).endpoint == f"http://{asked}:8000"


def test_the_file_in_the_working_folder_is_found(tmp_path: Path) -> None:
    written(tmp_path / "nacre.yaml", "adapter: here")
    assert load_config().adapter == "here"


def test_the_variable_goes_before_the_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written(tmp_path / "nacre.yaml", "adapter: here")
    monkeypatch.setenv("NACRE_CONFIG", str(written(tmp_path / "other.yaml", "adapter: there")))
    assert load_config().adapter == "there"


def test_the_named_file_goes_before_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NACRE_CONFIG", str(written(tmp_path / "other.yaml", "adapter: there")))
    named = written(tmp_path / "named.yaml", "adapter: named")
    assert load_config(named).adapter == "named"


def test_the_store_of_the_environment_goes_before_the_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    named = written(tmp_path / "named.yaml", "{store: 'memory://file', adapter: named}")
    monkeypatch.setenv("NACRE_STORE", "memory://environment")
    config = load_config(named)
    assert (config.store, config.adapter) == ("memory://environment", "named")


def test_sections_fill_in_what_they_leave_out(tmp_path: Path) -> None:
    config = load_config(
        written(tmp_path / "c.yaml", "serve: {port: 9001}\nworkers: {encoders: {max: 3}}")
    )
    assert (config.serve.port, config.serve.host) == (9001, "127.0.0.1")
    assert (config.workers.encoders.max, config.workers.threads) == (3, 1)
    assert config.endpoint == "http://127.0.0.1:9001"


def test_an_empty_file_is_the_defaults(tmp_path: Path) -> None:
    assert load_config(written(tmp_path / "c.yaml", "# nothing yet\n")) == Config()


def test_the_example_at_the_head_of_the_module_is_a_configuration(tmp_path: Path) -> None:
    described = str(cluster.config.__doc__)
    indented = [line for line in described.splitlines() if line.startswith("    ")]
    example = dedent("\n".join(indented))
    assert set(yaml.safe_load(example)) >= {"store", "encoder", "serve", "workers"}
    assert load_config(written(tmp_path / "c.yaml", example)).store == "file:///var/lib/nacre"


def oidc(line: str) -> str:
    """Return a configuration with a provider, of which one line is as said."""
    lines = {"issuer": "issuer: https://id.example.com", "audience": "audience: nacre"}
    lines[line.partition(":")[0]] = line
    return f"access: {{oidc: {{{', '.join(lines.values())}}}}}"


MISTAKES: list[tuple[str, str]] = [
    ("stor: memory://x", "unknown key 'stor'.*did you mean 'store'"),
    ("serve: {prot: 1}", "unknown key 'prot' in serve.*did you mean 'port'"),
    ("encoder: {modle: tiny}", "unknown key 'modle' in encoder.*did you mean 'model'"),
    ("workers: {views: 1}", "unknown key 'views' in workers"),
    ("serve: 8000", "expected keys and values.*found 8000"),
    ("- store", "expected keys and values"),
    ("store: [", "not valid YAML"),
    ("serve: {port: eighty}", "serve.port.*found 'eighty'"),
    ("serve: {replicas: {max: 1.5}}", "serve.replicas.max.*found 1.5"),
    ("store: [5]", "store.*found .5."),
    ("encoder: {precision: fp8}", "encoder.precision.*found 'fp8'"),
    ("encoder: {activation: relu}", "encoder.activation.*found 'relu'"),
    # numbers that no system can be started with
    ("serve: {port: -1}", "serve.port"),
    ("serve: {port: 70000}", "serve.port"),
    ("serve: {replicas: {min: 0}}", "serve.replicas.min"),
    ("serve: {poll_s: 0}", "serve.poll_s"),
    ("workers: {encoders: {max: 0}}", "workers.encoders.max"),
    ("adapters: {main: {gate: {mode: perhaps}}}", "adapters.main.gate.mode"),
    ("adapters: {main: {gate: {max_drop: 2}}}", "adapters.main.gate.max_drop"),
    ("adapters: {main: {gates: {}}}", "did you mean 'gate'"),
    ("workers: {threads: 0}", "workers.threads"),
    ("limits: {ci: {requests: 0}}", "limits.ci.requests"),
    ("limits: {ci: {images: 5}}", "unknown key 'images' in limits.ci"),
    ("limits: {ci: 5}", "limits.ci"),
    ("adapter: a/b", "adapter"),
    # whom a provider vouches for
    ("access: {odic: {}}", "unknown key 'odic' in access.*did you mean 'oidc'"),
    ("access: {oidc: {audience: nacre}}", "expected the key 'access.oidc.issuer'|'issuer' in acc"),
    (oidc("issuer: http://id.example.com"), "issuer.*https:// address, or an http:// one on this"),
    (oidc("issuer: https://ann:pw@id.example.com"), "issuer.*expected an https:// address"),
    (oidc("issuer: 'https://id.example.com?x=1'"), "issuer.*without a query"),
    (oidc("issuer: id.example.com"), "issuer.*expected an https:// address"),
    (oidc("audience: ''"), "audience"),
    (oidc("groups: {ml: {'*': boss}}"), "groups.*'viewer', 'asker'.*found 'boss'"),
    (oidc("groups: {ml: {'a/b': viewer}}"), "groups"),
    (oidc("groups: {ml: viewer}"), "groups.ml.*expected keys and values, found"),
    (oidc("subjects: [ann]"), "subjects.*expected keys and values"),
    (oidc("login: {client: x}"), "expected the key.*url"),
    (oidc("login: {client: x, url: 'https://nacre.example.com/console'}"), "url.*without a path"),
    (oidc("secret: hush"), "unknown key 'secret'"),
]


def test_a_provider_and_what_its_subjects_may_do(tmp_path: Path) -> None:
    path = written(
        tmp_path / "c.yaml",
        """
        access:
          oidc:
            issuer: http://127.0.0.1:9400
            audience: nacre
            groups: {ml: {"*": viewer, birds: operator}}
            subjects: {ann: {birds: admin}}
            login: {client: nacre-login, url: "http://localhost:8000/"}
        """,
    )
    found = load_config(path).access.oidc
    assert found is not None and found.login is not None
    assert found.groups == {"ml": {"*": "viewer", "birds": "operator"}}
    assert (found.subject, found.in_groups) == ("sub", "groups")
    assert found.login.url == "http://localhost:8000"


@pytest.mark.parametrize(("content", "message"), MISTAKES)
def test_a_mistake_is_named(tmp_path: Path, content: str, message: str) -> None:
    path = written(tmp_path / "c.yaml", content)
    with pytest.raises(SettingsError, match=f"(?s){message}") as caught:
        load_config(path)
    assert "c.yaml" in caught.value.message


def test_a_file_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"gone\.yaml"):
        load_config(tmp_path / "gone.yaml")


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(NacreError, match="not valid YAML"):
        load_config(tmp_path / "c.yaml")


def test_the_home_folder_can_be_moved(tmp_path: Path) -> None:
    set_home(Path("elsewhere"))
    assert home() == tmp_path / "elsewhere"
    assert Config().store == f"file://{tmp_path}/elsewhere/store"


def test_parts_are_given_as_the_file_has_them_or_as_what_they_are() -> None:
    tiny_vit = EncoderSettings(model="tiny-vit")
    given = Config(
        encoder={"model": "tiny-vit"},  # type: ignore[arg-type]
        encoders={"further": {"model": "tiny-vit"}, "last": tiny_vit},  # type: ignore[dict-item]
        adapters={"main": {"method": "gda"}},  # type: ignore[dict-item]
    )
    assert given.encoder == tiny_vit
    assert given.encoders == {"further": tiny_vit, "last": tiny_vit}
    assert given.of_adapter("main").method == "gda"
    assert given == Config(
        encoder=tiny_vit,
        encoders={"further": tiny_vit, "last": tiny_vit},
        adapters={"main": AdapterConfig(method="gda")},
    )


@pytest.mark.parametrize(
    ("part", "found"),
    [
        ("encoder", {"modl": "tiny"}),
        ("encoder", {"precision": "fp8"}),
        ("encoder", "tiny"),
        ("encoder", object()),
        ("encoders", {"further": {"modl": "tiny"}}),
        ("serve", {"port": "many"}),
    ],
)
def test_a_part_that_is_none_is_refused_where_it_is_given(part: str, found: object) -> None:
    with pytest.raises(SettingsError, match=f"the configuration's {part}"):
        Config(**{part: found})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "key",
    [
        *("retention.days", "retention.audit_days"),
        *("serve.replicas.idle_s", "workers.encoders.idle_s", "workers.trainer_idle_s"),
        *("placement.api.cpus", "placement.trainer.gpus", "placement.decoder.resources.disk"),
        *("serve.timeout_s", "serve.poll_s", "traces.ratio"),
    ],
)
@pytest.mark.parametrize("number", [".inf", "-.inf", ".nan", "1e400"])
def test_no_number_is_infinite_since_the_configuration_is_kept_as_json(
    tmp_path: Path, key: str, number: str
) -> None:
    content = number
    for part in reversed(key.split(".")):
        content = f"{{{part}: {content}}}"
    with pytest.raises(SettingsError, match=key.replace(".", r"\.")):
        load_config(written(tmp_path / "nacre.yaml", content))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("serve: {replicas: {min: 4}}", "serve.replicas.min: expected no more than `max`, which"),
        ("workers: {encoders: {min: 3, max: 2}}", "workers.encoders.min: expected no more than"),
        ("workers: {least_trainers: 2}", "no more than `trainers`, which is 1, found 2; raise"),
    ],
)
def test_that_there_is_to_be_more_of_something_than_at_most_is_refused(
    tmp_path: Path, content: str, said: str
) -> None:
    with pytest.raises(SettingsError, match=said):
        load_config(written(tmp_path / "nacre.yaml", content))


@pytest.mark.parametrize("endpoint", ["ftp://anna:pass-word@host", "https://anna:pass-word@host"])
def test_an_error_quotes_an_address_without_its_password(tmp_path: Path, endpoint: str) -> None:
    file = written(tmp_path / "c.yaml", f'traces: {{endpoint: "{endpoint}"}}')
    with pytest.raises(SettingsError, match=r"found '(ftp|https)://anna:\*\*\*@host'"):
        load_config(file)
