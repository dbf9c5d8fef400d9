import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { diffDumps, type Lab } from "../lab";
import { expectOneScreen } from "../unit/model/screen";
import { officeInputs, routerArgs, setup, type Setup } from "./office";

/*
 * An office that stands, and a router in trouble: whatever fails, nothing is ever taken for gone. After each failing refresh,
 * update and destroy the state is as it was, and so is the router.
 */

let s: Setup;
/** The state of the office, which no row changes. */
let stored: unknown;

function program(lab: Lab, weight = 1): string {
    const { uplinks } = officeInputs;
    const inputs = { ...officeInputs, uplinks: { ...uplinks, isp1: { ...uplinks.isp1, weight } } };
    return `const nvi = require("pulumi-nvi");
const router = new nvi.Router("edge", ${JSON.stringify({ ...routerArgs(lab), hostKey: lab.sshd.hostKey, dialTimeout: 3 })});
new nvi.TwoStageNat("office", { router, ...${JSON.stringify(inputs)} });`;
}

beforeAll(async () => {
    s = await setup(program);
    await s.stack.up();
    stored = await state();
    s.stack.write({ "index.js": program(s.lab, 3) });
});
afterAll(async () => await s?.stop());

const OPERATIONS = { refresh: () => s.stack.refresh([], OPTIONS), update: () => s.stack.up([], OPTIONS), destroy: () => s.stack.destroy([], OPTIONS) };
const OPTIONS = { allowFailure: true, env: { NVI_LOCK_WAIT: "1" } };

interface Trouble {
    name: string;
    operations: (keyof typeof OPERATIONS)[];
    trouble: (lab: Lab) => Promise<unknown>;
    heal: (lab: Lab) => Promise<unknown>;
    says: (string | RegExp)[];
}

/** The resources as stored, less what the engine itself writes anew. */
async function state(): Promise<unknown> {
    const { resources, pending_operations: pending } = (await s.stack.export()).deployment;
    return { pending, resources: resources?.map(({ stackTrace: _, propertyDependencies: __, ...rest }) => rest) };
}

const changes = (before: string, after: string): string[] => diffDumps(before, after).filter((line) => !/ \/run\/nvi\b/.test(line));

async function expectFailures({ name, operations, trouble, heal, says }: Trouble): Promise<void> {
    const { lab } = s;
    await trouble(lab);
    try {
        const before = await lab.dump();
        for (const operation of operations) {
            const refused = lab.sshd.count().failed;
            const { code, all } = await OPERATIONS[operation]();
            // Accounts are locked, and addresses banned, for what the second resource would do with the same key.
            expect(lab.sshd.count().failed - refused, `logins that were refused in ${operation}`).toBeLessThanOrEqual(1);
            expect(code, all).not.toBe(0);
            expectOneScreen(`${operation}: ${name}`, all, [/edge \(root@127\.0\.0\.1:\d+\): /, ...says]);
            expect(await state(), `the state after ${operation}`).toEqual(stored);
            expect(changes(before, await lab.dump()), `the router after ${operation}`).toEqual([]);
        }
    } finally {
        await heal(lab);
    }
}

const adminKey = (lab: Lab): string => readFileSync(`${lab.ssh.privateKeyPath}.pub`, "utf8");

describe("while", () => {
    it.each<Trouble>([
        {
            name: "the router is down",
            operations: ["refresh", "update", "destroy"],
            trouble: (lab) => lab.relay.retarget("10.0.0.1", 2),
            heal: (lab) => lab.relay.retarget("10.0.0.1"),
            says: [/dial: .*ECONNRESET.*gave up after \d+ attempts/],
        },
        {
            name: "packets to the router vanish",
            operations: ["refresh"],
            trouble: (lab) => lab.relay.blackhole(true),
            heal: (lab) => lab.relay.blackhole(false),
            says: ["dial: no SSH handshake within"],
        },
        {
            name: "the router lets nobody in",
            operations: ["refresh", "destroy"],
            trouble: async (lab) => lab.revoke(adminKey(lab)),
            heal: async (lab) => lab.authorize(adminKey(lab)),
            says: ["log in as root: the server refused the login"],
        },
        {
            name: "nft is missing",
            operations: ["refresh", "update", "destroy"],
            trouble: (lab) => lab.hide("/usr/sbin/nft"),
            heal: (lab) => lab.unhide("/usr/sbin/nft"),
            says: ["observe: it has no `nft`; nothing was changed, and what is there is unknown"],
        },
        {
            name: "nft crashes",
            operations: ["refresh", "destroy"],
            trouble: (lab) => lab.fake("/usr/sbin/nft", "#!/bin/sh\nkill -SEGV $$\n"),
            heal: (lab) => lab.unhide("/usr/sbin/nft"),
            says: ["observe: `nft list ", "failed with exit status 139"],
        },
        {
            name: "the disk is full",
            operations: ["refresh", "update", "destroy"],
            trouble: (lab) => lab.limitDisk(0),
            heal: (lab) => lab.limitDisk(undefined),
            says: ["the upload did not arrive whole"],
        },
        {
            name: "/etc is read-only",
            operations: ["update", "destroy"],
            trouble: (lab) => lab.router.sh("mount --bind /etc/nvi /etc/nvi && mount -o remount,bind,ro /etc/nvi"),
            heal: (lab) => lab.router.sh("umount /etc/nvi"),
            says: ["cannot write /etc/nvi", "Read-only file system", "the router is as it was"],
        },
    ])("$name", expectFailures);

    it("somebody else holds the lock, which refresh doesn't need", async () => {
        const holder = s.lab.router.spawn(["flock", "/run/nvi/lock", "-c", "echo held; exec sleep 1000"], { stdin: "" });
        await holder.waitFor(/held/);
        await expectFailures({
            name: "somebody else holds the lock", operations: ["update", "destroy"], trouble: async () => s.stack.refresh(), heal: () => holder.stop("SIGKILL"),
            says: ["another transaction has held this router's lock for 1 s", "nothing was changed"],
        });
    });

    it("the router has a new host key", async () => {
        await s.lab.sshd.rotateHostKeys();
        await expectFailures({
            name: "the host key is another", operations: ["refresh", "destroy"], trouble: async () => undefined, heal: async () => undefined,
            says: ["check the host key: the host key is NOT THE PINNED one"],
        });
    });
});

describe("once the trouble is gone", () => {
    it("a program with the new host key updates, finds all as it should be, and destroys", async () => {
        s.stack.write({ "index.js": program(s.lab, 3) });
        const { all } = await s.stack.up();
        expect(all).toMatch(/2 updated/);
        await s.stack.preview(["--refresh", "--expect-no-changes"]);
        await s.stack.destroy();
        expect(await s.stack.resources()).toEqual([]);
    });
});
