import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { diffDumps, keygen, type Lab } from "../lab";
import { expectOneScreen } from "../unit/model/screen";
import { officeInputs, routerArgs, setup, type Setup } from "./office";

/* The router can't be reached, or is not who it should be, or lets nobody in: nothing gets into the state. */

let s: Setup;
/** A key that no server has, and one that no server knows. */
let otherHostKey = "";
let strangersKey = "";

beforeAll(async () => {
    s = await setup(() => "");
    strangersKey = join(s.lab.dir, "stranger");
    otherHostKey = await keygen(strangersKey);
});
afterAll(async () => await s?.stop());

type Args = ReturnType<typeof routerArgs> & Record<string, unknown>;

interface Trouble {
    name: string;
    args?: (args: Args, lab: Lab) => object;
    trouble?: (lab: Lab) => Promise<unknown>;
    heal?: (lab: Lab) => Promise<unknown>;
    says: (string | RegExp)[];
}

function program(args: object): string {
    return `const nvi = require("pulumi-nvi");
const router = new nvi.Router("edge", ${JSON.stringify(args)});
new nvi.TwoStageNat("office", { router, ...${JSON.stringify(officeInputs)} });`;
}

const unpinned = ({ hostKey: _, ...args }: Args): object => args;

function knownHosts(name: string, line: string): string {
    const file = join(s.lab.dir, name);
    writeFileSync(file, line);
    return file;
}

async function expectRefusal({ args = (same) => same, trouble, heal, says }: Trouble, name: string): Promise<void> {
    const { lab, stack } = s;
    const before = await lab.dump();
    stack.write({ "index.js": program(args(routerArgs(lab), lab)) });
    await trouble?.(lab);
    try {
        const { code, all } = await stack.up([], { allowFailure: true });
        expect(code, all).not.toBe(0);
        expectOneScreen(name, all, [/Router \(edge\)/, /edge \(root@127\.0\.0\.1:\d+\): /, ...says]);
        expect(await stack.resources()).toEqual([]);
    } finally {
        await heal?.(lab);
    }
    expect(diffDumps(before, await lab.dump())).toEqual([]);
}

describe("an `up` to a router", () => {
    it.each<Trouble>([
        {
            name: "that is down: connections are refused",
            // Nothing listens on tcpmux here.
            args: (args) => ({ ...args, connection: { ...args.connection, port: 1 }, dialTimeout: 2 }),
            says: [/dial: .*ECONNREFUSED.*gave up after \d+ attempts/, "cure:    see whether sshd runs and listens on port 1"],
        },
        {
            name: "that is down: packets vanish",
            args: (args) => ({ ...args, dialTimeout: 2 }),
            trouble: (lab) => lab.relay.blackhole(true),
            heal: (lab) => lab.relay.blackhole(false),
            says: [/dial: no SSH handshake within \S+ s/],
        },
        {
            name: "whose host key is not the pinned one",
            args: (args) => ({ ...args, hostKey: otherHostKey }),
            says: ["check the host key: the host key is NOT THE PINNED one: expected", /cure: +compare the .* on the server's console/],
        },
        {
            name: "that known_hosts does not know",
            args: (args) => ({ ...unpinned(args), knownHosts: knownHosts("none", "") }),
            says: ["check the host key: the host key is UNKNOWN", "ssh-keyscan -p"],
        },
        {
            name: "whose key known_hosts has otherwise",
            args: (args, lab) => ({ ...unpinned(args), knownHosts: knownHosts("changed", `[127.0.0.1]:${lab.ssh.port} ${otherHostKey}\n`) }),
            says: ["check the host key: the host key has CHANGED", "ssh-keygen -R"],
        },
        {
            name: "without a known_hosts file",
            args: (args, lab) => ({ ...unpinned(args), knownHosts: join(lab.dir, "no such file") }),
            says: ["read known_hosts: ", "cannot be read (ENOENT)", "cure:    correct `knownHosts`, or pin the key"],
        },
        {
            name: "that does not know the key",
            args: (args) => ({ ...args, connection: { ...args.connection, privateKeyPath: strangersKey } }),
            says: ["log in as root: the server refused the login; server accepts: publickey; tried: key ", "not tried again"],
        },
        {
            name: "with a key file that isn't there",
            args: (args) => ({ ...args, connection: { ...args.connection, privateKeyPath: "~/.ssh/edge" } }),
            says: ["load the credentials: the key file ~/.ssh/edge cannot be read (ENOENT)"],
        },
    ])("$name", async (row) => expectRefusal(row, row.name));
});
