"""The frozen towers: unit features, one name per way of computing them, and clear refusals."""

import copy
import errno
import json
import math
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch.nn.functional import normalize

from adapters.errors import NacreError, SettingsError, UnavailableError
from workers.encoding.encoder import IMPRECISE, SHIPPED, Encoder, not_loaded, untrained_tower
from workers.encoding.encoder_settings import TINY, TINY_VIT, EncoderSettings, Precision

PROMPTS = ["a photo of a bird.", "a drawing of a boat.", "the handwritten digit three."]


def pixels(encoder: Encoder) -> torch.Tensor:
    pictures = [Image.new("RGB", (40, 30), color) for color in ("red", "green", "white")]
    return torch.stack([encoder.transform(picture) for picture in pictures])


def noisy(encoder: Encoder) -> torch.Tensor:
    shape = (4, 3, *encoder.model.visual.image_size)
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, shape, generator=generator).to(torch.uint8)


def test_images_become_unit_rows(encoder: Encoder) -> None:
    features = encoder.image_tower.features(pixels(encoder))
    assert (features.shape, features.dtype) == ((3, encoder.width), torch.float32)
    # float32 keeps 24 bits; a norm over 512 terms is right to about 1e-6.
    torch.testing.assert_close(features.norm(dim=1), torch.ones(3), atol=1e-5, rtol=0)


def test_prompts_become_unit_rows_of_the_same_width(encoder: Encoder) -> None:
    features = encoder.text_features(PROMPTS)
    assert (features.shape, features.dtype) == ((3, encoder.width), torch.float32)
    torch.testing.assert_close(features.norm(dim=1), torch.ones(3), atol=1e-5, rtol=0)


def test_no_prompts_give_no_rows(encoder: Encoder) -> None:
    assert encoder.text_features([]).shape == (0, encoder.width)


def test_the_same_pixels_give_the_same_bits(encoder: Encoder) -> None:
    batch = pixels(encoder)
    assert torch.equal(encoder.image_tower.features(batch), encoder.image_tower.features(batch))


def test_nothing_of_the_towers_can_be_learnt(encoder: Encoder) -> None:
    assert not any(parameter.requires_grad for parameter in encoder.model.parameters())
    assert not encoder.model.training
    assert math.isfinite(encoder.logit_scale)
    assert encoder.logit_scale > 1


def test_a_tower_without_weights_is_the_encoders_but_for_them(encoder: Encoder) -> None:
    outline = untrained_tower(EncoderSettings())
    assert type(outline) is type(encoder.model.visual)
    shapes, expected = (
        {name: tuple(each.shape) for name, each in tower.named_parameters()}
        for tower in (outline, encoder.model.visual)
    )
    assert shapes == expected
    assert all(each.is_meta for each in outline.parameters())


def test_the_fingerprint_names_what_is_computed_and_not_when(encoder: Encoder) -> None:
    again = Encoder(EncoderSettings())
    assert again.fingerprint == encoder.fingerprint
    assert len(again.fingerprint) == 32


def test_another_precision_has_another_fingerprint(encoder: Encoder) -> None:
    assert Encoder(EncoderSettings(precision="bf16")).fingerprint != encoder.fingerprint


@pytest.mark.parametrize(
    ("model", "precision", "warns"),
    [(TINY, "bf16", True), (TINY, "fp32", False), (TINY_VIT, "bf16", False)],
)
def test_convolutions_in_bfloat16_are_warned_of(
    model: str, precision: Precision, warns: bool, caplog: pytest.LogCaptureFixture
) -> None:
    encoder = Encoder(EncoderSettings(model=model, precision=precision))
    assert encoder.is_imprecise is warns
    said = [each.getMessage() for each in caplog.records if each.name == "nacre.encoder"]
    assert said == ([f"encoder {model!r}: {IMPRECISE}"] if warns else [])


def test_a_tower_of_convolutions_reads_channels_last_and_answers_the_same(
    encoder: Encoder,
) -> None:
    tower, noise = encoder.image_tower, noisy(encoder)
    prepared = tower.prepared(noise)
    assert prepared.is_contiguous(memory_format=torch.channels_last)
    plain = copy.deepcopy(tower.visual).to(memory_format=torch.contiguous_format)
    with torch.no_grad():
        expected = normalize(plain(prepared.contiguous()), dim=-1)
    torch.testing.assert_close(tower.features(noise), expected, rtol=0, atol=1e-6)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(SHIPPED[TINY], tmp_path / "towers"))


def test_a_folder_with_the_same_model_has_the_same_fingerprint(
    encoder: Encoder, folder: Path
) -> None:
    assert Encoder(EncoderSettings(model=str(folder))).fingerprint == encoder.fingerprint


def test_another_transform_has_another_fingerprint(encoder: Encoder, folder: Path) -> None:
    path = folder / "open_clip_config.json"
    config = json.loads(path.read_text())
    config["preprocess_cfg"]["resize_mode"] = "shortest"
    path.write_text(json.dumps(config))
    assert Encoder(EncoderSettings(model=str(folder))).fingerprint != encoder.fingerprint


def without_weights(folder: Path) -> None:
    (folder / "open_clip_model.safetensors").unlink()


def cut_off(folder: Path) -> None:
    weights = folder / "open_clip_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:10_000])


