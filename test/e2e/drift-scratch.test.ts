import { afterAll, beforeAll, expect, test } from "vitest";
import { Lab } from "../lab";
import { pool } from "../../provider/host/pool";
import { Router } from "../../provider/host/router";
import { ensure, read, remove, renderedOf } from "../../provider/reconcile/engine";
import { RESOURCES } from "../../provider/resources";
import { officeInputs, routerArgs } from "./office";

let lab: Lab;
beforeAll(async () => { const t = performance.now(); lab = await Lab.start(); console.log("lab", performance.now() - t); });
afterAll(async () => { pool.closeAll(); await lab.stop(); });

test("times", async () => {
    const resource = RESOURCES["two-stage-nat"];
    const inputs = resource.schema.parse({ name: "office", ...officeInputs });
    const desired = { ...resource.render(inputs), id: { kind: "two-stage-nat", name: "office" }, owner: "o/p/s/r" };
    const host = new Router({ name: "edge", ...routerArgs(lab) } as never, pool);
    const time = async <T>(what: string, f: () => Promise<T>) => { const t = performance.now(); const r = await f(); console.log(what, Math.round(performance.now() - t)); return r; };
    const before = await time("dump", () => lab.dump());
    const made = await time("ensure", () => ensure(host, desired));
    await time("ensure again", () => ensure(host, desired));
    const found = await time("read", () => read(host, desired));
    console.log(JSON.stringify(found.rendered, null, 1));
    expect(found.rendered).toEqual(renderedOf(desired));
    console.log((await lab.router.sh("ip -N -j addr show isp1; ls -laR /etc/nvi; ls /run/nvi; ls /run/nvi/tx")).stdout);
    await time("remove", () => remove(host, desired));
    expect(await time("dump", () => lab.dump())).toBe(before);
    void made;
});
