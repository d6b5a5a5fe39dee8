"""The registry against a dictionary; `make prove-registry` runs the same for longer."""

import pytest
from hypothesis import HealthCheck, settings

from tests.support.conformance.registry_machine import RegistryMachine

pytestmark = pytest.mark.slow

TestRegistryMachine = RegistryMachine.TestCase
TestRegistryMachine.settings = settings(
    max_examples=50,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
