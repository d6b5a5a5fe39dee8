"""Verbs after other verbs against a model; `make prove-verbs` runs the same for longer."""

import pytest

from tests.support.conformance.verbs_machine import VerbsMachine
from tests.support.drivers.machines import brief

pytestmark = pytest.mark.slow

TestVerbsMachine = VerbsMachine.TestCase
TestVerbsMachine.settings = brief(runs=10, steps=50)
