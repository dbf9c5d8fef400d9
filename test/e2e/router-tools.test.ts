import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ensure, read, remove, renderedOf } from "../../provider/reconcile/engine";
import { diffDumps, Lab, office as topology, probe, until } from "../lab";
import { abandon, coreRouter, officeObject } from "./core";
import { changedSince } from "./restart";

/* Routers whose sh is not dash and whose tools are not GNU's: a transaction that is confirmed, some that are undone, and the end of all. */

/** What the router-side script calls, less nft, iproute2 and flock, which Debian's busybox lacks. */
const APPLETS = "awk base64 cat chmod cmp cp cut date df dmesg grep head logger ls mkdir mktemp mv readlink rm rmdir sed setsid sha256sum sleep sort stat sync tail timeout tr uname unshare wc";

describe.each([
    ["bash, as on Fedora and Arch", "ln -sf bash /bin/sh", "sh", "/usr/bin/bash"],
    ["busybox, as on Alpine and OpenWrt", `ln -sf busybox /bin/sh; for name in ${APPLETS}; do ln -s /bin/busybox /usr/local/bin/$name || exit; done`, "sed", "/usr/bin/busybox"],
])("%s", (_name, prepare, uses, binary) => {
    let lab: Lab;
    let before: string;
    beforeAll(async () => {
        lab = await Lab.start();
        await lab.router.sh(prepare);
        before = await lab.dump();
    });
    afterAll(() => lab?.stop());

    const office = officeObject();

    async function inPeace(): Promise<string[]> {
        await until("the script to end", async () => (await lab.router.sh("pgrep -f '/run/nvi/[0-9a-f]*/nvi' || :")).stdout === "", 20_000);
        return diffDumps(before, await lab.dump()).filter((line) => !line.includes(" /run/nvi"));
    }

    it("is what the script runs by", async () => {
        const { stdout } = await lab.sshRun(`for name in sh ${uses}; do readlink -f "$(command -v $name)"; done`);
        expect(stdout).toBe(`${binary}\n${binary}\n`);
    });

    it("makes, reads, changes and takes away", async () => {
        const { host, close } = coreRouter(lab, { confirmTimeout: 10 });
        for (const wanted of [office, officeObject({ table: 7800 })]) {
            await ensure(host, wanted);
            expect((await read(host, wanted)).rendered).toEqual(renderedOf(wanted));
            expect(await probe(lab.node("client"), { to: topology.internet.v4, port: 7 })).toMatchObject({ ok: true });
        }
        await remove(host, office);
        close();
        expect(await inPeace()).toEqual([]);
    });

    it("undoes what a check fails of", async () => {
        const { host, close } = coreRouter(lab, { confirmTimeout: 10 });
        await expect(ensure(host, officeObject({}, [{ kind: "command", command: "exit 3", within: 0 }]))).rejects.toMatchObject({ kind: "rolled-back" });
        close();
        expect(await inPeace()).toEqual([]);
    });

    it("undoes what nobody confirms", async () => {
        const { host, close } = coreRouter(lab);
        await abandon(host, office);
        close();
        expect(await inPeace()).toEqual([]);
    });

    it("brings it back after a restart", async () => {
        const { host, close } = coreRouter(lab, { confirmTimeout: 10 });
        await ensure(host, office);
        close();
        const applied = await lab.dump();
        await lab.reboot({ beforeNics: async () => void (await lab.router.sh("/bin/sh /etc/nvi/nvi restore early")), beforeSshd: async () => void (await lab.router.sh("/bin/sh /etc/nvi/nvi restore late")) });
        expect(await changedSince(lab, applied)).toEqual([]);
    });
});
