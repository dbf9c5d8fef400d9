import { afterAll, beforeAll, expect, test } from "vitest";
import { office as addresses, until } from "../lab";
import { abandon, coreRouter } from "../e2e/core";
import { desiredOf } from "../e2e/drift-core";
import { setup, type Setup } from "../e2e/office";
import { backTo, changedSince } from "../e2e/restart";
import { expectBothUplinks } from "../e2e/traffic";

/* What a real router does with no help. Restarts are in short what test/e2e/boot.test.ts shows at length. */

let office: Setup;
let applied: string;
beforeAll(async () => {
    office = await setup();
    await office.stack.up();
    applied = await office.lab.dump();
});
afterAll(async () => await office?.stop());

const changed = async (): Promise<string[]> => await changedSince(office.lab, applied);
const back = async (what: string, timeoutMs?: number): Promise<void> => await backTo(office.lab, applied, what, timeoutMs);

test("a reboot brings all of it back, before there is any network", async () => {
    const { lab } = office;
    await lab.reboot();
    expect(await changed()).toEqual([]);
    const at = async (unit: string, what: string): Promise<number> => Number((await lab.router.sh('systemctl show -p "$2" --value "$1"', [unit, what])).stdout.trim());
    expect(await at("nvi", "ActiveEnterTimestampMonotonic")).toBeLessThan(await at("networking", "InactiveExitTimestampMonotonic"));
    await expectBothUplinks(lab);
});

test("a NIC that goes and comes back with another number is as it was", async () => {
    const { lab } = office;
    await lab.pull("isp2");
    expect(await changed()).not.toEqual([]);
    await lab.plug("isp2");
    await back("what the NIC took along");
    await expectBothUplinks(lab);
});

test("a link that goes down and up is as it was, and so it is when it does many times at once", async () => {
    const { lab } = office;
    // IPv6 addresses go with a link that goes down.
    const flap = async (times: number): Promise<void> => void (await lab.router.sh(
        'for _ in $(seq $1); do ip link set isp2 down && ip link set isp2 up && ip address add "$2/64" dev isp2 nodad || exit; done', [`${times}`, addresses.router.isp2v6], { timeoutMs: 60_000 }));
    for (const times of [1, 30]) {
        await flap(times);
        await back(`the link after ${times}`);
    }
    await until("the unit to end", async () => (await lab.router.sh("systemctl is-active nvi-nic.service || :")).stdout.trim() === "inactive");
    expect((await lab.router.sh("systemctl is-active nvi-nic.socket; systemctl --failed --plain --no-legend; pgrep -f '[n]vi/nvi' || :")).stdout).toBe("active\n");
    await expectBothUplinks(lab);
});

test("a change whose login is ended, with all that it has started, is undone all the same", async () => {
    const { lab } = office;
    // As do units of sshd that are one a connection, and KillUserProcesses= of logind.conf(5).
    await lab.router.sh(`mkdir -p "$1" && printf '[Service]\\nKillMode=control-group\\n' >"$1/kill.conf" && systemctl daemon-reload`, ["/run/systemd/system/ssh.service.d"]);
    const { host, close } = coreRouter(lab, { confirmTimeout: 30 });
    const object = desiredOf("route-table", { name: "extra", interface: "nvi0", table: 8123, routes: [{ to: "0.0.0.0/0", via: addresses.gw1.v4, device: "isp1" }], rules: [{ to: "10.9.9.0/24", priority: 1100 }] } as never, "organization/nvi-test/dev/extra");
    await abandon(host, object, async () => void (await lab.router.sh("systemctl restart ssh", [], { timeoutMs: 60_000 })));
    close();
    expect((await lab.router.sh("ip rule")).stdout).toContain("lookup 8123");
    await back("the router to undo it", 20_000);
});

test("destroy leaves no unit and no process", async () => {
    await office.stack.destroy();
    const { stdout } = await office.lab.router.sh("ls -d /etc/nvi /run/nvi 2>/dev/null; find /etc /run/systemd -name 'nvi*'; systemctl list-units --all --plain --no-legend 'nvi*'; pgrep -f '[n]vi/nvi' || :");
    expect(stdout).toBe("");
});
