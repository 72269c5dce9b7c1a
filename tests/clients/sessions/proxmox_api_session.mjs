// What a person does with the npm package proxmox-api; prints what it saw as JSON.
import proxmoxApi, { ProxmoxEngine } from "proxmox-api";

const [port, password, token] = process.argv.slice(2);
const host = { host: "127.0.0.1", port: Number(port) };
const engine = new ProxmoxEngine({ ...host, username: "root@pam", password });
const pve = proxmoxApi(engine);
const byToken = proxmoxApi({ ...host, tokenID: "root@pam!automation", tokenSecret: token });
const seen = {};

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const refused = async (promise) => {
  try {
    await promise;
  } catch (error) {
    return error.cause ? `${error.message} ${error.cause.message}` : error.message;
  }
  return null;
};
const finish = async (node, upid) => {
  for (let look = 0; look < 300; look++) {
    const task = await pve.nodes.$(node).tasks.$(upid).status.$get();
    if (task.status === "stopped") return task.exitstatus;
    await pause(100);
  }
  return "still running";
};

seen.version = (await pve.version.$get()).version;
seen.nodes = (await byToken.nodes.$get()).map((node) => node.node).sort();
seen.guests = {};
for (const node of seen.nodes) {
  for (const vm of await byToken.nodes.$(node).qemu.$get({ full: true })) {
    const config = await byToken.nodes.$(node).qemu.$(vm.vmid).config.$get();
    seen.guests[vm.vmid] = [config.name, vm.status];
  }
}

const node = pve.nodes.$("pve2");
const vmid = await pve.cluster.nextid.$get();
seen.vmid = vmid;
seen.create = await finish("pve2", await node.qemu.$post({ vmid: Number(vmid), name: "by-npm", memory: "512", onboot: true }));
const vm = node.qemu.$(Number(vmid));
await vm.config.$put({ description: "schön\nund gut", cores: 2 });
seen.config = await vm.config.$get();
seen.start = await finish("pve2", await vm.status.start.$post());
seen.current = (await vm.status.current.$get()).status;
seen.badField = await refused(vm.config.$put({ cores: "many" }));
seen.deleteRunning = await refused(vm.$delete());
seen.stop = await finish("pve2", await vm.status.stop.$post());
seen.delete = await finish("pve2", await vm.$delete({ purge: true }));
seen.gone = await refused(vm.config.$get());

const web = pve.nodes.$("pve1").qemu.$(100);
seen.agent = (await web.agent["get-host-name"].$get()).result;
seen.filter = (await pve.cluster.resources.$get({ type: "storage" })).map((storage) => storage.type);
engine.ticket = "PVE:root@pam:00000000::broken"; // no ticket of this node
seen.brokenTicket = await refused(pve.version.$get());
seen.wrongPassword = await refused(proxmoxApi({ ...host, username: "root@pam", password: "wrong" }).nodes.$get());
console.log(JSON.stringify(seen));
