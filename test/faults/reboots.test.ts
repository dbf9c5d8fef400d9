import { afterAll, beforeAll, expect, it } from "vitest";
import { setup, type Setup } from "../e2e/office";
import { backTo, changedSince } from "../e2e/restart";
import { office as addresses } from "../lab";
import { figure } from "../lab/figure";
import { deadline, keep, restartsDone } from "./results";

/* A router that is restarted again and again, and whose links go down and up: after each time it is as it was. */

const [RESTARTS, FLAPS] = [20, 5];
const { router, gw1 } = addresses;
/** Each with what goes with a link that goes down and isn't ours: its IPv6 address, and the router's own routes. */
const LINKS = [
    ["isp1", router.isp1v6, `ip route add default via ${gw1.v4} dev isp1 && ip -6 route add default via ${gw1.v6} dev isp1`],
    ["isp2", router.isp2v6, ":"], ["lan0", router.lan6, ":"],
] as const;

let on: Setup;
let applied: string;
beforeAll(async () => {
    on = await setup();
    await on.stack.up();
    applied = await on.lab.dump();
}, 900_000);
afterAll(async () => await on?.stop());

const ask = async (script: string): Promise<string> => (await on.lab.router.sh(script)).stdout.trim();

/** Seconds that a unit took to start at this boot, and what sshd waits for. */
async function boot(): Promise<{ early: number; sshdWaits: string[] }> {
    const times = await ask("systemctl show -p InactiveExitTimestampMonotonic -p ActiveEnterTimestampMonotonic --value nvi.service");
    const [begun = 0, ended = 0] = times.split("\n").map(Number);
    const after = await ask("systemctl list-dependencies --after --plain ssh.service");
    return { early: (ended - begun) / 1e6, sshdWaits: after.split("\n").map((line) => line.trim()).filter((unit) => unit.startsWith("nvi")) };
}

it("is the same after every restart and every link that was down for a moment", async () => {
    for (let restart = restartsDone() + 1; restart <= RESTARTS && Date.now() < deadline; restart++) {
        await on.lab.reboot();
        // The lab waits for the end of the boot, and that is all there is to wait for.
        expect(await changedSince(on.lab, applied)).toEqual([]);
        const { early, sshdWaits } = await boot();
        expect(sshdWaits, "sshd never waits for what waits for NICs").toEqual(["nvi.service"]);
        for (let flap = 0; flap < FLAPS; flap++) {
            const [link, address, more] = LINKS[(restart * FLAPS + flap) % LINKS.length]!;
            await on.lab.router.sh(`ip link set "$1" down && ip link set "$1" up && ip address add "$2/64" dev "$1" nodad && ${more}`, [link, address]);
            await backTo(on.lab, applied, `${link} after restart ${restart}, flap ${flap + 1}`);
        }
        keep("restart", { restart, of: RESTARTS, flaps: FLAPS, early });
        figure(`restart ${restart} of ${RESTARTS}: as it was, and after each of ${FLAPS} flaps; nvi.service took ${early.toFixed(1)} s`);
    }
});
