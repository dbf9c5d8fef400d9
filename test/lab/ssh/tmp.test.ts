import { test, vi } from "vitest";
import { connect } from "../../../provider/host/ssh";
import { Server } from "./server";
import { run } from "../process";
vi.setConfig({ testTimeout: 60000 });
test("x", async () => {
    const s = await Server.start();
    const e = await s.endpoint();
    const c = await connect(e);
    for (let i = 0; i < 5; i++) { const t = performance.now(); await c.exec("true"); console.log("root", performance.now() - t); }
    c.close();
    const d = await connect(await s.endpoint("deploy"));
    for (let i = 0; i < 5; i++) { const t = performance.now(); await d.exec("true"); console.log("deploy", performance.now() - t); }
    d.close();
    for (const u of ["root", "deploy"]) { const t = performance.now(); await run(["ssh", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-i", `${s.dir}/key_${u}`, "-p", `${s.port}`, `${u}@127.0.0.1`, "for i in 1 2 3; do date +%s.%N; done"]).then(r => console.log(r.stdout, r.stderr)); console.log("ssh", u, performance.now() - t); }
    await s.stop();
});
