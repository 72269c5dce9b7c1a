"""What a run makes once, for all of its scenarios: a storage with the container template, where the node has none."""

import io
from collections.abc import Iterable
from dataclasses import replace

from pvesim.scenario import Scenario
from tests.real.box import FILENAME, template
from tests.real.found import Found
from tests.real.names import PREFIX
from tests.real.node import RealNode
from tests.real.plan import FOLDER

STORAGE = f"{PREFIX}run"


def prepare(node: RealNode, found: Found, scenarios: Iterable[Scenario]) -> Found:
    """Upload the template if the scenarios take one and the node has none; what is found then.

    Raises:
        SetupFailed, ResourceException: the node refuses something.
    """
    if found.template is not None or not any(_takes_template(scenario) for scenario in scenarios):
        return found
    node.post("storage", storage=STORAGE, type="dir", path=f"{FOLDER}/run", content="rootdir,vztmpl", nodes=node.name)
    file = io.BytesIO(template())
    file.name = FILENAME
    node.run("post", f"nodes/{node.name}/storage/{STORAGE}/upload", content="vztmpl", filename=file)
    return replace(found, template=f"{STORAGE}:vztmpl/{FILENAME}")


def try_template(node: RealNode, found: Found, vmid: int) -> None:
    """Make a container of the template that was uploaded, and let it run; it is not removed.

    Raises:
        SetupFailed, ResourceException: the node does not take it.
    """
    path = f"nodes/{node.name}/lxc"
    node.run("post", path, vmid=vmid, hostname="box", ostemplate=found.template, rootfs=f"{STORAGE}:1", memory=64)
    node.run("post", f"{path}/{vmid}/status/start")


def _takes_template(scenario: Scenario) -> bool:
    volumes = [volume.name for storage in (scenario.storages or {}).values() for volume in storage.volumes]
    return bool(scenario.containers) or any(name.startswith("vztmpl/") for name in volumes)
