"""Phrases that people use, and the methods that they mean."""

import pytest

from proxmox_mcp.api.search import index
from pvesim.contract import Contract

VM = "/nodes/{node}/qemu/{vmid}"
CT = "/nodes/{node}/lxc/{vmid}"
NODE = "/nodes/{node}"

PHRASES = [
    ("migrate a vm", f"POST {VM}/migrate"),
    ("move a container to another node", f"POST {CT}/migrate"),
    ("clone a virtual machine", f"POST {VM}/clone"),
    ("delete a vm", f"DELETE {VM}"),
    ("create a vm", f"POST {NODE}/qemu"),
    ("create a container", f"POST {NODE}/lxc"),
    ("list vms on a node", f"GET {NODE}/qemu"),
    ("start a vm", f"POST {VM}/status/start"),
    ("power off a virtual machine", f"POST {VM}/status/shutdown"),
    ("restart a container", f"POST {CT}/status/reboot"),
    ("pause a vm", f"POST {VM}/status/suspend"),
    ("change the memory of a vm", f"PUT {VM}/config"),
    ("show the configuration of a container", f"GET {CT}/config"),
    ("grow a disk of a vm", f"PUT {VM}/resize"),
    ("move a vm disk to another storage", f"POST {VM}/move_disk"),
    ("take a snapshot of a vm", f"POST {VM}/snapshot"),
    ("roll back a vm to a snapshot", f"POST {VM}/snapshot/{{snapname}}/rollback"),
    ("list snapshots of a container", f"GET {CT}/snapshot"),
    ("delete a snapshot of a vm", f"DELETE {VM}/snapshot/{{snapname}}"),
    ("back up a guest now", f"POST {NODE}/vzdump"),
    ("list backup jobs", "GET /cluster/backup"),
    ("create a backup job", "POST /cluster/backup"),
    ("which guests have no backup", "GET /cluster/backup-info/not-backed-up"),
    ("prune old backups", f"DELETE {NODE}/storage/{{storage}}/prunebackups"),
    ("next free vmid", "GET /cluster/nextid"),
    ("cluster status", "GET /cluster/status"),
    ("everything in the cluster: resources", "GET /cluster/resources"),
    ("list nodes", "GET /nodes"),
    ("reboot a node", f"POST {NODE}/status"),
    ("node load and memory status", f"GET {NODE}/status"),
    ("read the system log of a node", f"GET {NODE}/syslog"),
    ("read the journal", f"GET {NODE}/journal"),
    ("restart a service on a node", f"POST {NODE}/services/{{service}}/restart"),
    ("list available package updates", f"GET {NODE}/apt/update"),
    ("list network interfaces of a node", f"GET {NODE}/network"),
    ("add a bridge to a node's network", f"POST {NODE}/network"),
    ("list storage", "GET /storage"),
    ("add a storage", "POST /storage"),
    ("remove a storage", "DELETE /storage/{storage}"),
    ("list iso images on a storage", f"GET {NODE}/storage/{{storage}}/content"),
    ("download an iso from a url", f"POST {NODE}/storage/{{storage}}/download-url"),
    ("upload an iso", f"POST {NODE}/storage/{{storage}}/upload"),
    ("available container templates to download", f"GET {NODE}/aplinfo"),
    ("create a user", "POST /access/users"),
    ("list users", "GET /access/users"),
    ("create an api token for a user", "POST /access/users/{userid}/token/{tokenid}"),
    ("grant a role to a user", "PUT /access/acl"),
    ("list roles", "GET /access/roles"),
    ("what permissions does a user have", "GET /access/permissions"),
    ("change a password", "PUT /access/password"),
    ("add a firewall rule to the cluster", "POST /cluster/firewall/rules"),
    ("list firewall rules of a vm", f"GET {VM}/firewall/rules"),
    ("turn the firewall options of a vm", f"PUT {VM}/firewall/options"),
    ("create a pool", "POST /pools"),
    ("add a guest to high availability", "POST /cluster/ha/resources"),
    ("high availability status", "GET /cluster/ha/status/current"),
    ("create a replication job", "POST /cluster/replication"),
    ("run a command inside a vm", f"POST {VM}/agent/exec"),
    ("ip addresses of a vm from the agent", f"GET {VM}/agent/network-get-interfaces"),
    ("read a file in a vm", f"GET {VM}/agent/file-read"),
    ("stop a running task", f"DELETE {NODE}/tasks/{{upid}}"),
    ("read the log of a task", f"GET {NODE}/tasks/{{upid}}/log"),
    ("cpu history graph of a vm", f"GET {VM}/rrddata"),
    ("smart health of a disk", f"GET {NODE}/disks/smart"),
    ("list pci devices of a node", f"GET {NODE}/hardware/pci"),
    ("convert a vm to a template", f"POST {VM}/template"),
    ("create a vnet in sdn", "POST /cluster/sdn/vnets"),
    ("open a vnc console of a vm", f"POST {VM}/vncproxy"),
    ("renew the certificate of a node", f"PUT {NODE}/certificates/acme/certificate"),
    ("wake a node on lan", f"POST {NODE}/wakeonlan"),
]

