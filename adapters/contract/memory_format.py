"""Memory format: how memory vectors are kept for scoring. Importing it does not import torch."""

from typing import Literal

MemoryFormat = Literal[
    "float32",  # as records hold it
    "bfloat16",  # half the bytes, and products in hardware that has them; scores differ a little
]
