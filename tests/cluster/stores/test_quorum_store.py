"""The S3 store on a model of a server whose drives and nodes come and go."""

import pytest

from tests.support.conformance.store import StoreSuite
from tests.support.fakes.quorum import Quorum
from tests.support.fakes.quorum_store import QuorumStore
from workers.store import ObjectStore


class TestQuorumStore(StoreSuite):
    durable = False

    @pytest.fixture
    def store(self) -> ObjectStore:
        return QuorumStore(Quorum())
