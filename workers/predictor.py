"""The predictor role: answers with one version of one adapter, and moves to the next in one step.

A version is prepared first (new blobs fetched and verified, tensors built) and committed then (one
reference swapped). Every request reads the reference once, so that it never mixes two versions.

Shapes: N images · D feature width · S classes of the version
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from adapters.errors import UnavailableError
from adapters.inference import Adapter
from adapters.records import ClassEntry, decode_record
