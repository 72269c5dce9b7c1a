"""What a run makes once, for all of its scenarios: a storage for the container template, and for a try at a backup."""

import io
from collections.abc import Iterable
from dataclasses import replace

from pvesim.scenario import Scenario
from tests.real.box import FILENAME, template
from tests.real.found import Found
from tests.real.names import PREFIX
from tests.real.node import RealNode, SetupFailed
from tests.real.plan import BACKING_UP, FOLDER

STORAGE = f"{PREFIX}run"


def prepare(node: RealNode, found: Found, scenarios: Iterable[Scenario], pool: str, vmid: int) -> Found:
    """Upload the template if the scenarios take one and the node has none; what is found then.

    Whether a node can back up virtual machines is tried with one that has nothing but its id: some lack the program
    that writes such backups (recorded exchange `backup/008`).

    Args:
        node, found: the node, and what was found on it.
        scenarios: those that will be run.
        pool, vmid: the run's own pool, and an id of its range.

    Raises:
        SetupFailed, ResourceException: the node refuses something.
    """
    chosen = list(scenarios)
    uploads = found.template is None and any(_takes_template(scenario) for scenario in chosen)
    backs_up = any(backs_up_vms(scenario) for scenario in chosen)
    if uploads or backs_up:
        where = {"path": f"{FOLDER}/run", "content": "backup,rootdir,vztmpl", "nodes": node.name}
        node.post("storage", storage=STORAGE, type="dir", **where)
    if backs_up:
        found = replace(found, vm_backups_fail=_why_not_backed_up(node, pool, vmid))
    if not uploads:
        return found
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


def _why_not_backed_up(node: RealNode, pool: str, vmid: int) -> str | None:
    """Why the node cannot back up a virtual machine; None if it can."""
    path = f"nodes/{node.name}"
    node.run("post", f"{path}/qemu", vmid=vmid, name=f"{PREFIX}try", memory=32, pool=pool)
    try:
        node.run("post", f"{path}/vzdump", vmid=vmid, storage=STORAGE, remove=0)
    except SetupFailed as failure:
        return str(failure)
    finally:
        node.run("delete", f"{path}/qemu/{vmid}", purge=1)
    for volume in node.get(f"{path}/storage/{STORAGE}/content", content="backup", vmid=vmid):
        node.run("delete", f"{path}/storage/{STORAGE}/content/{volume['volid']}")
    return None


def backs_up_vms(scenario: Scenario) -> bool:
    """Whether backups of virtual machines are there, or are made, in a scenario."""
    backups = [backup.guest for storage in (scenario.storages or {}).values() for backup in storage.backups]
    made = [step for step in scenario.contract if step.call.tool in BACKING_UP and step.error is None]
    return bool(made) or any(guest in scenario.vms for guest in backups)


def _takes_template(scenario: Scenario) -> bool:
    volumes = [volume.name for storage in (scenario.storages or {}).values() for volume in storage.volumes]
    return bool(scenario.containers) or any(name.startswith("vztmpl/") for name in volumes)
