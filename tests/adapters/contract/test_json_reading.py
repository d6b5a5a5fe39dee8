"""JSON of others: what is there twice is found in one pass."""

import pytest

from adapters.contract.json_reading import read_json


def test_a_key_that_is_there_twice_is_found_in_one_pass() -> None:
    # Found by comparing each with all before, this would take hours.
    keys = ",".join(f'"k{number:06d}":0' for number in range(200_000))
    with pytest.raises(ValueError, match="'k000007' is there twice"):
        read_json(f'{{{keys},"k000007":0}}'.encode())
