"""The queue against a plain model, over random sequences of events."""

import pytest
from hypothesis import HealthCheck, settings

from tests.support.conformance.queue_machine import QueueMachine

pytestmark = pytest.mark.slow

TestQueueMachine = QueueMachine.TestCase
TestQueueMachine.settings = settings(
    max_examples=100,
    stateful_step_count=50,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
