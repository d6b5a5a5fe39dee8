"""Loaders raise nothing but nacre's own errors, whatever they are fed with."""

from contextlib import suppress

import pytest

from adapters.errors import NacreError
from tests.fuzz.effort import try_all
from tests.fuzz.loaders import LOADERS

pytestmark = pytest.mark.slow

EXAMPLES = 200


@pytest.mark.parametrize("name", LOADERS)
def test_a_loader_raises_nothing_but_errors_of_ours(name: str) -> None:
    loader = LOADERS[name]

    def check(content: bytes) -> None:
        with suppress(NacreError):
            loader.load(content)

    try_all(check, loader.examples, count=EXAMPLES)


@pytest.mark.parametrize("name", LOADERS)
def test_what_a_loader_is_fed_with_begins_as_what_it_reads(name: str) -> None:
    """A loader that refused everything would pass the test above."""
    loader = LOADERS[name]
    for content in loader.good:
        loader.load(content)