def empty(folder: Path) -> None:
    (folder / "open_clip_model.safetensors").write_bytes(b"")


def no_weights_at_all(folder: Path) -> None:
    (folder / "open_clip_model.safetensors").write_bytes(b"version https://git-lfs.github.com/spec")


def configured(folder: Path, tower: str, name: str, value: object) -> None:
    path = folder / "open_clip_config.json"
    config = json.loads(path.read_text())
    config["model_cfg"][tower][name] = value
    path.write_text(json.dumps(config))


def of_fewer_words(folder: Path) -> None:
    configured(folder, "text_cfg", "vocab_size", 1000)


def of_fewer_layers(folder: Path) -> None:
    configured(folder, "text_cfg", "layers", 2)


def impossible(folder: Path) -> None:
    configured(folder, "text_cfg", "layers", "many")


@pytest.mark.parametrize(
    ("happens", "found"),
    [
        (without_weights, "put the right ones there"),
        (cut_off, "put the right ones there"),
        (empty, "put the right ones there"),
        (no_weights_at_all, "put the right ones there"),
        (of_fewer_words, "size mismatch for"),
        (of_fewer_layers, "Unexpected key"),
        (impossible, "many|str|integer"),
    ],
)
def test_weights_that_do_not_fit_are_final_and_said_with_where_they_are(
    folder: Path, happens: Callable[[Path], None], found: str
) -> None:
    happens(folder)
    with pytest.raises(SettingsError, match=found) as caught:
        Encoder(EncoderSettings(model=str(folder)))
    assert f"expected weights of encoder {str(folder)!r} in {folder}, found" in caught.value.message
    assert len(caught.value.message) < 1000


def test_a_pickle_in_place_of_weights_is_refused_without_advice_to_run_it(weights: str) -> None:
    settings = EncoderSettings(model="RN50-quickgelu", pretrained=weights, activation="quick_gelu")
    with pytest.raises(SettingsError, match="put the right ones there") as caught:
        Encoder(settings)
    assert "weights_only" not in caught.value.message


@pytest.mark.parametrize("number", [errno.EIO, errno.ENOMEM, errno.EMFILE, errno.ESTALE])
@pytest.mark.parametrize("native", [False, True])
def test_a_disk_that_fails_says_nothing_against_the_weights(number: int, *, native: bool) -> None:
    reason = os.strerror(number)
    error = OSError(f"{reason} (os error {number})") if native else OSError(number, reason)
    found = not_loaded(EncoderSettings(), error)
    assert type(found) is UnavailableError
    assert reason in found.message


CONFIGURATIONS = [
    # what the folder's configuration says
    "{not JSON",
    "[]",
    "{}",
    '{"model_cfg": {}}',
]


@pytest.mark.parametrize("content", CONFIGURATIONS)
def test_a_folder_with_a_damaged_configuration_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "open_clip_config.json").write_text(content)
    with pytest.raises(NacreError, match=str(tmp_path)):
        Encoder(EncoderSettings(model=str(tmp_path)))


@pytest.fixture
def weights(tmp_path: Path) -> str:
    path = tmp_path / "weights.bin"
    path.write_bytes(b"weights")
    return str(path)


REFUSED: list[tuple[EncoderSettings, str]] = [
    # OpenAI's weights were trained with QuickGELU
    (
        EncoderSettings(model="ViT-B-32", pretrained="openai"),
        "trained with quick_gelu.*computes gelu; use the model 'ViT-B-32-quickgelu'",
    ),
    # OpenCLIP's were not, and open_clip knows no such pair
    (
        EncoderSettings(model="ViT-B-32-quickgelu", pretrained="laion2b_s34b_b79k"),
        "a tag known to open_clip or a file of weights, found 'laion2b_s34b_b79k'",
    ),
    (
        EncoderSettings(model="ViT-B-33", pretrained="openai"),
        "a folder or the name of an open_clip model, found 'ViT-B-33'",
    ),
    (EncoderSettings(model="ViT-B-32"), "expected a tag or a file of weights.*`pretrained`"),
    (
        EncoderSettings(model="ViT-B-32", pretrained="no-such-tag"),
        "a tag known to open_clip or a file of weights, found 'no-such-tag'",
    ),
]


@pytest.mark.parametrize(("settings", "message"), REFUSED)
def test_settings_that_would_give_wrong_features_are_refused(
    settings: EncoderSettings, message: str
) -> None:
    with pytest.raises(SettingsError, match=message):
        Encoder(settings)


def test_a_file_of_weights_without_its_activation_is_refused(weights: str) -> None:
    with pytest.raises(SettingsError, match="set `activation` to gelu or quick_gelu"):
        Encoder(EncoderSettings(model="ViT-B-32", pretrained=weights))


def test_a_file_of_weights_is_refused_by_the_model_of_the_other_activation(weights: str) -> None:
    settings = EncoderSettings(model="ViT-B-32-quickgelu", pretrained=weights, activation="gelu")
    with pytest.raises(SettingsError, match=r"trained with gelu.*use the model 'ViT-B-32'"):
        Encoder(settings)


def test_a_folder_without_a_configuration_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"expected open_clip_config\.json"):
        Encoder(EncoderSettings(model=str(tmp_path)))
