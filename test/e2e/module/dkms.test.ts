import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { diffDumps, probe } from "../../lab";
import { MODULE_VERSION } from "../../../provider/model/module";
import { expectOneScreen } from "../../unit/model/screen";
import { officeInputs, officeProgram, routerArgs, setup, type Setup } from "../office";
import { families, unspoofed } from "../traffic";
import { prebuilt } from "./ko";

/* The module as most will get it: built on the router. */

const { prebuilt: _, ...inputs } = { ...officeInputs, backend: "module" } as typeof officeInputs & { prebuilt?: object };

let office: Setup;
let bare: string;
beforeAll(async () => {
    office = await setup((lab) => officeProgram(lab, inputs));
    bare = await office.lab.dump();
});
afterAll(async () => await office?.stop());

const onRouter = async (script: string): Promise<string> => (await office.lab.router.sh(script)).stdout.trim();
/** The file that modprobe takes, below the kernel's folder. */
const installed = (): Promise<string> => onRouter('modinfo -n nvi | sed "s,^.*/$(uname -r)/,,"');
const given = (): Record<string, string> => ({ [prebuilt().release]: prebuilt().file });
/** DKMS logs what it does, makes a key to sign with, and runs Python, which keeps what it has compiled. */
const changed = async (before: string): Promise<string[]> => diffDumps(before, await office.lab.dump()).filter((line) => !/ \/run\/nvi\b| \/var\/lib\/dkms(?:\/mok\.|$| )| \/var\/log\/|\/__pycache__\b/.test(line));

/** With something harmed, which is mended then. */
async function expectFailure(name: string, says: RegExp[], harm: () => Promise<unknown>, mend: () => Promise<unknown>): Promise<void> {
    await harm();
    const before = await office.lab.dump();
    const { code, all } = await office.stack.up([], { allowFailure: true, timeoutMs: 1_500_000 });
    const differences = await changed(before);
    await mend();
    expect(code).not.toBe(0);
    expectOneScreen(name, all, ["edge", ...says]);
    expect(differences).toEqual([]);
}

describe("a module that can't be built: an error, and the router is as it was", () => {
    it("the kernel's headers are missing", async () => {
        const headers = '"/lib/modules/$(uname -r)/build"';
        await expectFailure("no headers", [/lacks what building the module needs: the headers of kernel \d/], () => onRouter(`mv ${headers} /root/build`), () => onRouter(`mv /root/build ${headers}`));
    });

    it("there is no DKMS", async () => {
        await expectFailure("no dkms", [/lacks what building the module needs: dkms$/m], () => office.lab.hide("/usr/sbin/dkms"), () => office.lab.unhide("/usr/sbin/dkms"));
    });
});

describe("auto", () => {
    const program = (more: object): string => `const nvi = require("pulumi-nvi");
const router = new nvi.Router("edge", ${JSON.stringify(routerArgs(office.lab))});
const office = new nvi.TwoStageNat("office", { router, ...${JSON.stringify({ ...inputs, ...more })} });
exports.backend = office.backend;
exports.facts = router.facts;
`;

    it("takes the one that is given for the kernel", async () => {
        office.stack.write({ "index.js": program({ backend: "auto", prebuilt: given() }) });
        // The facts that it goes by are of when something was missing.
        await office.stack.up(["--refresh"]);
        expect(await installed()).toBe("updates/nvi.ko");
    });

    it("changes nothing where the compiler fails: the one that was given is there as before", async () => {
        office.stack.write({ "index.js": program({ backend: "auto" }) });
        await expectFailure("the compiler fails", [/dkms/i, /the compiler has had enough/],
            () => onRouter('real=$(readlink -f /usr/bin/gcc); mv "$real" "$real.real"; printf \'#!/bin/sh\\ncase "$*" in *ingress.c*) echo "ingress.c:1: error: the compiler has had enough" >&2; exit 1;; esac\\nexec %s.real "$@"\\n\' "$real" > "$real"; chmod 755 "$real"'),
            () => onRouter('real=$(readlink -f /usr/bin/gcc); mv "$real.real" "$real"'));
        expect(await installed()).toBe("updates/nvi.ko");
    });

    it("takes the module, builds it, and says so", async () => {
        office.stack.write({ "index.js": program({ backend: "auto" }) });
        const { all } = await office.stack.up([], { timeoutMs: 1_500_000 });
        expect(all).toMatch(/TwoStageNat office: backend module, because of the router: its kernel \S+ can load the module/);
        expect(await office.stack.outputs()).toMatchObject({ backend: "module" });
        expect(await onRouter(`dkms status nvi/${MODULE_VERSION} 2>/dev/null || dkms status`)).toMatch(/^nvi.*installed$/m);
        expect(await onRouter("cat /sys/module/nvi/version")).toBe(MODULE_VERSION);
        for (const words of families) await unspoofed(office.lab, async () => expect(await probe(office.lab.node("client"), { to: words.internet, port: 443 })).toMatchObject({ ok: true }));
        expect(await onRouter("cat /sys/class/net/nvi0/statistics/tx_packets")).not.toBe("0");
    });

    it("says so in a preview too, and finds nothing to do", async () => {
        expect((await office.stack.preview(["--refresh", "--expect-no-changes"])).all).toMatch(/backend module, because/);
    });

    it("takes the one that is given once more, and DKMS has none then", async () => {
        office.stack.write({ "index.js": program({ backend: "auto", prebuilt: given() }) });
        await office.stack.up();
        expect(await installed()).toBe("updates/nvi.ko");
        expect(await onRouter("dkms status")).not.toMatch(/nvi/);
        await office.stack.preview(["--refresh", "--expect-no-changes"]);
    });

    it("destroy leaves nothing, DKMS included", async () => {
        await office.stack.destroy([], { timeoutMs: 600_000 });
        expect(await changed(bare)).toEqual([]);
        expect(await onRouter("dkms status")).not.toMatch(/nvi/);
    });
});
