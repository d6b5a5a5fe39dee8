"""The registry against models; `make prove-registry` runs the same for longer."""

import pytest

from tests.support.conformance.followers_machine import FollowersMachine
from tests.support.conformance.forks_machine import ForksMachine
from tests.support.conformance.quorum_registry_machine import QuorumRegistryMachine
from tests.support.conformance.registry_machine import RegistryMachine
from tests.support.drivers.machines import brief

pytestmark = pytest.mark.slow

TestRegistryMachine = RegistryMachine.TestCase
TestRegistryMachine.settings = brief(runs=50, steps=25)

TestQuorumRegistryMachine = QuorumRegistryMachine.TestCase
TestQuorumRegistryMachine.settings = brief(runs=10, steps=20)

TestFollowersMachine = FollowersMachine.TestCase
TestFollowersMachine.settings = brief(runs=12, steps=20)

TestForksMachine = ForksMachine.TestCase
TestForksMachine.settings = brief(runs=12, steps=15)
