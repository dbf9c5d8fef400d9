import { expect, test } from "vitest";
import { Child, run } from "./process";

const busyFor = (ms: number): void => {
    const end = performance.now() + ms;
    while (performance.now() < end);
};

test("what a command has written before its end is read, however busy this process is", async () => {
    // The three are looked at together: what the one has written, the end of another, and with it the end of the third, which came after the look.
    const talker = new Child(["echo"], { stdin: "", onStdout: () => busyFor(1000) });
    const other = new Child(["true"], { stdin: "" });
    const child = new Child(["sh", "-c", "sleep 0.6; echo written"], { stdin: "" });
    child.process.once("exit", () => busyFor(600));
    busyFor(300);
    expect(await child.exited()).toBe(0);
    expect(child.stdout).toBe("written\n");
    await Promise.all([talker.exited(), other.exited()]);
});

test("a daemon that keeps the pipes open is not waited for", async () => {
    const { stdout } = await run(["sh", "-c", "echo started; sleep 30 & echo $!"], { timeoutMs: 5000 });
    const [said, pid] = stdout.split("\n");
    process.kill(Number(pid));
    expect(said).toBe("started");
});
