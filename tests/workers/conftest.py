"""The encoder that ships with nacre, loaded once."""

import pytest
import torch

from workers.encoding.encoder import Encoder
from workers.encoding.encoder_settings import EncoderSettings


@pytest.fixture(scope="session")
def encoder() -> Encoder:
    """Return the tiny encoder, on one thread: more threads than idle cores are slower."""
    torch.set_num_threads(1)
    return Encoder(EncoderSettings())
