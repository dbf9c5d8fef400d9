import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { describe, expect, test } from "vitest";
import { Lab, seen } from "../lab";
import { root } from "./project";
import { stack } from "./pulumi";

/** Runs what the demo does not: it has examples/office. */
describe("examples", () => {
    test("pieces: the office of single resources", async () => {
        const lab = await Lab.start();
        const { host, port, user, privateKeyPath, hostKey } = lab.ssh;
        const pieces = await stack({ dir: "examples/pieces", config: { "pieces:connection": JSON.stringify({ host, port, user, privateKeyPath }), "pieces:hostKey": hostKey } });
        try {
            await pieces.up();
            expect((await pieces.resources()).length).toBe(7);
            expect((await seen(lab.node("client"), { to: "192.0.2.10", port: 7 })).peer).toMatch(/^(198\.51\.100|203\.0\.113)\.2$/);
            expect((await seen(lab.node("client"), { to: "2001:db8:99::10", port: 7 })).peer).toMatch(/^2001:db8:[12]::2$/);
            expect(await lab.spoofed()).toEqual({ isp1: 0, isp2: 0 });
            await pieces.destroy();
        } finally {
            pieces.close();
            await lab.stop();
        }
    });

    test("the demo, which runs examples/office", { timeout: 300_000 }, async () => {
        const { stdout } = await promisify(execFile)(process.execPath, ["test/demo/main.mjs"], { cwd: root, timeout: 290_000 });
        expect(stdout).toMatch(/client +the internet, IPv4 +source 203\.0\.113\.2 +isp2 /);
        expect(stdout).toMatch(/internet +203\.0\.113\.2:443 +to 10\.0\.0\.80 \(server\) +isp2 +1 +1/);
        expect(stdout).toContain('~ sysctl ipv4/conf/nvi0p/rp_filter : "2 or 0" => "1"');
        expect(stdout).toContain("are as before the first `up`");
    });
});
