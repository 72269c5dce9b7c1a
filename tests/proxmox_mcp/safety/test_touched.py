from hypothesis import given
from hypothesis import strategies as st

from proxmox_mcp.safety.touched import Touched

_KEYS = ("", "vmid", "node", "target", "storage", "pool", "tags", "disk", "scsi0", "id", "path", "all", "limit", "name")
_PARTS = (
    *("vm:100", "vm-100-disk-0", "100-0", "backup/vm/100", "/vms/100", "//vms", "/", "/pool/lab", "pool/lab"),
    *("local:iso/a.iso", "local:100/vm-100-disk-0.qcow2", "100", "web", "a b", "="),
    "UPID:pve1:00000001:00000002:00000003:qmstart:100:root@pam:",
)
_TEXTS = st.lists(st.sampled_from(_PARTS) | st.text(max_size=8), max_size=4).map("".join)


@given(st.sampled_from(_KEYS) | st.text(max_size=12), _TEXTS)
def test_what_is_not_looked_at_closely_names_nothing(key: str, text: str) -> None:
    quick, whole = Touched(), Touched()
    quick.value(key, text)
    whole.closely(key, text)
    assert quick == whole
