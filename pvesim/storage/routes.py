"""`/storage` and `/nodes/{node}/storage`."""

from __future__ import annotations

from typing import Any

from pvesim.core.errors import Failure, ParameterErrors
from pvesim.core.sections import split_changes
from pvesim.core.tasks import Task, run_until, start_task
from pvesim.multipart import UploadedFile
from pvesim.routing import Call, route
from pvesim.storage import copying, definitions, prune, removal, rules, transfer, volumes
from pvesim.storage.access import check_removal, check_volume_access, may_access, visible_storages
from pvesim.storage.names import folder_of, parse_name, parse_volid
from pvesim.storage.records import Storage

# -- definitions -------------------------------------------------------------------------------------------------------


@route("GET", "/storage")
def list_definitions(call: Call) -> list[dict[str, Any]]:
    return definitions.definitions(call.world, visible_storages(call), call.params.get("type"))


@route("GET", "/storage/{storage}")
def read_definition(call: Call) -> dict[str, Any]:
    return definitions.definition(call.world, rules.find_storage(call.world, call.params["storage"]))


@route("POST", "/storage")
def create_definition(call: Call) -> dict[str, Any]:
    options, _, _ = split_changes(call.params, "storage", "type")
    return definitions.create(call.world, call.node, call.params["type"], call.params["storage"], options)


@route("PUT", "/storage/{storage}")
def update_definition(call: Call) -> dict[str, Any]:
    given, delete, digest = split_changes(call.params, "storage")
    return definitions.update(call.world, call.params["storage"], given, delete, digest)


@route("DELETE", "/storage/{storage}")
def delete_definition(call: Call) -> None:
    definitions.remove(call.world, call.params["storage"])


# -- a node's storages -------------------------------------------------------------------------------------------------


@route("GET", "/nodes/{node}/storage")
def list_on_node(call: Call) -> list[dict[str, Any]]:
    return rules.list_on_node(call.world, call.node, visible_storages(call), call.params)


@route("GET", "/nodes/{node}/storage/{storage}/status")
def read_status(call: Call) -> dict[str, Any]:
    return rules.find_status(call.world, call.params["storage"], call.node)


# -- content -----------------------------------------------------------------------------------------------------------


@route("GET", "/nodes/{node}/storage/{storage}/content")
def list_content(call: Call) -> list[dict[str, Any]]:
    params = call.params
    storage = rules.activate(call.world, params["storage"], call.node)
    found = volumes.content_of(call.world, storage, call.node, params.get("content"), params.get("vmid"))
    return [row for volume, row in found if may_access(call, volume.volid)]


@route("POST", "/nodes/{node}/storage/{storage}/content")
def allocate(call: Call) -> str:
    params = call.params
    storage = rules.check_enabled(call.world, params["storage"], call.node)
    format = volumes.requested_format(params["filename"], params.get("format"))
    size = volumes.requested_size(params["size"])
    volume = volumes.allocate(
        call.world, storage.storage, call.node, params["vmid"], size, format, name=params["filename"]
    )
    return volume.volid


def _volume(call: Call, parameter: str = "volume") -> tuple[Storage, str, str]:
    """The storage, the id and the name of the volume that is asked for, by its whole id or its name."""
    volume, asked = call.params[parameter], call.params["storage"]
    volid = volume if ":" in volume else f"{asked}:{volume}"
    try:
        storage, name = parse_volid(volid)
    except Failure as error:
        raise ParameterErrors({"volume": f"{error.message}\n"}) from None
    if storage != asked:
        raise ParameterErrors({"volume": f"storage ID missmatch ({storage} != {asked})\n"})
    return rules.find_storage(call.world, storage), volid, name


@route("GET", "/nodes/{node}/storage/{storage}/content/{volume}")
def read_volume(call: Call) -> dict[str, Any]:
    storage, volid, name = _volume(call)
    check_volume_access(call, volid)
    return volumes.describe(call.world, rules.activate(call.world, storage.storage, call.node), call.node, name)


