"""What a person does with proxmoxer, in an environment where only proxmoxer is; prints what it saw as JSON."""

import io
import json
import sys
from pathlib import Path

from proxmoxer import AuthenticationError, ProxmoxAPI, ResourceException
from proxmoxer.tools import Files, Tasks

port, authority, password, token, folder = sys.argv[1:]
seen = {}


def refused(action, *arguments, **parameters):
    try:
        action(*arguments, **parameters)
    except ResourceException as error:
        return {"status": error.status_code, "message": error.content, "errors": error.errors}
    return None


def finish(task_id):
    return Tasks.blocking_status(pve, task_id, timeout=120, polling_interval=0.2)["exitstatus"]


pve = ProxmoxAPI("127.0.0.1", port=int(port), user="root@pam", password=password, verify_ssl=authority)
by_token = ProxmoxAPI(
    f"127.0.0.1:{port}", user="root@pam", token_name="automation", token_value=token, verify_ssl=authority
)
seen["version"] = pve.version.get()["version"]
seen["same by token"] = by_token.version.get()["version"]
try:
    ProxmoxAPI("127.0.0.1", port=int(port), user="root@pam", password="wrong", verify_ssl=authority)
except AuthenticationError as error:
    seen["wrong password"] = str(error)

node = pve.nodes("pve1")
vmid = int(pve.cluster.nextid.get())
created = node.qemu.post(vmid=vmid, name="by-proxmoxer", memory=512, scsi0="local-lvm:4", net0="virtio,bridge=vmbr0")
seen["task"] = {key: Tasks.decode_upid(created)[key] for key in ("node", "type", "id", "user")}
seen["create"] = finish(created)
vm = node.qemu(vmid)
seen["config"] = vm.config.get()
vm.config.put(description="two lines\nand an ümlaut", tags="b;a", cores=2)
seen["changed config"] = vm.config.get()
seen["stale"] = refused(vm.config.put, digest="0" * 40, cores=4)
seen["bad fields"] = refused(vm.config.put, cores="many", colour="red")
seen["snapshot"] = finish(vm.snapshot.post(snapname="one"))
seen["snapshots"] = [snapshot["name"] for snapshot in vm.snapshot.get()]
seen["start"] = finish(vm.status.start.post())
seen["running"] = vm.status.current.get()["status"]
seen["delete running"] = refused(vm.delete)
seen["stop"] = finish(vm.status.stop.post())
seen["delete"] = finish(vm.delete(purge=1))
seen["gone"] = refused(vm.config.get)

image = io.BytesIO(b"by-proxmoxer" * 50_000)
image.name = "small.iso"
seen["upload"] = finish(node.storage("local").upload.post(content="iso", filename=image))
larger = Path(folder) / "larger.iso"
larger.write_bytes(bytes(3_000_000))
seen["upload with checksum"] = Files(pve, "pve1", "local").upload_local_file_to_storage(str(larger))["exitstatus"]
seen["images"] = {item["volid"]: item["size"] for item in node.storage("local").content.get(content="iso")}
seen["delete image"] = node.storage("local").content("local:iso/small.iso").delete() is not None

node.firewall.rules.post(type="in", action="ACCEPT", proto="tcp", dport="22", comment="by proxmoxer", enable=1)
seen["rule"] = node.firewall.rules(0).get()["comment"]
pve.access.users.post(userid="carol@pve", password="carol-secret")
carol = ProxmoxAPI("127.0.0.1", port=int(port), user="carol@pve", password="carol-secret", verify_ssl=authority)
seen["carol sees"] = carol.cluster.resources.get(type="vm")
seen["carol may not"] = refused(carol.nodes("pve1").qemu(100).status.start.post)
pve.access.users("carol@pve").delete()
json.dump(seen, sys.stdout)