# Written after the search was made, to measure it.
UNSEEN = [
    ("suspend a container", "POST /nodes/{node}/lxc/{vmid}/status/suspend"),
    ("reset a vm", "POST /nodes/{node}/qemu/{vmid}/status/reset"),
    ("show pending changes of a vm", "GET /nodes/{node}/qemu/{vmid}/pending"),
    ("delete a user", "DELETE /access/users/{userid}"),
    ("list groups", "GET /access/groups"),
    ("create a role", "POST /access/roles"),
    ("list authentication realms", "GET /access/domains"),
    ("remove a backup job", "DELETE /cluster/backup/{id}"),
    ("set dns of a node", "PUT /nodes/{node}/dns"),
    ("what time is it on a node", "GET /nodes/{node}/time"),
    ("list zfs pools", "GET /nodes/{node}/disks/zfs"),
    ("add an ip set to the firewall", "POST /cluster/firewall/ipset"),
    ("firewall log of a node", "GET /nodes/{node}/firewall/log"),
    ("subscription status", "GET /nodes/{node}/subscription"),
    ("list cluster tasks", "GET /cluster/tasks"),
    ("attach a usb device: list usb", "GET /nodes/{node}/hardware/usb"),
    ("freeze the filesystem of a vm", "POST /nodes/{node}/qemu/{vmid}/agent/fsfreeze-freeze"),
    ("set the password of a user in a vm", "POST /nodes/{node}/qemu/{vmid}/agent/set-user-password"),
    ("storage usage", "GET /nodes/{node}/storage/{storage}/status"),
    ("version of pve", "GET /version"),
    ("list ha rules", "GET /cluster/ha/rules"),
    ("delete a container", "DELETE /nodes/{node}/lxc/{vmid}"),
    ("apply sdn changes", "PUT /cluster/sdn"),
    ("add a metric server", "POST /cluster/metrics/server/{id}"),
    ("start all guests of a node", "POST /nodes/{node}/startall"),
]


