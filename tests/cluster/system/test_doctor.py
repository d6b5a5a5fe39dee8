"""What `nacre doctor` looks at, without a system."""

from pathlib import Path

import pytest

from cluster.config import AccessConfig, AdapterConfig, Config, OidcConfig, Roles, ServeConfig
from cluster.system.doctor import Finding, examine, troubles_of
from cluster.version import this_build
from cluster.wire.health import AdapterState, Status, Trouble
from tests.support.drivers.providing import provider
from tests.support.drivers.s3_server import free_port
from tests.support.fakes.s3_proxy import Fate, S3Proxy
from workers.encoding.encoder_settings import EncoderSettings


def test_the_doctor_says_first_which_nacre_this_is() -> None:
    finding = next(examine(Config()))
    assert (finding.check, finding.level, finding.found) == ("nacre", "ok", str(this_build()))


def test_a_store_that_does_not_answer_is_one_finding_that_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NACRE_HOME", str(tmp_path))
    monkeypatch.setenv("NACRE_S3_ACCESS_KEY", "someone")
    monkeypatch.setenv("NACRE_S3_SECRET_KEY", "something")
    monkeypatch.setenv("NACRE_S3_SILENT_S", "0.1")
    with S3Proxy(free_port(), lambda _: Fate.HANG) as proxy:
        config = Config(
            store=f"s3://bucket?endpoint=http://127.0.0.1:{proxy.port}",
            serve=ServeConfig(port=free_port()),
        )
        counts: list[tuple[int, int]] = []
        found = list(examine(config, on_progress=lambda *count: counts.append(count)))
    checks = len(counts) - 1  # how many there are is known from the first
    assert counts == [(done, checks) for done in range(checks + 1)]
    (store,) = (finding for finding in found if finding.level == "error")
    assert store.check == "store"
    assert "has not answered" in store.found
    assert "nacre doctor --store" in store.remedy
    (api,) = (finding for finding in found if finding.check == "api")
    assert api.level == "warning"
    assert "nacre up" in api.remedy


def test_a_provider_is_asked_for_its_keys(tmp_path: Path) -> None:
    def found(issuer: str, groups: dict[str, Roles]) -> Finding:
        oidc = OidcConfig(issuer=issuer, audience="nacre", groups=groups)
        config = Config(store=f"file://{tmp_path}/store", access=AccessConfig(oidc=oidc))
        return next(each for each in examine(config) if each.check == "provider")

    with provider() as running:
        works = found(running.url, {"ml": {"*": "viewer"}})
        assert (works.level, works.found) == ("ok", f"{running.url} has 1 key")
        nobody = found(running.url, {})
        assert (nobody.level, "gives nobody a role" in nobody.found) == ("warning", True)
        other = found(f"{running.url}/", {"ml": {"*": "viewer"}})
        assert (other.level, "calls itself" in other.found) == ("error", True)
    assert found(running.url, {}).level == "error"


@pytest.mark.parametrize(
    ("model", "level"), [("tiny", "warning"), ("tiny-vit", None)], ids=["tiny", "tiny-vit"]
)
def test_a_tower_that_bfloat16_does_not_suit_is_told(
    model: str, level: str | None, tmp_path: Path
) -> None:
    config = Config(
        store=f"file://{tmp_path}/store",
        encoder=EncoderSettings(model=model, precision="bf16"),
        serve=ServeConfig(port=free_port()),
    )
    found = {each.check: each for each in examine(config)}
    told = found.get("precision of the encoder")
    assert found["encoder"].level == "ok"
    assert (told and told.level) == level
    assert told is None or "leave `precision` out" in told.remedy


def test_a_method_that_cannot_learn_on_the_encoder_is_named(tmp_path: Path) -> None:
    methods = {"birds": "cl_lora", "cars": "dmc_ot", "main": "gda"}
    config = Config(
        store=f"file://{tmp_path}/store",
        adapters={name: AdapterConfig(method=method) for name, method in methods.items()},
        serve=ServeConfig(port=free_port()),
    )
    found = {each.check: each for each in examine(config) if each.check.startswith("method of")}
    levels = {name: each.level for name, each in found.items()}
    assert levels == {
        "method of main": "ok",
        "method of birds": "error",
        "method of cars": "warning",
    }
    assert "found EfficientNet; name another `encoder`" in found["method of birds"].found
    assert "or use the setting `adapter: feature`" in found["method of cars"].found


def test_what_a_replica_says_of_a_silent_store_is_told_with_whose_trouble_it_is() -> None:
    silent = Trouble(reason="the object store has not answered for 20 s", for_s=40.0, tries=2)
    waiting = Trouble(reason="another system coordinates", for_s=None, tries=0)
    state = AdapterState(
        version="main@1",
        refused=None,
        reason=None,
        seen_s=42.0,
        stale=True,
        ready=True,
        went_back=0,
        trouble=silent,
    )
    status = Status(encoder="e", loaded=[], adapters={"main": state}, coordinator=waiting)
    assert list(troubles_of(status)) == [("following main", silent)]
    status = status.model_copy(update={"coordinator": silent})
    assert [what for what, _ in troubles_of(status)] == ["queue", "following main"]
