import { test } from "vitest";
import { closeAll } from "../../provider/host/pool";
import { Flow, Lab, office } from "../lab";
import { createOn, destroyOn, piecesOf } from "./lifecycle-pieces";
import { piecesProgram } from "./office";
import { stack } from "./pulumi";
const { internet } = office;
test.each(["masquerade", "snat ip to 198.51.100.2"])("%s", async (verdict) => {
    const lab = await Lab.start();
    const dev = await stack({ files: { "index.js": piecesProgram(lab) } });
    const pieces = await piecesOf(dev);
    for (const uplinks of [["isp1"], ["isp1", "isp2"]]) {
        const v6 = verdict.startsWith("snat") ? "snat ip6 to 2001:db8:1::2" : verdict;
        await lab.router.run(["nft", "-f", "-"], { stdin: `table inet nat
delete table inet nat
table inet nat { chain post { type nat hook postrouting priority srcnat; oifname "isp1" meta nfproto ipv4 ${verdict}; oifname "isp1" meta nfproto ipv6 ${v6}; } }` });
        const flows = await Promise.all([internet.v4, internet.v6, internet.v4, internet.v6].map(async (to) => await Flow.start(lab.node("client"), { to, port: 7 })));
        const say = async (what: string) => console.log(verdict, uplinks.join(), what, JSON.stringify(await Promise.all(flows.map(async (flow) => { const alive = await flow.alive(1500); const r = await flow.report(); return [alive, r.error, r.ping.lost, r.longestStallMs].join(" "); }))));
        for (const piece of pieces) {
            const inputs = piece.kind === "nat-stage" ? { ...piece.inputs, translations: (piece.inputs.translations as any[]).map((t, i) => i === 0 ? { ...t, to: { uplinks } } : t) } : piece.inputs;
            await createOn(lab, { ...piece, inputs });
            await say(`create ${piece.name}`);
        }
        for (const piece of pieces.slice().reverse()) { await destroyOn(lab, piece); await say(`destroy ${piece.name}`); }
        for (const f of flows) await f.stop();
    }
    closeAll(); dev.close(); await lab.stop();
});
