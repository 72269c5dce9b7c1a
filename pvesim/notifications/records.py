"""Records of the notifications. The type of an endpoint tells how it delivers."""

from __future__ import annotations

from pvesim.core.sections import Section


class Endpoint(Section):
    """A target that notifications can be sent to."""

    __slots__ = ()


class Matcher(Section):
    """Which notifications go to which targets."""

    __slots__ = ()
