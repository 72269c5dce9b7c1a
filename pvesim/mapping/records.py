"""Records of the mappings. Each option `map` is a list of property strings, one for each place."""

from __future__ import annotations

from pvesim.core.sections import Section


class PciMapping(Section):
    """PCI devices that guests may use by one name on several nodes."""

    __slots__ = ()


class UsbMapping(Section):
    """USB devices or ports."""

    __slots__ = ()


class DirectoryMapping(Section):
    """Directories that guests may share with their node."""

    __slots__ = ()