# Written later still, about corners of the API that the first ones leave out.
CORNERS = [
    ("unlock a user after too many wrong second factors", "PUT /access/users/{userid}/unlock-tfa"),
    ("shut down all guests of a node", "POST /nodes/{node}/stopall"),
    ("wipe a disk", "PUT /nodes/{node}/disks/wipedisk"),
    ("create a zfs pool", "POST /nodes/{node}/disks/zfs"),
    ("initialize a disk with gpt", "POST /nodes/{node}/disks/initgpt"),
    ("list ceph osds", "GET /nodes/{node}/ceph/osd"),
    ("ceph health", "GET /cluster/ceph/status"),
    ("scan an nfs server for exports", "GET /nodes/{node}/scan/nfs"),
    ("edit the hosts file of a node", "POST /nodes/{node}/hosts"),
    ("send a key press to a vm", "PUT /nodes/{node}/qemu/{vmid}/sendkey"),
    ("regenerate the cloud-init drive", "PUT /nodes/{node}/qemu/{vmid}/cloudinit"),
    ("show the cloud-init config that a vm gets", "GET /nodes/{node}/qemu/{vmid}/cloudinit/dump"),
    ("who am i allowed to do", "GET /access/permissions"),
    ("list notification targets", "GET /cluster/notifications/targets"),
    ("send a test notification", "POST /cluster/notifications/targets/{name}/test"),
    ("add a second factor for a user", "POST /access/tfa/{userid}"),
    ("remove the subscription key", "DELETE /nodes/{node}/subscription"),
    ("installed package versions", "GET /nodes/{node}/apt/versions"),
    ("delete an api token", "DELETE /access/users/{userid}/token/{tokenid}"),
    ("remove a member from a group", "PUT /access/groups/{groupid}"),
    ("join a node to the cluster", "POST /cluster/config/join"),
    ("undo pending network changes", "DELETE /nodes/{node}/network"),
    ("is a snapshot possible for this vm", "GET /nodes/{node}/qemu/{vmid}/feature"),
    ("sync ldap users", "POST /access/domains/{realm}/sync"),
    ("cluster log", "GET /cluster/log"),
    ("run a replication job now", "POST /nodes/{node}/replication/{id}/schedule_now"),
    ("read a config out of a backup", "GET /nodes/{node}/vzdump/extractconfig"),
    ("list files in a backup", "GET /nodes/{node}/storage/{storage}/file-restore/list"),
    ("trim the disks of a vm", "POST /nodes/{node}/qemu/{vmid}/agent/fstrim"),
    ("disk usage inside a vm", "GET /nodes/{node}/qemu/{vmid}/agent/get-fsinfo"),
    ("who is logged in inside a vm", "GET /nodes/{node}/qemu/{vmid}/agent/get-users"),
    ("dns servers of a node", "GET /nodes/{node}/dns"),
    ("ip addresses of a container", "GET /nodes/{node}/lxc/{vmid}/interfaces"),
    ("protect a backup from being deleted", "PUT /nodes/{node}/storage/{storage}/content/{volume}"),
    ("list apt repositories", "GET /nodes/{node}/apt/repositories"),
    ("changelog of a package", "GET /nodes/{node}/apt/changelog"),
    ("upload a custom certificate", "POST /nodes/{node}/certificates/custom"),
    ("create an lvm thin pool", "POST /nodes/{node}/disks/lvmthin"),
    ("list the lxc containers of a node", "GET /nodes/{node}/lxc"),
    ("describe a user: show one user", "GET /access/users/{userid}"),
    ("change the email of a user", "PUT /access/users/{userid}"),
    ("bulk migrate guests away from a node", "POST /cluster/bulk-action/guest/migrate"),
    ("resize a mount point of a container", "PUT /nodes/{node}/lxc/{vmid}/resize"),
    ("allocate a new disk image on a storage", "POST /nodes/{node}/storage/{storage}/content"),
    ("delete an iso image", "DELETE /nodes/{node}/storage/{storage}/content/{volume}"),
    ("add a comment to a snapshot", "PUT /nodes/{node}/qemu/{vmid}/snapshot/{snapname}/config"),
    ("list ceph pools", "GET /nodes/{node}/ceph/pool"),
    ("create a ceph monitor", "POST /nodes/{node}/ceph/mon/{monid}"),
    ("firewall aliases of the cluster", "GET /cluster/firewall/aliases"),
    ("delete a firewall rule of a vm", "DELETE /nodes/{node}/qemu/{vmid}/firewall/rules/{pos}"),
    ("predefined firewall macros", "GET /cluster/firewall/macros"),
    ("list mdev types of a gpu", "GET /nodes/{node}/hardware/pci/{pci-id-or-mapping}/mdev"),
    ("create a usb mapping", "POST /cluster/mapping/usb"),
    ("datacenter options", "GET /cluster/options"),
    ("test if a schedule is right", "GET /cluster/jobs/schedule-analyze"),
    ("order an acme certificate", "POST /nodes/{node}/certificates/acme/certificate"),
    ("register an acme account", "POST /cluster/acme/account"),
    ("list sdn controllers", "GET /cluster/sdn/controllers"),
    ("remote migration to another cluster", "POST /nodes/{node}/qemu/{vmid}/remote_migrate"),
    ("list cpu models that qemu knows", "GET /nodes/{node}/capabilities/qemu/cpu"),
    ("execute a shell on the node in a browser", "POST /nodes/{node}/termproxy"),
    ("reset the network inside: ping the guest agent", "POST /nodes/{node}/qemu/{vmid}/agent/ping"),
]


def found(phrase: str, limit: int) -> list[str]:
    return [f"{verb} {path}" for verb, path in index().search(phrase, limit)]


def test_most_phrases_find_what_they_mean_first() -> None:
    first = [phrase for phrase, method in PHRASES if found(phrase, 1) == [method]]
    assert len(PHRASES) >= 60
    assert len(first) >= 0.95 * len(PHRASES), sorted({phrase for phrase, _ in PHRASES} - set(first))


def test_phrases_that_it_was_not_made_with_find_what_they_mean_too() -> None:
    first = [phrase for phrase, method in UNSEEN if found(phrase, 1) == [method]]
    among = [phrase for phrase, method in UNSEEN if method in found(phrase, 5)]
    assert len(first) >= 0.85 * len(UNSEEN), sorted({phrase for phrase, _ in UNSEEN} - set(first))
    assert len(among) >= 0.95 * len(UNSEEN), sorted({phrase for phrase, _ in UNSEEN} - set(among))


def test_phrases_about_corners_of_the_api_find_what_they_mean_among_the_first() -> None:
    first = [phrase for phrase, method in CORNERS if found(phrase, 1) == [method]]
    among = [phrase for phrase, method in CORNERS if method in found(phrase, 3)]
    assert len(first) >= 0.75 * len(CORNERS), sorted({phrase for phrase, _ in CORNERS} - set(first))
    assert len(among) >= 0.9 * len(CORNERS), sorted({phrase for phrase, _ in CORNERS} - set(among))


def test_the_methods_that_are_meant_exist() -> None:
    known = {f"{method.verb} {method.path}" for method in Contract.load().methods}
    assert {method for _, method in [*PHRASES, *UNSEEN, *CORNERS]} <= known


@pytest.mark.parametrize(("phrase", "method"), PHRASES)
def test_every_phrase_finds_what_it_means_among_the_first(phrase: str, method: str) -> None:
    assert method in found(phrase, 5)


@pytest.mark.parametrize("phrase", ["", "the of a", "zzzz qqqq"])
def test_words_that_say_nothing_find_nothing(phrase: str) -> None:
    assert found(phrase, 5) == []
