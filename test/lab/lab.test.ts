import * as fs from "node:fs";
import * as path from "node:path";
import ts from "typescript";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { Child, keygen, Lab, office, removeLeftovers, run, seen, sshArguments, until } from "./index";
import { figure } from "./figure";

vi.setConfig({ testTimeout: 30_000, hookTimeout: 30_000 });
let lab: Lab;
beforeAll(async () => {
    const started = performance.now();
    lab = await Lab.start({ users: [{ name: "ops", sudo: "nopasswd" }] });
    figure(`lab started in ${Math.round(performance.now() - started)} ms`);
    expect(performance.now() - started).toBeLessThan(6000);
});
afterAll(async () => {
    const started = performance.now();
    await lab.stop();
    figure(`lab stopped in ${Math.round(performance.now() - started)} ms`);
});

describe("ssh", () => {
    test("goes through the router's LAN NIC, with the lab's own key and host key", async () => {
        const { stdout } = await lab.sshRun("id -un; hostname; echo ${SSH_CONNECTION%% *}");
        expect(stdout.trim().split("\n")).toEqual(["root", "router", office.client.v4]);
    });

    test("comes in over the uplink as well, both families", async () => {
        for (const [to, seen] of [[undefined, office.internet.v4], [office.router.isp1v6, office.internet.v6]] as const) {
            const { stdout } = await lab.sshRun("echo ${SSH_CONNECTION%% *}", { via: await lab.sshFrom("internet", to) });
            expect(stdout.trim()).toBe(seen);
        }
    });

    test("refuses another host key and another user key", async () => {
        const key = path.join(lab.dir, "other");
        const other = await keygen(key);
        const via = { ...lab.ssh, privateKeyPath: key };
        expect((await lab.sshRun("true", { via, allowFailure: true })).stderr).toContain("Permission denied");
        lab.authorize(other);
        expect((await lab.sshRun("true", { via })).code).toBe(0);
        lab.revoke(other);
        expect((await lab.sshRun("true", { via, allowFailure: true })).code).toBe(255);

        const before = lab.ssh.hostKey;
        await lab.sshd.rotateHostKeys();
        expect(lab.sshd.hostKey).not.toBe(before);
        expect((await lab.sshRun("true", { allowFailure: true })).stderr).toContain("REMOTE HOST IDENTIFICATION HAS CHANGED");
        await lab.sshFrom("client"); // writes known_hosts anew
        expect((await lab.sshRun("true")).code).toBe(0);
    });

    test("an ordinary user may become root", async () => {
        const { stdout } = await lab.sshRun("id -un; sudo -n id -un; pwd", { via: { ...lab.ssh, user: "ops" } });
        expect(stdout.trim().split("\n")).toEqual(["ops", "root", "/home/ops"]);
    });

    test("sshd's own log counts connections and sessions", async () => {
        const before = lab.sshd.count();
        await lab.sshRun("true");
        await lab.sshRun("true");
        const after = lab.sshd.count();
        expect(after.connections - before.connections).toBe(2);
        expect(after.accepted - before.accepted).toBe(2);
        expect(after.sessions - before.sessions).toBe(2);
    });
});

describe("the relay", () => {
    const open = async (): Promise<Child> => {
        const child = new Child(["ssh", ...sshArguments(lab.ssh), `root@${lab.ssh.host}`, "cat"]);
        child.write("one\n");
        await child.waitFor(/one/);
        return child;
    };

    test("passes half-closes on: cat ends at the end of its input", async () => {
        const big = "x".repeat(3_000_000);
        const { stdout } = await lab.sshRun("cat", { stdin: big });
        expect(stdout.length).toBe(big.length);
    });

    test("cuts", async () => {
        const child = await open();
        expect((await lab.relay.count()).active).toBe(1);
        expect(await lab.relay.cut()).toBe(1);
        expect(await child.exited()).toBe(255);
        await until("sshd to see the reset, not an end of data", () => /10\.0\.0\.5 port \d+: Connection reset by peer/.test(lab.sshd.log()));
        await until("the relay to forget it", async () => (await lab.relay.count()).active === 0);
    });

    test("cuts in the middle of an upload", async () => {
        await lab.relay.cutAfter(200_000);
        const result = await lab.sshRun("cat > /tmp/upload", { stdin: "y".repeat(2_000_000), allowFailure: true });
        expect(result.code).toBe(255);
        await until("the router to see the end of the connection", async () => (await lab.router.run(["pgrep", "-x", "cat"], { allowFailure: true })).code === 1);
        const size = Number((await lab.router.run(["stat", "-c", "%s", "/tmp/upload"])).stdout);
        expect(size).toBeGreaterThan(0);
        expect(size).toBeLessThan(2_000_000);
        await lab.router.run(["rm", "/tmp/upload"]);
    });

    test("goes dark and comes back", async () => {
        const child = await open();
        const sessions = lab.sshd.count().connections;
        await lab.relay.blackhole(true);
        child.write("two\n");
        const late = new Child(["ssh", "-o", "ConnectTimeout=1", "-F", "/dev/null", "-p", `${lab.ssh.port}`, lab.ssh.host, "true"], { stdin: "" });
        expect(await late.exited()).toBe(255);
        expect(late.stderr).toMatch(/timed out|timeout/i);
        expect(child.stdout).toBe("one\n");
        expect(lab.sshd.count().connections).toBe(sessions);
        await lab.relay.blackhole(false);
        await child.waitFor(/two/);
        child.closeInput();
        expect(await child.exited()).toBe(0);
    });

    test("counts what could not be dialled", async () => {
        const relay = (await lab.sshFrom("client", office.router.isp2v4)).relay;
        await relay.retarget(office.router.lan4, 23);
        const result = await run(["ssh", "-F", "/dev/null", "-p", `${relay.port}`, "127.0.0.1", "true"], { allowFailure: true });
        expect(result.code).toBe(255);
        expect(await relay.count()).toMatchObject({ opened: 1, failed: 1, active: 0 });
    });
});

