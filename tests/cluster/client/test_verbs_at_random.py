"""Verbs after other verbs against a model; `make prove-verbs` runs the same for longer."""

import pytest

from tests.support.conformance.verbs_machine import VerbsMachine
from tests.support.drivers.machines import brief

# Hypothesis takes a time-out for a fault that it found, and looks for a smaller one.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

TestVerbsMachine = VerbsMachine.TestCase
TestVerbsMachine.settings = brief(runs=10, steps=50)
