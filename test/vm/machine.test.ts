import { afterAll, beforeAll, expect, test } from "vitest";
import type { Release } from "./image.mjs";
import type { EmulatedMachine } from "./machine";
import { startMachine } from "./standalone";
import { figure } from "../lab/figure";

let machine: EmulatedMachine;
let stop: () => void = () => undefined;
beforeAll(async () => {
    const started = performance.now();
    ({ machine, stop } = await startMachine(process.env.NVI_TEST_ROUTER as Release, { kernelArguments: ["nvi.test=1"] }));
    figure(`a machine started in ${Math.round(performance.now() - started)} ms`);
});
afterAll(() => stop());

test("commands have input, output, errors and an exit code of their own, many at a time", async () => {
    const results = await Promise.all([1, 2, 3, 4].map(async n => await machine.sh('cat; echo "$1" >&2; exit "$1"', [`${n}`], { stdin: `${n}`.repeat(200_000), allowFailure: true })));
    expect(results.map(({ code, stdout, stderr }) => [code, stdout.length, stdout[0], stderr])).toEqual([1, 2, 3, 4].map(n => [n, 200_000, `${n}`, `${n}\n`]));
    await expect(machine.run(["no-such-tool"])).rejects.toThrow(/exit code 127.*no-such-tool\n.*No such file/s);
});

test("a module is built against the kernel that runs, loaded and removed", async () => {
    expect((await machine.run(["cat", "/proc/cmdline"])).stdout).toContain("nvi.test=1");
    await machine.sh(`mkdir /root/m && cd /root/m && echo 'obj-m := m.o' > Makefile && cat > m.c`, [], { stdin: `#include <linux/module.h>
static int __init m_init(void) { pr_warn("m is loaded\\n"); return 0; }
static void __exit m_exit(void) { }
module_init(m_init); module_exit(m_exit); MODULE_LICENSE("GPL");
` });
    await machine.sh("make -C /lib/modules/$(uname -r)/build M=/root/m modules && insmod /root/m/m.ko && rmmod m", [], { timeoutMs: 120_000 });
    expect(machine.serialLog).toContain("m is loaded");
});

test("a restart that was asked for on the machine itself is followed", async () => {
    const before = (await machine.run(["cat", "/proc/sys/kernel/random/boot_id"])).stdout;
    await machine.run(["systemctl", "reboot", "--no-block"]);
    await machine.restarted();
    expect((await machine.run(["cat", "/proc/sys/kernel/random/boot_id"])).stdout).not.toBe(before);
    expect((await machine.run(["ls", "/root/m/m.ko"])).code).toBe(0);
});
