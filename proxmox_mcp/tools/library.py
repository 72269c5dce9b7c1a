"""The library: templates of containers, ISO images and disk images, fetched and removed."""

from typing import Annotated, Any, Literal

from pydantic import Field

from proxmox_mcp.errors import InvalidArgument
from proxmox_mcp.results import Bytes, Page, Preview, Result, bytes_text, paginate
from proxmox_mcp.safety.preview import digest_of
from proxmox_mcp.tasks import TaskResult
from proxmox_mcp.tooling import Call, Cursor, Limit, NodeName, Risk, StorageName, Toolset, WaitSeconds
from proxmox_mcp.tools.placing import choose_node, choose_storage, require_node, storage_of
from proxmox_mcp.tools.storage import node_with
from proxmox_mcp.tools.uploading import UPLOAD_SECONDS, measured, opened

library = Toolset("library", "Templates, ISO images and disk images on storages", default=False)

FileName = Annotated[str, Field(max_length=255, pattern=r"^[A-Za-z0-9][A-Za-z0-9_.+-]*$")]
Checksum = Annotated[str, Field(pattern=r"^[0-9A-Fa-f]{32,128}$", description="The kind is told by its length")]

_ALGORITHMS = {32: "md5", 40: "sha1", 56: "sha224", 64: "sha256", 96: "sha384", 128: "sha512"}


class Appliance(Result):
    """A template that can be downloaded."""

    template: str
    os: str | None = None
    version: str | None = None
    section: str | None = None
    headline: str | None = None


class Appliances(Page):
    """Templates that can be downloaded."""

    templates: list[Appliance]


class Fetched(TaskResult):
    """The task that fetches a volume."""

    volid: str
    storage: str


class Uploaded(Fetched):
    """The task that puts a file in its place; `checksum` is its SHA-256."""

    size: Bytes
    checksum: str


class Removed(TaskResult):
    """The task that removed a volume."""

    volid: str
    size: Bytes | None = None


@library.tool(risk=Risk.READ, title="List templates for containers")
async def list_container_templates(
    call: Call,
    text: Annotated[str, Field(max_length=64, description="Part of name or headline")] | None = None,
    node: NodeName | None = None,
    limit: Limit = 50,
    cursor: Cursor | None = None,
) -> Appliances:
    """List the container templates that PVE can download. Those on a storage: get_storage_content."""
    records = [
        record
        for record in await call.pve.get(f"/nodes/{node or 'localhost'}/aplinfo")
        if text is None or text.lower() in f"{record['template']} {record.get('headline', '')}".lower()
    ]
    page, total, following = paginate(records, lambda record: str(record["template"]), limit, cursor)
    return Appliances(total=total, next_cursor=following, templates=[Appliance(**record) for record in page])


@library.tool(risk=Risk.CHANGE, title="Download a template for containers")
async def download_container_template(
    call: Call,
    template: Annotated[FileName, Field(description="As list_container_templates shows it")],
    node: NodeName | None = None,
    storage: StorageName | None = None,
    wait_seconds: WaitSeconds = 0,
) -> Fetched:
    """Download a container template of PVE's catalogue to a storage."""
    node, storage = await _place(call, node, storage, "vztmpl")
    upid = await call.pve.post(f"/nodes/{node}/aplinfo", storage=storage, template=template)
    task = await call.tasks.follow(upid, wait_seconds, call.report)
    return Fetched(**dict(task), volid=f"{storage}:vztmpl/{template}", storage=storage)


@library.tool(risk=Risk.CHANGE, title="Download a file to a storage")
async def download_from_url(
    call: Call,
    url: Annotated[str, Field(max_length=2048, pattern=r"^https?://[^\s]+$")],
    content: Literal["iso", "vztmpl", "import"],
    filename: FileName | None = None,
    checksum: Checksum | None = None,
    node: NodeName | None = None,
    storage: StorageName | None = None,
    wait_seconds: WaitSeconds = 0,
) -> Fetched:
    """Let a node download an ISO image, template or disk image from the network to a storage."""
    name = filename or url.partition("?")[0].rstrip("/").rpartition("/")[2]
    if checksum is not None and len(checksum) not in _ALGORITHMS:
        raise InvalidArgument("checksum is of no known kind.", "Give it as md5, sha1, sha256 or sha512 in hexadecimal.")
    node, storage = await _place(call, node, storage, content)
    params: dict[str, Any] = {"url": url, "content": content, "filename": name, "checksum": checksum}
    params["checksum-algorithm"] = _ALGORITHMS[len(checksum)] if checksum else None
    upid = await call.pve.post(f"/nodes/{node}/storage/{storage}/download-url", **params)
    task = await call.tasks.follow(upid, wait_seconds, call.report)
    return Fetched(**dict(task), volid=f"{storage}:{content}/{name}", storage=storage)