@route("POST", "/nodes/{node}/storage/{storage}/content/{volume}")
def copy_volume(call: Call) -> str:
    storage, _, name = _volume(call)
    _, _, target = _volume(call, "target")
    target_node = call.params.get("target_node") or call.node
    return call.start("imgcopy", "", copying.copy_steps(call.world, storage, call.node, name, target_node, target))


@route("PUT", "/nodes/{node}/storage/{storage}/content/{volume}")
def change_volume(call: Call) -> None:
    storage, volid, name = _volume(call)
    check_volume_access(call, volid)
    given = {key: value for key, value in call.params.items() if key in ("notes", "protected")}
    volumes.change(call.world, storage, call.node, name, given)


@route("DELETE", "/nodes/{node}/storage/{storage}/content/{volume}")
def delete_volume(call: Call) -> str | None:
    storage, volid, name = _volume(call)
    parsed = parse_name(storage, name)
    check_removal(call, storage.storage, parsed)
    id = f"{parsed.vmid}@{storage.storage}" if parsed.vmid else storage.storage
    delay = call.params.get("delay")
    upid = call.start("imgdel", id, removal.removal_steps(call.node, volid, 0.0 if delay else 0.2))
    if delay is None:
        return upid
    _wait_for(call, upid)
    return None


def _wait_for(call: Call, upid: str) -> None:
    """Let a task that is due at once end, and answer nothing. Raises `Failure` with its exit status."""
    run_until(call.world, call.world.now)
    task = call.world.get(Task, upid)
    if task is not None and task.exitstatus != "OK":
        raise Failure(task.exitstatus or "task is still running")


# -- files from outside ------------------------------------------------------------------------------------------------


@route("POST", "/nodes/{node}/storage/{storage}/upload")
def upload(call: Call) -> str:
    given = call.given.get("filename")
    if not isinstance(given, UploadedFile):
        raise Failure("upload failed")
    params = call.params
    storage, name = transfer.check_target(call.world, call.node, params["storage"], params["content"], given.filename)
    transfer.check_reach(call.world, call.local_node, call.node, folder_of(storage, params["content"]))
    steps = transfer.upload_steps(call.world, call.node, storage, name, params, given)
    return start_task(call.world, call.local_node, "imgcopy", "", call.identity.name, steps)


@route("POST", "/nodes/{node}/storage/{storage}/download-url")
def download(call: Call) -> str:
    params = call.params
    storage, name = transfer.check_target(
        call.world, call.node, params["storage"], params["content"], params["filename"]
    )
    return call.start("download", name, transfer.download_steps(call.world, storage, call.node, name, params))


@route("GET", "/nodes/{node}/query-url-metadata")
def read_url_metadata(call: Call) -> dict[str, Any]:
    return transfer.metadata_of(call.world, call.params["url"])


# -- retention ---------------------------------------------------------------------------------------------------------


def _marked(call: Call) -> list[dict[str, Any]]:
    params = call.params
    return prune.marked_backups(
        call.world, call.node, params["storage"], params.get("prune-backups"), params.get("type"), params.get("vmid")
    )


@route("GET", "/nodes/{node}/storage/{storage}/prunebackups")
def show_prune(call: Call) -> list[dict[str, Any]]:
    return _marked(call)


@route("DELETE", "/nodes/{node}/storage/{storage}/prunebackups")
def prune_backups(call: Call) -> str:
    storage, vmid = call.params["storage"], call.params.get("vmid")
    if not call.may(f"/storage/{storage}", "Datastore.Allocate"):
        call.check(f"/storage/{storage}", "Datastore.AllocateSpace")
        call.check(f"/vms/{vmid}" if vmid else "/vms", "VM.Backup")
    doomed = [row["volid"] for row in _marked(call) if row["mark"] == "remove"]
    id = f"{vmid}@{storage}" if vmid else storage
    return call.start("prunebackups", id, removal.prune_steps(call.node, doomed))
