"""The queue against a plain model, over random sequences of events."""

import pytest

from tests.support.conformance.queue_machine import QueueMachine
from tests.support.conformance.quorum_queue_machine import QuorumQueueMachine
from tests.support.drivers.machines import brief

pytestmark = pytest.mark.slow

TestQueueMachine = QueueMachine.TestCase
TestQueueMachine.settings = brief(runs=100, steps=50)

TestQuorumQueueMachine = QuorumQueueMachine.TestCase
TestQuorumQueueMachine.settings = brief(runs=8, steps=20)
