"""What `nacre doctor` looks at, without a system."""

from cluster.config import Config
from cluster.system.doctor import examine
from cluster.version import this_build


def test_the_doctor_says_first_which_nacre_this_is() -> None:
    finding = next(examine(Config()))
    assert (finding.check, finding.level, finding.found) == ("nacre", "ok", str(this_build()))
