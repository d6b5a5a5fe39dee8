"""Keys of the configuration from the environment: what goes before what, and what is no key."""

import os
from pathlib import Path

import pytest

from adapters.errors import SettingsError
from cluster.config import AdapterConfig, Config, load_config, told_variables

VARIABLES = {
    "NACRE_STORE": "s3://bucket/prefix?endpoint=http://host:9000",
    "NACRE_ADAPTER": "007",
    "NACRE_SERVE__PORT": "9001",
    "NACRE_SERVE__HOST": "0.0.0.0",
    "NACRE_SERVE__ADAPTERS": "[birds, boats]",
    "NACRE_SERVE__HAPROXY": "false",
    "NACRE_SERVE__MAX_STALENESS_S": "null",
    "NACRE_PLACEMENT__TRAINER__GPUS": "0.5",
    "NACRE_PLACEMENT__TRAINER__LABELS": '{"ray.io/accelerator-type": "L4"}',
    "NACRE_ADAPTERS": "{'*': {method: gda}}",
    "NACRE_ADAPTERS__MAIN__MAX_OPEN": "5",
    "NACRE_ACCESS__OIDC__ISSUER": "https://id.example.com",
    "NACRE_CACHE_BYTES": "",
}


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in an empty folder, with none of nacre's variables set; return its nacre.yaml."""
    for name in [name for name in os.environ if name.startswith("NACRE_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "nacre.yaml"


def test_a_variable_goes_before_the_file_and_what_it_does_not_say_stays(
    in_a_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_a_folder.write_text(
        "cache_bytes: 5\nserve: {port: 1, batch: 3, max_staleness_s: 9}\n"
        "access: {oidc: {audience: nacre}}\nadapters: {main: {method: rail}}"
    )
    for name, value in VARIABLES.items():
        monkeypatch.setenv(name, value)
    found = load_config()
    assert found.store == VARIABLES["NACRE_STORE"]
    assert (found.adapter, found.cache_bytes) == ("007", 5)
    assert (found.serve.host, found.serve.port, found.serve.batch) == ("0.0.0.0", 9001, 3)
    assert (found.serve.adapters, found.serve.haproxy) == (("birds", "boats"), False)
    assert found.serve.max_staleness_s is None
    assert found.placement.trainer.gpus == 0.5
    assert found.placement.trainer.labels == {"ray.io/accelerator-type": "L4"}
    assert found.adapters == {
        "*": AdapterConfig(method="gda"),
        "main": AdapterConfig(method="rail", max_open=5),
    }
    assert found.access.oidc is not None
    assert (found.access.oidc.issuer, found.access.oidc.audience) == (
        "https://id.example.com",
        "nacre",
    )


MISTAKES = [
    ("NACRE_SERVE__PORT", "eighty", "serve.port in the environment: expected a number.*'eighty'"),
    ("NACRE_SERVE__PORT", "70000", "serve.port in the environment"),
    ("NACRE_SERVE__ADAPTERS", "[birds", "the variable NACRE_SERVE__ADAPTERS is not valid YAML"),
    ("NACRE_SERVE__ADAPTERS", "birds", "serve.adapters.*expected a list, found 'birds'"),
    ("NACRE_PLACEMENT", "x", "expected keys and values in placement of the environment"),
    ("NACRE_ENCODER", "{modle: tiny}", "unknown key 'modle' in encoder.*did you mean 'model'"),
]


@pytest.mark.parametrize(("name", "value", "message"), MISTAKES)
def test_a_wrong_value_is_named(
    name: str, value: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=f"(?s){message}"):
        load_config()


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("SERVE_SVC_PORT", ""),
        ("SERVE_SVC_PORT_8000_TCP_ADDR", ""),
        ("SERVE__PROT", "; did you mean NACRE_SERVE__PORT?"),
        ("PLACEMENT__TRAINERS__GPUS", "; did you mean NACRE_PLACEMENT__TRAINER__GPUS?"),
        ("SERVE__", "; did you mean NACRE_SERVE?"),
        ("", ""),
    ],
)
def test_what_is_no_key_is_told_of_and_changes_nothing(
    name: str, meant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kubernetes puts the names of services into every pod."""
    monkeypatch.setenv(f"NACRE_{name}", "tcp://10.0.0.1:8000")
    assert load_config() == Config()
    (told,) = told_variables()
    assert told == f"the variable NACRE_{name} is no key of the configuration and not heeded{meant}"


@pytest.mark.parametrize(
    "name", ["NACRE_HOME", "NACRE_TOKEN", "NACRE_S3_NAME_ACCESS_KEY", "NACRE_SERVE__PORT", "PATH"]
)
def test_what_is_read_or_is_of_others_is_not_told_of(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, "1")
    assert told_variables() == []
