// @ts-check
/*
 * In an emulated machine, where the module can be loaded. Its clock is the number of instructions that were executed: one
 * nanosecond each. So neither what else this machine does nor its caches are in the figures. Two runs differ by what the timer
 * interrupts: less than one in a hundred for small packets, some for TCP, which depends on when the scheduler lets whom run.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { boot, initrd, kernel } from "../kernel/machine.mjs";

/*
 * -icount shift=0: an instruction is 2^0 ns, for the processor's time-stamp counter too; where there is nothing to do, the clock
 * goes on to what comes next. -seed and -rtc: random numbers and the date are the same each time. Without erms and fsrm the
 * kernel copies eight bytes an instruction, not one: there it is, unlike in silicon, an instruction that counts.
 */
const PROCESSOR = ["-cpu", "max,-erms,-fsrm", "-accel", "tcg,thread=single", "-icount", "shift=0,sleep=off", "-smp", "1", "-seed", "1", "-rtc", "base=2000-01-01,clock=vm"];
// As on processors that need no mitigations in software.
const KERNEL = "mitigations=off nokaslr tsc=reliable clocksource=tsc";

const MINUTES = 30;

/** For modprobe, which is how the product loads it. */
const INSTALL = 'updates=/lib/modules/$(uname -r)/updates; mkdir -p "$updates"; cp /nvi.ko "$updates"; depmod -a; chmod +x /test/udp-flood /test/tick';

/**
 * @param {string} files the folder with all that paths.sh needs
 * @param {{ release: string, repetitions: number, packets: number, tcp: string, variants: readonly string[] }} what `release` of the kernel
 * @param {(line: string) => void} print
 * @returns {Promise<{ kernel: string }>}
 */
export async function inMachine(files, { release, repetitions, packets, tcp, variants }, print) {
    const machine = kernel(release);
    const script = `${INSTALL}\n/test/tick\nTCP='${tcp}' CLOCK=tsc sh /test/paths.sh /test ${repetitions} ${packets} ${variants.join(" ")}\n`;
    const settings = Object.fromEntries(readdirSync(files).map((name) => [name, readFileSync(join(files, name))]));
    const archive = initrd(machine, { ...settings, names: "bench\n", "tests/bench.sh": script });
    let done = false;
    const timely = await boot(machine, archive, (line) => {
        print(line);
        if (line === "# done") done = true;
    }, { seconds: MINUTES * 60, processors: PROCESSOR, append: KERNEL });
    if (!timely) throw new Error(`the emulated machine was not done after ${MINUTES} minutes`);
    if (!done) throw new Error("the emulated machine ended before the measurements did");
    return { kernel: machine.release };
}