# A file of that name which is there already is replaced.
@library.tool(risk=Risk.DESTROY, title="Upload a file to a storage")
async def upload_file(
    call: Call,
    filename: Annotated[str, Field(max_length=255, description="A file in the operator's folder; no path")],
    content: Literal["iso", "vztmpl", "import"],
    checksum: Annotated[str, Field(pattern=r"^[0-9A-Fa-f]{64}$", description="SHA-256 it must have")] | None = None,
    node: NodeName | None = None,
    storage: StorageName | None = None,
    wait_seconds: WaitSeconds = 0,
) -> Uploaded:
    """Upload an ISO image, template or disk image from the server's folder for uploads."""
    with opened(call.settings.upload_folder, filename) as file:
        size, found = await measured(file)
        if checksum is not None and checksum.lower() != found:
            raise InvalidArgument(f"{filename} has the SHA-256 {found}, not the one given.", "Nothing was uploaded.")
        if node is not None:
            await require_node(call, node, online=True)  # Before all of the file is on its way to another one.
        node, storage = await _place(call, node, storage, content)
        # PVE reckons the checksum again of what has arrived; it reads the parts of a form in this order alone.
        params: dict[str, Any] = {"content": content, "checksum-algorithm": "sha256", "checksum": found}
        path = f"/nodes/{node}/storage/{storage}/upload"
        upid = await call.pve.request("POST", path, {**params, "filename": file}, within=UPLOAD_SECONDS)
    task = await call.tasks.follow(upid, wait_seconds, call.report)
    volid = f"{storage}:{content}/{filename}"
    return Uploaded(**dict(task), volid=volid, storage=storage, size=size, checksum=found)


VolumeId = Annotated[str, Field(max_length=512, description="As get_storage_content and list_backups show it")]


async def _preview_removal(call: Call, volid: str, node: str | None = None) -> Preview:
    _, record = await _volume(call, volid, node)
    facts = [f"Content: {record['content']}", f"Size: {bytes_text(record.get('size') or 0)}"]
    facts += [f"{name}: {record[name]}" for name in ("vmid", "notes", "protected") if record.get(name)]
    what = f"Remove {volid} from its storage, for good."
    return Preview(summary=what, target=volid, facts=facts, fingerprint=digest_of(volid, record))


@library.tool(risk=Risk.DESTROY, title="Remove a volume", preview=_preview_removal)
async def delete_volume(
    call: Call, volid: VolumeId, node: NodeName | None = None, wait_seconds: WaitSeconds = 30
) -> Removed:
    """Remove an ISO image, template or backup from its storage, for good. Disks of guests: delete_disk."""
    where, record = await _volume(call, volid, node)
    upid = await call.pve.delete(f"/nodes/{where}/storage/{storage_of(volid)}/content/{volid}")
    task = await call.tasks.follow(upid, wait_seconds, call.report)
    return Removed(**dict(task), volid=volid, size=record.get("size"))


async def _volume(call: Call, volid: str, node: str | None) -> tuple[str, dict[str, Any]]:
    """The node to ask, and the volume; PVE reports success for one that is not there."""
    storage = storage_of(volid)
    where = node or await node_with(call, storage)
    records = await call.pve.get(f"/nodes/{where}/storage/{storage}/content")
    record = next((record for record in records if record["volid"] == volid), None)
    if record is None:
        raise InvalidArgument(
            f"There is no volume {volid} on {where}.", "Call get_storage_content for those there are."
        )
    if record["content"] in {"images", "rootdir"} and record.get("vmid"):
        raise InvalidArgument(
            f"{volid} is a disk of guest {record['vmid']}.", "Detach it with detach_disk, then use delete_disk."
        )
    return where, record


async def _place(
    call: Call, node: str | None, storage: str | None, content: Literal["iso", "vztmpl", "import"]
) -> tuple[str, str]:
    node = node or await choose_node(call, [storage] if storage else [])
    return node, storage or await choose_storage(call, node, content)
