"""What to do about a failure that PVE tells in a text: of a request, or of a task that ended with an error.

The texts matched are those of recorded exchanges with a genuine node.
"""

import re

_ADVICE: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), text)
    for pattern, text in (
        (r"already running", "It runs, so there is nothing to start; restart it with action reboot."),
        (r"(?:VM|CT) \d+ (?:is )?not running", "It is stopped; start it first, with action start."),
        (
            r"quit/powerdown failed|lxc-stop .*--nokill",
            "The guest did not heed the request in time. Give it longer with timeout_seconds, or end it all the same "
            "with force=true or action stop; what it has not saved is then lost.",
        ),
        (
            r"(?:VM|CT) is locked",
            "A task holds it, or one that broke off left its lock behind. Look with get_cluster_tasks and wait for "
            "that task; if none runs, an administrator takes the lock off with `qm unlock` or `pct unlock`.",
        ),
        (
            r"can't lock file|got lock timeout|unable to acquire .*lock",
            "Another task is at work on it: look with get_cluster_tasks, wait for that task, then call again.",
        ),
        (r"it's a template|is a template", "A template only serves to be cloned; start a clone of it."),
        (
            r"protection mode enabled",
            "Its option protection guards it: an administrator who means it sets protection=0 first.",
        ),
        (
            r"used in HA resources",
            "High availability keeps it running: delete it with purge=true, or take it out of HA first.",
        ),
        (
            r"base (?:volume|disk) .*(?:in use|still)|linked clone",
            "Linked clones build on the disks of this template: delete or copy those first.",
        ),
        (
            r"running container without snapshots",
            "Clone one of its snapshots (snapshot=NAME; create_snapshot makes one), or shut it down first.",
        ),
        (
            r"uses local (?:storage|disk)|non-shared storage",
            "Clone it on its own node and move the clone, or name a shared storage.",
        ),
        (
            r"non-migratable snapshot",
            "Its snapshots cannot leave their storage: delete them, or move the disk to a shared storage first.",
        ),
        (
            r"No QEMU guest agent configured",
            "Set its option agent=1 with update_vm_config, install qemu-guest-agent in it, and restart it.",
        ),
        (
            r"QEMU guest agent is not running",
            "The agent in the VM gives no answer: it is not installed, not started yet, or the VM hangs.",
        ),
        (r"Failed to execute child process", "There is no such program in the VM; give its full path, or run sh -c."),
        (
            r"No space left on device|not enough (?:free )?space",
            "The storage is full: see get_storage, and remove what is not needed.",
        ),
        (
            r"max backup limit",
            "The storage keeps so many of a guest: set prune to let it remove the oldest, or use another storage.",
        ),
        (r"snapshot feature is not available", "A disk of it lies on a storage that cannot take snapshots."),
        (r"paused - cannot shutdown", "Let it go on with action resume first, or end it with action stop."),
        (
            r"lxc-checkpoint",
            "Few nodes can suspend containers: PVE's support for it is experimental. Shut the container down instead.",
        ),
        (r"vcpus allowed per VM", "Give the VM fewer cores, or move it to a node with more CPUs."),
        (r"Cannot allocate memory", "The node is short of memory: see get_node_status."),
        (
            r"KVM virtualisation configured, but not available",
            "The node's CPU offers no virtualisation: turn it on in the firmware, or configure the VM with kvm=0.",
        ),
        (
            r"volume '[^']+' does not exist|no such (?:logical )?volume",
            "A disk of the guest is gone: compare its configuration with get_storage_content.",
        ),
        (
            r"storage '[^']+' is not (?:online|available)|unable to activate storage",
            "See with get_storage where it works, and put its server or disk right first.",
        ),
        (
            r"exited with code|startup for container",
            "The log says why; most often a bridge, disk or device of its configuration is not on this node.",
        ),
        (r"no quorum", "Nodes are missing, so the cluster takes no changes; see get_cluster_status."),
        (r"no such user", "list_users names those there are; create_user makes one."),
        (r"role '[^']*' does not exist", "list_roles names those there are."),
        (r"no such resource '", "It is not under high availability; get_ha_setup lists what is."),
        (
            r"no rule at position",
            "Rules are counted as get_cluster_firewall_rules and its like show them.",
        ),
        (r"'allow-move' is not set", "Set move=true to take it out of the other pool."),
        (r"pool '[^']*' is not empty", "Take its members out first, with update_pool."),
        (r"missing value for required option", "Give that one, too, in options."),
        (r"missing replicate feature", "Only disks on ZFS can be replicated: move_disk takes it to such a storage."),
        (r"shrinking disks is not supported", "Give a larger size, or +SIZE to add so much."),
        (
            r"refusing to stop essential service",
            "Without it the node could not be reached; restart is possible.",
        ),
        (r"sdn (?:zone |vnet |subnet )?'[^']*' does not exist", "get_sdn names what there is."),
        (
            r"No wake on LAN MAC address defined",
            "The cluster was never told the address of its network card: while the node is on, an administrator sets "
            "it there with `pvenode config set --wakeonlan MAC`.",
        ),
        (r"unable to parse calendar event", "Write it as 02:00, sat 03:30, mon..fri 22:00 or */6:00."),
        (r"property is not defined in schema", "There is no such option; describe_api names those there are."),
        (r"SSH public key validation", "Give whole lines, as they stand in a file of public keys: type, key, comment."),
        (r"failed to open file", "Give the path of a file that is there, from / on."),
        (r"download failed: ", "The node fetches it: look at the address, and at the node's name servers and gateway."),
        (r"received interrupt|interrupted by signal", "Someone stopped the task; see get_cluster_tasks."),
    )
)


def advice_on(text: str) -> str:
    """One or two sentences on what to do about PVE's text of an error; empty where there is nothing to say."""
    return next((advice for pattern, advice in _ADVICE if pattern.search(text)), "")
