"""A simulated cluster in a test: what it is asked with, looked at with, and steered with.

    def test_stop(pve):
        my_tool.stop(pve.api, 100)
        assert pve.guest(100).is_stopped
        assert not pve.tasks.failed
        assert pve.requests.matching("POST", "/nodes/*/qemu/100/status/*")

The objects say in their `repr` what they are, so that a failed assertion tells the story.
"""

from pvesim.testing.cluster import Cluster, TimeControl
from pvesim.testing.found import Chosen, Requests, Tasks
from pvesim.testing.views import Absent, GuestView, NodeView

__all__ = ["Absent", "Chosen", "Cluster", "GuestView", "NodeView", "Requests", "Tasks", "TimeControl"]