describe("several labs", () => {
    test("have separate files, networks and processes", async () => {
        const other = await Lab.start({ ipv6: false });
        try {
            for (const one of [lab, other]) await one.router.sh("mkdir -p /etc/nvi && echo $1 > /etc/nvi/id && ip rule add pref 77 lookup $2", [one.id, one === lab ? "701" : "702"]);
            expect((await lab.router.run(["cat", "/etc/nvi/id"])).stdout.trim()).toBe(lab.id);
            expect((await other.router.run(["cat", "/etc/nvi/id"])).stdout.trim()).toBe(other.id);
            expect((await lab.router.run(["ip", "-N", "rule"])).stdout).toContain("lookup 701");
            expect((await other.router.run(["ip", "-N", "rule"])).stdout).toContain("lookup 702");
            expect((await other.router.run(["ip", "-6", "addr"])).stdout).toBe("");
            expect((await other.sshRun("hostname")).stdout).toBe("router\n");
            expect(fs.existsSync("/etc/nvi/id")).toBe(false);
        } finally { await other.stop(); }
        expect(fs.existsSync(other.dir)).toBe(false);
        await lab.router.sh("rm -r /etc/nvi; ip rule del pref 77");
    });

    test("can have more machines than the office", async () => {
        const other = await Lab.start({
            extend: topology => {
                topology.nodes.push({ name: "dmz", sysctls: [], routes: ["default via 10.9.0.1"], answersAt: ["10.9.0.2"] });
                topology.wires.push({ ends: [{ node: "router", nic: "dmz0", addresses: ["10.9.0.1/24"] }, { node: "dmz", nic: "eth0", addresses: ["10.9.0.2/24"] }] });
            },
        });
        try {
            expect(await seen(other.node("client"), { to: "10.9.0.2", port: 53, proto: "udp" })).toMatchObject({ node: "dmz", peer: office.client.v4 });
        } finally { await other.stop(); }
    });

    test("what a killed owner left is removed by the next start; a live one's is not", async () => {
        const program = compiled(path.join(lab.dir, "compiled"));
        const owner = new Child([process.execPath, "-e", owning(program)], { stdin: "" });
        const [, id, dir] = await owner.waitFor(/started (\S+) (\S+)\n/);
        const left = async (): Promise<boolean> => (await run(["ip", "netns"])).stdout.includes(`nvi-${id}-`) || fs.existsSync(dir!);
        removeLeftovers();
        expect(await left()).toBe(true);
        await owner.stop("SIGKILL");
        removeLeftovers(); // labs of other test files may have been faster: only the result counts
        expect(await left()).toBe(false);
        expect((await lab.sshRun("hostname")).stdout).toBe("router\n");
    });

    test.each(["SIGTERM", "exit"])("an owner that ends by %s takes its lab along", async how => {
        const program = compiled(path.join(lab.dir, "compiled"));
        const owner = new Child([process.execPath, "-e", owning(program, ...(how === "exit" ? ["process.exit(3)"] : []))], { stdin: "" });
        const [, id, dir] = await owner.waitFor(/started (\S+) (\S+)\n/);
        if (how === "exit") expect(await owner.exited()).toBe(3);
        else expect(await owner.stop("SIGTERM")).toBe(143);
        expect((await run(["ip", "netns"])).stdout).not.toContain(`nvi-${id}-`);
        expect(fs.existsSync(dir!)).toBe(false);
    });

    test("an owner whose own owner is killed ends, and takes its lab along", async () => {
        const program = path.join(lab.dir, "owned.js");
        fs.writeFileSync(program, owning(compiled(path.join(lab.dir, "compiled"))));
        const owner = new Child([process.execPath, "-e", `require("node:child_process").fork(${JSON.stringify(program)}, { stdio: "inherit", detached: true })`], { stdin: "" });
        const [, id, dir] = await owner.waitFor(/started (\S+) (\S+)\n/);
        owner.kill("SIGKILL");
        await until("the lab to be gone", async () => !(await run(["ip", "netns"])).stdout.includes(`nvi-${id}-`) && !fs.existsSync(dir!));
    });
});

/** What starts a lab of its own, tells of it, and then stays, or does something else. */
const owning = (program: string, then = "setInterval(() => {}, 1000)"): string =>
    `require(${JSON.stringify(program)}).Lab.start().then(lab => { console.log("started " + lab.id + " " + lab.dir); ${then} })`;

/** The lab as a program without a TypeScript loader uses it. */
function compiled(target: string): string {
    fs.mkdirSync(target, { recursive: true });
    for (const file of fs.readdirSync(__dirname).filter(name => name.endsWith(".ts") && !name.endsWith(".test.ts"))) {
        const source = fs.readFileSync(path.join(__dirname, file), "utf8");
        const { outputText } = ts.transpileModule(source, { compilerOptions: { module: ts.ModuleKind.CommonJS, target: ts.ScriptTarget.ES2022, esModuleInterop: true } });
        fs.writeFileSync(path.join(target, file.replace(/\.ts$/, ".js")), outputText);
    }
    return path.join(target, "index.js");
}
