"""An encoder for tests that embed the same pictures again and again, and are about what follows."""

import pytest
import torch

from tests.support.fakes.remembering_encoder import RememberingEncoder
from workers.encoding.encoder import Encoder
from workers.encoding.encoder_settings import EncoderSettings


@pytest.fixture(scope="session")
def remembering() -> Encoder:
    """Return the tiny encoder, which computes the features of equal pixels once."""
    torch.set_num_threads(1)
    return RememberingEncoder(EncoderSettings())
