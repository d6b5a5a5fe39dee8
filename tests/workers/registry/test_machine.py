"""The registry against a dictionary; `make prove-registry` runs the same for longer."""

from hypothesis import HealthCheck, settings

from tests.support.conformance.registry_machine import RegistryMachine

TestRegistryMachine = RegistryMachine.TestCase
TestRegistryMachine.settings = settings(
    max_examples=50,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
